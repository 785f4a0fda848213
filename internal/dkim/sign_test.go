package dkim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
)

const letter = "Received: from x\nFrom: A <a@example.org>\nTo: b@example.net\nSubject: hello\n" +
	"Date: Sat, 28 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.org>\nList-Id: <l.example.org>\n\nHello \n\n\n"

// signed signs a message with both keys and returns it whole.
func signedWith(t testing.TB, text string, keys []Key) string {
	t.Helper()
	s, err := Sign(strings.NewReader(text), keys, testTime)
	if err != nil {
		t.Fatal(err)
	}
	return s.Fields + crlf(text)
}

// verdicts are the results in one word each.
func verdicts(t testing.TB, z zone, text string) string {
	t.Helper()
	results, err := verifier(z).Verify(context.Background(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range results {
		list = append(list, string(r.Status))
	}
	return strings.Join(list, " ")
}

// What we sign verifies, and does no longer when anything of it was changed.
func TestSign(t *testing.T) {
	keys, z := pair(t)
	text := signedWith(t, letter, keys)
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	above := func(field string) func(string) string {
		return func(s string) string { return field + "\r\n" + s }
	}
	for _, c := range []struct {
		name   string
		change func(string) string
		want   string
	}{
		{"nothing", func(s string) string { return s }, "pass pass"},
		{"LF line ends", func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }, "pass pass"},
		{"refolded", replace("Subject: hello", "SUBJECT:\r\n\t hello "), "pass pass"},
		{"another trace field", above("Received: from y"), "pass pass"},
		{"a blank line more at the end", func(s string) string { return s + "\r\n" }, "pass pass"},
		{"another subject", replace("Subject: hello", "Subject: hullo"), "fail fail"},
		{"another body", replace("Hello", "Hullo"), "fail fail"},
		{"a line more", func(s string) string { return s + "x\r\n" }, "fail fail"},
		{"a second From", above("From: c@example.com"), "fail fail"},
		{"a second To", above("To: c@example.com"), "fail fail"},
		{"a second Subject", above("Subject: c"), "fail fail"},
		{"a second Date", above("Date: c"), "fail fail"},
		{"a second Message-ID", above("Message-ID: c"), "fail fail"},
		{"a second List-Id", above("List-Id: c"), "fail fail"},
		{"a first Cc", above("Cc: c"), "fail fail"},
		{"a first Reply-To", above("Reply-To: c@example.com"), "fail fail"},
		{"a first Content-Type", above("Content-Type: text/html"), "fail fail"},
		{"a first List-Unsubscribe: a list's", above("List-Unsubscribe: <mailto:l@example.com>"), "pass pass"},
		{"a first Sender: a list's", above("Sender: l@example.com"), "pass pass"},
		{"From without it", replace("From: A <a@example.org>\r\n", ""), "fail fail"},
	} {
		if got := verdicts(t, z, c.change(text)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Every kind of text that may be signed verifies.
func TestSignShapes(t *testing.T) {
	keys, z := pair(t)
	for name, text := range map[string]string{
		"no body":           "From: a@example.org\n\n",
		"no blank line":     "From: a@example.org\n",
		"no From":           "To: a@example.org\n\nx\n",
		"no end":            "From: a@example.org\n\nx",
		"blank lines alone": "From: a@example.org\n\n\n\n\n",
		"8 bits":            "From: \xc3\xa4@example.org\nSubject: \xff\n\n\xfc\x00\n",
		"long lines":        "From: a@example.org\nSubject: " + strings.Repeat("x", 5000) + "\n\n" + strings.Repeat("y ", 5000) + "\n",
		"two From":          "From: a@example.org\nFrom: b@example.org\n\nx\n",
		"many fields":       "From: a@example.org\n" + strings.Repeat("To: b\n", 2000) + "\nx\n",
		"all of List":       "From: a@example.org\nList-Id: a\nList-Unsubscribe: b\nList-Unsubscribe-Post: c\nList-Post: d\nList-Help: e\nList-Archive: f\n\nx\n",
		"resent":            "Resent-From: b@example.org\nResent-To: c\nFrom: a@example.org\n\nx\n",
	} {
		signed := signedWith(t, text, keys)
		if got := verdicts(t, z, signed); got != "pass pass" {
			t.Errorf("%s: %s", name, got)
		}
		fields, _, _ := strings.Cut(signed, crlf(text))
		for line := range strings.SplitSeq(fields, "\r\n") {
			if len(line) > 78 {
				t.Errorf("%s: a line of %d octets: %s", name, len(line), line)
			}
		}
		if strings.Contains(fields, "l=") && !strings.Contains(fields, "rel=") {
			for part := range strings.SplitSeq(fields, ";") {
				if strings.HasPrefix(strings.TrimSpace(part), "l=") {
					t.Errorf("%s: l= in %s", name, fields)
				}
			}
		}
	}
}

// A domain and selector sign once.
func TestSignOnce(t *testing.T) {
	keys, z := pair(t)
	once := signedWith(t, letter, keys[:1])
	s, err := Sign(strings.NewReader(once), keys, testTime)
	if err != nil || !slices.Equal(s.Selectors, []string{"e"}) || strings.Count(s.Fields, "DKIM-Signature") != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := verdicts(t, z, s.Fields+once); got != "pass pass" {
		t.Errorf("both: %s", got)
	}
	both := signedWith(t, letter, keys)
	if s, err := Sign(strings.NewReader(both), keys, testTime); err != nil || s.Fields != "" || s.Selectors != nil {
		t.Errorf("%+v, %v", s, err)
	}
	// A broken signature of ours is not one that counts for others, but says who signed.
	other := Key{"example.com", "r", testRSA()}
	if s, err := Sign(strings.NewReader(both), []Key{other}, testTime); err != nil || len(s.Selectors) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// What cannot be signed says why.
func TestSignErrors(t *testing.T) {
	keys, _ := pair(t)
	odd, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := Sign(strings.NewReader(letter), []Key{{"example.org", "x", odd}}, testTime); err == nil ||
		!strings.Contains(err.Error(), "neither an RSA nor an Ed25519 key") {
		t.Errorf("an EC key: %v", err)
	}
	if _, err := Sign(&cut{letter[:20], broken}, keys, testTime); !errors.Is(err, broken) {
		t.Errorf("a broken header: %v", err)
	}
	if _, err := Sign(&cut{letter, broken}, keys, testTime); !errors.Is(err, broken) {
		t.Errorf("a broken body: %v", err)
	}
	if _, err := Sign(strings.NewReader(strings.Repeat("A: b\n", maxFields+1)), keys, testTime); err == nil {
		t.Error("too many fields: no error")
	}
}

// A record is found as it was made.
func TestPublishes(t *testing.T) {
	keys, z := pair(t)
	for i, k := range keys {
		records := z[Name(k.Selector, k.Domain)]
		if err := Publishes(append([]string{"v=spf1 -all"}, records...), k.Signer.Public()); err != nil {
			t.Errorf("%s: %v", k.Selector, err)
		}
		for wrong, why := range map[string]string{
			z[Name(keys[1-i].Selector, "example.org")][0]: "the record has another key",
			"v=DKIM1; p=": "revoked",
			"v=spf1 -all": "not usable",
			strings.Replace(records[0], "DKIM1;", "DKIM1; t=y;", 1): "t=y",
		} {
			if err := Publishes([]string{wrong}, k.Signer.Public()); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %.40s: %v, want %s", k.Selector, wrong, err, why)
			}
		}
		if err := Publishes(nil, k.Signer.Public()); err == nil {
			t.Error("no record is enough")
		}
	}
}
