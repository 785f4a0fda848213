// Package oracle compares internal/dkim with the DKIM code of two other projects, on
// thousands of generated messages: what one signs the others verify, and what was changed
// on the way is judged alike. It is a module of its own, so that theirs are no
// requirements of ours.
package oracle

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	mox "github.com/mjl-/mox/dkim"
	moxdns "github.com/mjl-/mox/dns"
	"pgregory.net/rapid"

	ours "paperpath/internal/dkim"
	"paperpath/internal/dns"
)

const domain = "example.org"

// keys are those that sign in every test, published as zone.
type keys struct {
	list []ours.Key
	zone map[string][]string
}

func newKeys(t *testing.T) keys {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := keys{zone: map[string][]string{}, list: []ours.Key{{Domain: domain, Selector: "r", Signer: rsaKey},
		{Domain: domain, Selector: "e", Signer: edKey}}}
	for _, key := range k.list {
		text, err := ours.Record(key.Signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		k.zone[ours.Name(key.Selector, domain)] = []string{text}
	}
	return k
}

// TXT implements ours.Resolver.
func (k keys) TXT(_ context.Context, name string) ([]string, error) {
	if k.zone[name] == nil {
		return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "TXT"}
	}
	return k.zone[name], nil
}

// verdict is whether each signature is valid, from the top: "yes no".
type verdict string

func add(v verdict, valid bool) verdict {
	word := "no"
	if valid {
		word = "yes"
	}
	return verdict(strings.TrimSpace(string(v) + " " + word))
}

func (k keys) byOurs(t *rapid.T, text string) (v verdict) {
	results, err := ours.Verifier{DNS: k, Now: time.Now}.Verify(context.Background(), strings.NewReader(text))
	if err != nil {
		t.Fatalf("ours: %v", err)
	}
	for _, r := range results {
		v = add(v, r.Status == ours.Pass)
	}
	return v
}

func (k keys) byMsgauth(text string) (v verdict, err error) {
	results, err := dkim.VerifyWithOptions(strings.NewReader(text), &dkim.VerifyOptions{MaxVerifications: ours.MaxSignatures,
		LookupTXT: func(name string) ([]string, error) { return k.zone[name], nil }})
	for _, r := range results {
		v = add(v, r.Err == nil)
	}
	return v, err
}

func (k keys) byMox(text string) (v verdict, err error) {
	resolver := moxdns.MockResolver{TXT: map[string][]string{}}
	for name, list := range k.zone {
		resolver.TXT[name+"."] = list
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	results, err := mox.Verify(context.Background(), log, resolver, true, func(*mox.Sig) error { return nil },
		strings.NewReader(text), true)
	for _, r := range results {
		v = add(v, r.Status == mox.StatusPass)
	}
	return v, err
}

// compare fails if the verdicts about a message differ. The others refuse some messages
// as a whole; see known.
func (k keys) compare(t *rapid.T, text string, want verdict) {
	got := k.byOurs(t, text)
	if want != "" && got != want {
		t.Fatalf("ours: %s, want %s", got, want)
	}
	for name, ask := range map[string]func(string) (verdict, error){"go-msgauth": k.byMsgauth, "mox": k.byMox} {
		other, err := ask(text)
		switch {
		case known(name, text, got, other, err):
		case err != nil:
			t.Errorf("%s: %v; ours: %s; %q", name, err, got, text)
		case other != got:
			t.Errorf("%s: %s; ours: %s; %q", name, other, got, text)
		}
	}
}

// What we sign, the others verify, with LF line ends in the spool and with CRLF.
func TestOursVerifies(t *testing.T) {
	k := newKeys(t)
	rapid.Check(t, func(t *rapid.T) {
		text := message(t)
		in := text
		if rapid.Bool().Draw(t, "LF") {
			in = strings.ReplaceAll(text, "\r\n", "\n")
		}
		s, err := ours.Sign(strings.NewReader(in), k.list, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		k.compare(t, s.Fields+text, "yes yes")
	})
}

// What the others sign in any form, we verify; and what was changed on the way, all
// judge alike.
func TestTheirsVerifies(t *testing.T) {
	k := newKeys(t)
	rapid.Check(t, func(t *rapid.T) {
		text := message(t)
		signed := k.signed(t, text)
		k.compare(t, signed, "yes")
		k.compare(t, change(t, signed), "")
	})
}

// signed signs a message as one of the others does.
func (k keys) signed(t *rapid.T, text string) string {
	key := rapid.SampledFrom(k.list).Draw(t, "key")
	relaxed := func(what string) bool { return rapid.Bool().Draw(t, what) }
	list := rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "h")
	list = append(list, "From")
	if rapid.Bool().Draw(t, "mox") {
		headers, err := mox.Sign(context.Background(), slog.New(slog.NewTextHandler(io.Discard, nil)), "a",
			moxdns.Domain{ASCII: domain}, []mox.Selector{{Hash: "sha256", HeaderRelaxed: relaxed("header"),
				BodyRelaxed: relaxed("body"), Headers: list, SealHeaders: relaxed("seal"), PrivateKey: key.Signer,
				Domain: moxdns.Domain{ASCII: key.Selector}}}, true, strings.NewReader(text))
		if err != nil {
			t.Skip(err)
		}
		return headers + text
	}
	form := map[bool]dkim.Canonicalization{true: dkim.CanonicalizationRelaxed, false: dkim.CanonicalizationSimple}
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{Domain: domain, Selector: key.Selector,
		Signer: key.Signer, Hash: crypto.SHA256, HeaderKeys: list, HeaderCanonicalization: form[relaxed("header")],
		BodyCanonicalization: form[relaxed("body")]})
	if err != nil {
		t.Skip(err)
	}
	return out.String()
}
