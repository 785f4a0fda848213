package check

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dkim"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

type zone map[string]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	switch text, ok := z[name]; {
	case !ok:
		return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "TXT"}
	case text == "away":
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: "TXT"}
	default:
		return []string{text}, nil
	}
}

// Each signature is explained, and the exit status follows the best of them.
func TestDKIM(t *testing.T) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.Record(public)
	if err != nil {
		t.Fatal(err)
	}
	const text = "From: a@example.org\r\n\r\nHello\r\n"
	s, err := dkim.Sign(strings.NewReader(text), []dkim.Key{{Domain: "example.org", Selector: "x", Signer: key}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text, record string
		exit               int
		want               []string
	}{
		{"valid", s.Fields + text, record, 0, []string{"signature: 1 d=example.org s=x a=ed25519-sha256 i=@example.org b=",
			"key: " + record + " (TXT x._domainkey.example.org)", "key size: 256 bits",
			"result: pass: example.org answers for the message, which is as it was", "=> 1 of 1 signatures valid"}},
		{"changed", s.Fields + text + "x\r\n", record, status.Refused, []string{"result: fail: the body was changed", "=> 0 of 1 signatures valid"}},
		{"no key", s.Fields + text, "", status.Refused, []string{"key: DNS TXT x._domainkey.example.org: no such domain", "result: permerror: there is no key"}},
		{"no answer", s.Fields + text, "away", status.TempFail, []string{"result: temperror: "}},
		{"one of two", "DKIM-Signature: v=1; hello\r\n" + s.Fields + text, record, 0,
			[]string{"signature: 1\n", "result: neutral: ", "signature: 2 d=example.org", "=> 1 of 2 signatures valid"}},
		{"none", text, record, status.Refused, []string{"=> none: the message has no signature"}},
	} {
		z := zone{}
		if c.record != "" {
			z["x._domainkey.example.org"] = c.record
		}
		var trail explain.Trail
		var out bytes.Buffer
		err := DKIM(t.Context(), strings.NewReader(c.text), z, time.Now, &trail)
		if wrong := trail.Write(&out, false); wrong != nil {
			t.Fatal(wrong)
		}
		if status.Exit(err) != c.exit && (err != nil || c.exit != 0) {
			t.Errorf("%s: %v, want exit status %d", c.name, err, c.exit)
		}
		for _, line := range c.want {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%s: no %q in\n%s", c.name, line, out.String())
			}
		}
	}
}
