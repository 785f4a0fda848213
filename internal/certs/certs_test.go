package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// home makes a home with certificates for the hosts.
func home(t *testing.T, hosts ...string) string {
	t.Helper()
	h := t.TempDir()
	for _, host := range hosts {
		dir := filepath.Join(h, "control", "tls", host)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := SelfSigned(dir, host, []string{"localhost", "127.0.0.1"}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// served does a handshake and returns the certificate that the server shows.
func served(t *testing.T, cfg *tls.Config, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if a, err := l.Accept(); err == nil {
			defer a.Close()
			a.SetDeadline(time.Now().Add(time.Minute))
			tls.Server(a, cfg).Handshake()
		}
	}()
	b, err := net.DialTimeout("tcp", l.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.SetDeadline(time.Now().Add(time.Minute))
	conn := tls.Client(b, client)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func name(t *testing.T, cfg *tls.Config, sni string) string {
	t.Helper()
	cert, err := served(t, cfg, &tls.Config{ServerName: sni, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Subject.CommonName
}

func TestSelfSignedVerifies(t *testing.T) {
	h := home(t, "mx.example.org")
	cfg, err := Config(h, "MX.example.org", nil)
	if err != nil || cfg == nil {
		t.Fatal(cfg, err)
	}
	dir := filepath.Join(h, "control", "tls", "mx.example.org")
	chain, err := os.ReadFile(filepath.Join(dir, chainName))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	for _, n := range []string{"mx.example.org", "localhost", "127.0.0.1"} {
		if _, err := served(t, cfg, &tls.Config{ServerName: n, RootCAs: pool}); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	if _, err := served(t, cfg, &tls.Config{ServerName: "other.example", RootCAs: pool}); err == nil {
		t.Error("verified for a name that it has not")
	}
	if info, _ := os.Stat(filepath.Join(dir, keyName)); info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %o", info.Mode().Perm())
	}
	if err := SelfSigned(dir, "mx.example.org", nil, time.Now()); !errors.Is(err, fs.ErrExist) {
		t.Error("overwritten:", err)
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	cfg, err := Config(home(t, "a.example"), "a.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := served(t, cfg, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := served(t, cfg, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err != nil {
		t.Error("TLS 1.2:", err)
	}
}

func TestChosenByName(t *testing.T) {
	h := home(t, "a.example", "b.example", "c.example")
	cfg, err := Config(h, "b.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	for sni, want := range map[string]string{"a.example": "a.example", "A.Example": "a.example", "c.example": "c.example",
		"": "b.example", "x.example": "b.example", "..": "b.example", "a.example/": "b.example", "../tls/a.example": "b.example"} {
		if sni == "" || strings.Contains(sni, "/") || sni == ".." {
			// What crypto/tls would not send or accept is asked directly.
			cert, err := cfg.GetCertificate(&tls.ClientHelloInfo{ServerName: sni})
			if err != nil {
				t.Fatal(err)
			}
			leaf, _ := x509.ParseCertificate(cert.Certificate[0])
			if leaf.Subject.CommonName != want {
				t.Errorf("%q: %s", sni, leaf.Subject.CommonName)
			}
			continue
		}
		if got := name(t, cfg, sni); got != want {
			t.Errorf("%q: %s, want %s", sni, got, want)
		}
	}
	if cfg, err = Config(h, "unknown.example", nil); err != nil || name(t, cfg, "") != "a.example" {
		t.Error("without the hostname's certificate the first serves", err)
	}
}

func TestReload(t *testing.T) {
	h := home(t, "a.example", "next.example")
	var told []string
	cfg, err := Config(h, "a.example", func(err error) { told = append(told, err.Error()) })
	if err != nil {
		t.Fatal(err)
	}
	tlsDir := filepath.Join(h, "control", "tls")
	move := func(file string) {
		t.Helper()
		if err := os.Rename(filepath.Join(tlsDir, "next.example", file), filepath.Join(tlsDir, "a.example", file)); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Minute)
		os.Chtimes(filepath.Join(tlsDir, "a.example", file), later, later)
	}
	if got := name(t, cfg, "a.example"); got != "a.example" {
		t.Fatal(got)
	}
	move(keyName) // the new key with the old certificate: the pair in memory serves on
	if got := name(t, cfg, "a.example"); got != "a.example" {
		t.Error(got)
	}
	name(t, cfg, "a.example")
	if len(told) != 1 || !strings.Contains(told[0], "control/tls/a.example") {
		t.Errorf("told %q", told)
	}
	move(chainName)
	if got := name(t, cfg, "a.example"); got != "next.example" {
		t.Errorf("still %s", got)
	}
}

func TestNoCertificate(t *testing.T) {
	h := t.TempDir()
	if cfg, err := Config(h, "a.example", nil); cfg != nil || err != nil {
		t.Error(cfg, err)
	}
	if err := os.MkdirAll(filepath.Join(h, "control", "tls", "a.example"), 0o700); err != nil {
		t.Fatal(err)
	}
	if cfg, err := Config(h, "a.example", nil); cfg != nil || err != nil {
		t.Error(cfg, err)
	}
	if cfg, err := Config(h, "../x", nil); cfg != nil || err != nil {
		t.Error(cfg, err)
	}
}

// spoil makes the pair of a.example one that is not right.
func spoil(t *testing.T, dir, how string) {
	t.Helper()
	chain, key := filepath.Join(dir, chainName), filepath.Join(dir, keyName)
	var err error
	remove := func(paths ...string) {
		for _, p := range paths {
			err = errors.Join(err, os.Remove(p))
		}
	}
	switch how {
	case "empty directory":
		remove(chain, key)
	case "no key":
		remove(key)
	case "no chain":
		remove(chain)
	case "dangling link":
		remove(key)
		err = errors.Join(err, os.Symlink("/nonexistent/privkey.pem", key))
	case "dangling directory":
		remove(chain, key, dir)
		err = errors.Join(err, os.Symlink("/nonexistent", dir))
	case "unreadable key":
		remove(key)
		err = errors.Join(err, os.Mkdir(key, 0o700))
	case "no PEM":
		err = os.WriteFile(chain, []byte("x"), 0o600)
	case "does not fit", "expired", "other name":
		name, when := "a.example", time.Now()
		if how == "expired" {
			when = when.Add(-selfSignedLife - 100*time.Hour)
		}
		if how == "other name" {
			name = "b.example"
		}
		c, k, made := selfSigned(name, nil, when)
		err = errors.Join(made, os.WriteFile(chain, c, 0o600))
		if how != "does not fit" {
			err = errors.Join(err, os.WriteFile(key, k, 0o600))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with a pair, what can be served is, and the log has path and
// reason: at the start, and once when it becomes so.
func TestWhatIsWrongWithAPair(t *testing.T) {
	for _, how := range []string{"empty directory", "no key", "no chain", "dangling link", "dangling directory", "unreadable key",
		"no PEM", "does not fit", "expired", "other name"} {
		t.Run(how, func(t *testing.T) {
			usable := how == "expired" || how == "other name"
			var told []string
			note := func(err error) { told = append(told, err.Error()) }
			said := func(when string) {
				t.Helper()
				if len(told) != 1 || !strings.Contains(told[0], "control/tls/a.example: ") {
					t.Errorf("%s: told %q", when, told)
				}
				told = nil
			}
			h := home(t, "a.example")
			spoil(t, filepath.Join(h, "control", "tls", "a.example"), how)
			cfg, err := Config(h, "a.example", note)
			if err != nil || (cfg != nil) != usable {
				t.Fatalf("alone: %v, %v", cfg, err)
			}
			said("at the start")
			h = home(t, "a.example", "z.example")
			spoil(t, filepath.Join(h, "control", "tls", "a.example"), how)
			if cfg, err = Config(h, "a.example", note); err != nil || cfg == nil {
				t.Fatalf("beside another: %v, %v", cfg, err)
			}
			said("beside another")
			for range 3 {
				name(t, cfg, "a.example")
			}
			if len(told) > 0 {
				t.Errorf("an event a handshake: %q", told)
			}
			// In a running server the last good pair serves on.
			h = home(t, "a.example")
			if cfg, err = Config(h, "a.example", note); err != nil || len(told) > 0 {
				t.Fatal(err, told)
			}
			spoil(t, filepath.Join(h, "control", "tls", "a.example"), how)
			for range 3 {
				if got := name(t, cfg, "a.example"); got != "a.example" && how != "other name" {
					t.Errorf("served %s", got)
				}
			}
			said("at the first handshake")
		})
	}
}

// A certificate for *.example.org lies in control/tls/example.org.
func TestWildcard(t *testing.T) {
	h := home(t, "a.example")
	dir := filepath.Join(h, "control", "tls", "example.org")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := SelfSigned(dir, "example.org", []string{"*.example.org"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	cfg, err := Config(h, "a.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	for sni, want := range map[string]string{"pop.example.org": "example.org", "example.org": "example.org",
		"a.b.example.org": "a.example", "org": "a.example", "x.a.example": "a.example"} {
		if got := name(t, cfg, sni); got != want {
			t.Errorf("%s: %s, want %s", sni, got, want)
		}
	}
}

// Nobody resumes a session: no ticket is given.
func TestNoTickets(t *testing.T) {
	cfg, err := Config(home(t, "a.example"), "a.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := &counting{}
		if _, err := served(t, cfg, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: cache}); err != nil {
			t.Fatal(err)
		}
		if cache.put > 0 {
			t.Errorf("%s: a ticket was given", tls.VersionName(version))
		}
	}
}

// counting is a cache that keeps nothing and counts the tickets.
type counting struct{ put int }

func (*counting) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (c *counting) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		c.put++
	}
}
