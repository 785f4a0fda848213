package submit

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/internal/certs"
)

// A SIGHUP while a pair is half written ends no TLS: the one before serves on, and
// the next one that is whole takes its place.
func TestRenewedKeepsTheCertificate(t *testing.T) {
	h, log := newHome(t)
	pair := filepath.Join(h.Dir, "control", "tls", "mx.example.net")
	if err := os.MkdirAll(pair, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := certs.SelfSigned(pair, "mx.example.net", []string{"mx.example.net"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(pair, "privkey.pem"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(pair, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := newServer(h, Submission)
	if err != nil || s.tls == nil {
		t.Fatal(s, err)
	}
	put("privkey.pem", []byte("junk"))
	broken, err := s.renewed()
	if err != nil || broken.tls != s.tls {
		t.Fatalf("%v; the certificate before serves on: %v", err, broken.tls == s.tls)
	}
	wantLog(t, log, "op=certificate", "control/tls/mx.example.net")
	put("privkey.pem", key)
	whole, err := broken.renewed()
	if err != nil || whole.tls == nil || whole.tls == s.tls {
		t.Errorf("%v; the new pair serves: %v", err, whole.tls != s.tls)
	}
}
