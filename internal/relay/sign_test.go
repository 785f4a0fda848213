package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/dkim"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// published is the DNS of a test: a key for each selector.
type published map[string][]string

func (p published) TXT(_ context.Context, name string) ([]string, error) { return p[name], nil }

// dkim gives the home an active key of a domain, and publishes it.
func (l *lab) dkim(domain, selector string, p published) {
	l.t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := dkim.Record(public)
	if err != nil {
		l.t.Fatal(err)
	}
	p[dkim.Name(selector, domain)] = []string{text}
	dir := "dkim/" + domain + "/"
	l.set(dir+selector+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	old, _ := os.ReadFile(filepath.Join(l.home, "control", dir+"active"))
	l.set(dir+"active", string(old)+selector)
}

// TestWhoIsSigned: the author's domain decides, and whether the sender is one of ours.
func TestWhoIsSigned(t *testing.T) {
	p := published{}
	for _, c := range []struct {
		name, header string
		ours         bool
		want         string // domains and selectors
	}{
		{"ours", "From: A <a@example.org>\n", true, "example.org: s1 s2"},
		{"in capitals", "FROM: a@EXAMPLE.ORG\n", true, "example.org: s1 s2"},
		{"below the domain", "From: root@host.example.org\n", true, "example.org: s1 s2"},
		{"a domain with its own", "From: a@sub.example.org\n", true, "sub.example.org: t1"},
		{"below that", "From: a@x.sub.example.org\n", true, "sub.example.org: t1"},
		{"a domain with none on purpose", "From: a@off.example.org\n", true, ""},
		{"two authors", "From: a@example.org, b@example.org\n", true, "example.org: s1 s2"},
		{"a stranger's, passed on", "From: a@example.org\n", false, ""},
		{"another domain", "From: a@example.com\n", true, ""},
		{"authors of two domains", "From: a@example.org, b@example.com\n", true, ""},
		{"two From", "From: a@example.org\nFrom: b@example.org\n", true, ""},
		{"no From", "To: a@example.org\n", true, ""},
		{"an address literal", "From: a@[192.0.2.1]\n", true, ""},
		{"a path", "From: a@../../example.org\n", true, ""},
	} {
		l, host := newLab(t), newPeer(t, kind)
		l.route("elsewhere.example", host)
		l.dkim("example.org", "s1", p)
		l.dkim("example.org", "s2", p)
		l.dkim("sub.example.org", "t1", p)
		l.set("dkim/off.example.org/active", "")
		m := l.message("Received: x\n"+c.header+"Subject: x\n\nHello\n", far)
		m.Ours = c.ours
		var by maillog.Remote
		m.Done = func(_ []int, b maillog.Remote, _ string) { by = b }
		if err := l.sendMessage(m)[0].Err; err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		_, _, texts := host.seen()
		got, err := dkim.Verifier{DNS: p, Now: l.Now}.Verify(t.Context(), strings.NewReader(strings.TrimSuffix(texts[0], ".\r\n")))
		if err != nil || by.Signed != c.want || strings.Count(c.want, " ") != len(got) {
			t.Errorf("%s: signed %q, verified %+v, %v", c.name, by.Signed, got, err)
		}
		for _, g := range got {
			if g.Status != dkim.Pass {
				t.Errorf("%s: %+v of %q", c.name, g, texts[0])
			}
		}
	}
}

// TestWhichEntriesAreSigned: those of trusted submitters and our own reports, whatever
// is in the message itself.
func TestWhichEntriesAreSigned(t *testing.T) {
	for name, c := range map[string]struct {
		trace spool.Trace
		want  int
	}{
		"a local submitter":    {spool.Trace{With: spool.WithLocal}, 1},
		"a user over TLS":      {spool.Trace{With: "ESMTPSA"}, 1},
		"a user by LMTP":       {spool.Trace{With: "LMTPA"}, 1},
		"a relayfrom host":     {spool.Trace{With: "ESMTPS", Relay: true}, 1},
		"a bounce of ours":     {spool.Trace{With: spool.WithBounce}, 1},
		"a stranger":           {spool.Trace{With: "ESMTPS"}, 0},
		"a stranger with UTF8": {spool.Trace{With: "UTF8SMTPS"}, 0},
	} {
		s, host := newStage(t), newPeer(t, kind)
		s.route("elsewhere.example", host)
		s.dkim("example.org", "s1", published{})
		body := s.spool.Buffer()
		body.Write([]byte("Received: by mx.example.net\n with ESMTPSA id X; now\nFrom: mailer-daemon@example.org\n\nHello\n"))
		env := spool.Envelope{To: []spool.Recipient{{Addr: far}}}
		c.trace.By = "mx.example.net"
		if _, err := s.spool.Accept(spool.InboxRelay, env, nil, c.trace, body); err != nil {
			t.Fatal(err)
		}
		body.Close()
		before := s.files()
		s.run(t.Context())
		_, _, texts := host.seen()
		if len(texts) != 1 || strings.Count(texts[0], "DKIM-Signature:") != c.want {
			t.Errorf("%s: %q of %v", name, texts, before)
		}
		signed := strings.Contains(s.log(), `signed="example.org: s1"`)
		if signed != (c.want == 1) {
			t.Errorf("%s: the log says %s", name, s.log())
		}
	}
}

// TestSignedAlready: the message goes out with the signature that it came with.
func TestSignedAlready(t *testing.T) {
	p := published{}
	l, host := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", host)
	l.dkim("example.org", "s1", p)
	m := l.message("Received: x\nDKIM-Signature: v=1; d=example.org; s=s1; b=\nFrom: a@example.org\n\nHello\n", far)
	m.Ours = true
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Fatal(err)
	}
	if _, _, texts := host.seen(); strings.Count(texts[0], "DKIM-Signature") != 1 || !strings.HasPrefix(texts[0], "Received:") {
		t.Errorf("%q", texts[0])
	}
}

// TestKeyTrouble: mail of a domain whose keys cannot be read waits, with an event; mail
// of other domains does not.
func TestKeyTrouble(t *testing.T) {
	for name, spoil := range map[string]func(l *lab){
		"no such key":    func(l *lab) { l.set("dkim/example.org/active", "s1\ngone") },
		"not a key":      func(l *lab) { l.set("dkim/example.org/s1.pem", "hello") },
		"not a selector": func(l *lab) { l.set("dkim/example.org/active", "../x") },
		"a directory": func(l *lab) {
			path := filepath.Join(l.home, "control/dkim/example.org/s1.pem")
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				l.t.Fatal(err)
			}
		},
	} {
		l, host := newLab(t), newPeer(t, kind)
		l.route("elsewhere.example", host)
		l.dkim("example.org", "s1", published{})
		spoil(l)
		send := func(from string) error {
			m := l.message("From: "+from+"\n\nHello\n", far)
			m.Ours = true
			return l.sendMessage(m)[0].Err
		}
		err := send("a@example.org")
		if !status.IsTemporary(err) || !strings.Contains(err.Error(), "control/dkim/example.org/") || host.count("MAIL") != 0 {
			t.Errorf("%s: %v, %d sent", name, err, host.count("MAIL"))
		}
		if err := send("a@example.com"); err != nil {
			t.Errorf("%s: another domain: %v", name, err)
		}
		if !strings.Contains(l.log(), "event=trouble") || !strings.Contains(l.log(), "mail is deferred") {
			t.Errorf("%s: no event: %s", name, l.log())
		}
	}
}

// TestHugeHeader: what cannot be signed is sent without.
func TestHugeHeader(t *testing.T) {
	l, host := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", host)
	l.dkim("example.org", "s1", published{})
	m := l.message("From: a@example.org\n"+strings.Repeat("X: y\n", 6000)+"\nHello\n", far)
	m.Ours = true
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Fatal(err)
	}
	if _, _, texts := host.seen(); strings.Contains(texts[0], "DKIM-Signature") {
		t.Error("it is signed")
	}
	if !strings.Contains(l.log(), "it is sent without a signature") {
		t.Errorf("no event: %s", l.log())
	}
}

// TestExplainSigning: the keys, and where they come from.
func TestExplainSigning(t *testing.T) {
	l := newLab(t)
	l.dkim("example.org", "s1", published{})
	for from, want := range map[string]string{
		"a@example.org":      "ed25519-sha256 of s1._domainkey.example.org|control/dkim/example.org/active:1",
		"a@host.example.org": "ed25519-sha256 of s1._domainkey.example.org|control/dkim/example.org/active:1",
		"a@example.com":      "none: example.com has no active key|control/dkim",
	} {
		var trail explain.Trail
		l.explainSigning(from, &trail)
		if len(trail.Steps) != 1 || trail.Steps[0].Decision != "dkim" || trail.Steps[0].Value+"|"+trail.Steps[0].Source != want {
			t.Errorf("%s: %+v", from, trail.Steps)
		}
	}
}
