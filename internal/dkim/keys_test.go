package dkim

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/message"
)

// With a header that was read before, and with keys that are remembered, the results are the
// same.
func TestWhatIsKnownBefore(t *testing.T) {
	_, z := pair(t)
	plain := made(t, "", nil)
	rfc, err := os.ReadFile("testdata/rfc8463.eml")
	if err != nil {
		t.Fatal(err)
	}
	keys := &Keys{}
	for _, text := range []string{plain, crlf(plain), plain + "more\n", strings.Replace(plain, "world", "moon", 1), string(rfc),
		"From x Mon Nov  2\n" + plain, strings.Replace(plain, "\n\n", "\nno field\n\n", 1), strings.Replace(plain, "\n\n", "\n\r\n", 1),
		strings.Replace(plain, "Subject: x", "Subject: y", 1), plain[:strings.Index(plain, "\n\n")+1], plain[:strings.Index(plain, "\n\n")],
		made(t, "", func(s string) string {
			return strings.Replace(strings.Replace(s, "rsa-", "ed25519-", 1), "s=r", "s=e", 1)
		})} {
		h, err := message.Read(strings.NewReader(text), maxHeader, maxFields)
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(z)
		want, err1 := v.Verify(context.Background(), strings.NewReader(text))
		v.Keys, v.Header = keys, h
		for range 2 {
			got, err2 := v.Verify(context.Background(), strings.NewReader(text))
			if diff := cmp.Diff(want, got); diff != "" || err1 != nil || err2 != nil {
				t.Errorf("%.200q: %v, %v (-plain +known):\n%s", text, err1, err2, diff)
			}
		}
	}
	if len(keys.known) != 2 {
		t.Errorf("%d keys are known", len(keys.known))
	}
}

// What strangers publish is remembered within bounds.
func TestKeysAreBounded(t *testing.T) {
	const key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	k := &Keys{}
	first, err := k.parse(key)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.parse(key); again != first || err != nil {
		t.Errorf("it was read again: %v", err)
	}
	for _, text := range []string{key + "; n=" + strings.Repeat("x", maxKeyText), "v=DKIM1; p=", "v=DKIM1"} {
		_, _ = k.parse(text) // one is valid
	}
	if len(k.known) != 1 {
		t.Errorf("%d are remembered", len(k.known))
	}
	for i := range 2*maxKeys + 5 {
		if _, err := k.parse(fmt.Sprintf("%s; n=%d", key, i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.known); n > maxKeys || n == 0 {
		t.Errorf("%d are remembered", n)
	}
}
