package milters

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dkim"
	"paperpath/test/harness"
)

const opendkimConf = `
Mode MODE
Domain example.net
Selector test
KeyFile DIR/key.pem
TestPublicKeys DIR/keys
Socket local:DIR/MODE.sock
Canonicalization simple/simple
AuthservID opendkim.example
AlwaysAddARHeader yes
RequireSafeKeys no
InternalHosts HOSTS
UMask 000
Syslog no
Background no
`

// key answers every question for a key with one.
type key string

// TXT implements dkim.Resolver.
func (k key) TXT(context.Context, string) ([]string, error) { return []string{string(k)}, nil }

// opendkim signs what our users send, in check/ and in a session with a login, with simple
// canonicalization of both parts: what leaves verifies. It verifies what comes in, and its
// results stand below our Received.
func TestOpendkim(t *testing.T) {
	d := newDaemon(t, "opendkim", "opendkim")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	record := key("v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public))
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	d.file("key.pem", string(block), 0o600)
	d.file("keys", "test._domainkey.example.net "+string(record)+"\n", 0o644)
	for mode, hosts := range map[string]string{"s": "127.0.0.1", "v": "192.0.2.1"} { // whose mail it does not verify
		text := strings.NewReplacer("MODE", mode, "HOSTS", hosts).Replace(opendkimConf)
		conf := d.file(mode+".conf", text, 0o644)
		d.run("DIR/"+mode+".sock", "opendkim", "-f", "-x", conf)
	}
	h := d.home("sign: for=submitted milter:unix:DIR/s.sock\nverify: for=outside milter:unix:DIR/v.sock")

	const odd = "To:  Carol <carol@example.org>\nX-Odd:no blank\nX-Folded: a\n\tb\n  c\n"
	for i, send := range []func([]byte){
		func(text []byte) { h.sendmail(alice, sender, text) },
		func(text []byte) { h.submit(alice, sender, text) },
	} {
		text := "From: alice@example.net\n" + odd + "Subject:   signed\nDate: Sat, 28 Nov 2026 15:00:00 +0000\nMessage-ID: <s@example.net>\n\n hello \n\n\n"
		send([]byte(text))
		if err := harness.Wait("the message at the sink", time.Minute, func() bool { return len(h.sink.Received()) > i }); err != nil {
			t.Fatal(err)
		}
		got := h.sink.Received()[i].Data
		has(t, strings.ReplaceAll(string(got), "\r\n", "\n"), "Received: ", "\nDKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.net; s=test;", "\nFrom: ")
		results, err := dkim.Verifier{DNS: record, Now: time.Now}.Verify(t.Context(), bytes.NewReader(got))
		if err != nil || len(results) != 1 || results[0].Status != dkim.Pass {
			t.Errorf("%d: %+v %v\n%s", i, results, err, got)
		}
		if i == 0 { // and back from outside, with one octet changed or not
			signed := bytes.ReplaceAll(got[bytes.Index(got, []byte("DKIM-Signature:")):], []byte("\r\n"), []byte("\n"))
			for word, text := range map[string][]byte{"pass": signed, "fail": bytes.Replace(signed, []byte(" hello "), []byte(" hellO "), 1)} {
				text = append([]byte("Subject: "+word+"\n"), text...)
				if err := h.smtp(text); err != nil {
					t.Error(err)
				}
				has(t, h.mailbox("alice", word), "\nReceived: ", "\nAuthentication-Results: opendkim.example;", "dkim="+word, "\nSubject: "+word)
			}
		}
	}
}
