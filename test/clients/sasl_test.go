package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// scramSite is a site whose users have their passwords as SCRAM-SHA-256.
func scramSite(t *testing.T, client string) *site {
	t.Helper()
	s := newSite(t, client)
	for _, user := range []string{alice, bob} {
		if _, err := programs.Must(s.Home.Dir, strings.NewReader(harness.Password+"\n"),
			"mailctl", "user", "passwd", user, "--scheme", "SCRAM-SHA-256", "--password-stdin"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// clientStatus runs a client and asserts its exit status.
func (s *site) clientStatus(want int, input string, args ...string) {
	s.t.Helper()
	r, err := programs.Run(s.Home.Dir, strings.NewReader(input), "/usr/bin/env", args...)
	if err != nil || r.Status != want {
		s.t.Errorf("%q: exit status %d, want %d (%v)\n%s%s", args, r.Status, want, err, r.Stdout, r.Stderr)
	}
}

// gsasl is another implementation of SCRAM, with the channel bound to TLS.
func TestGsasl(t *testing.T) {
	s := scramSite(t, "gsasl").start()
	gsasl := func(status int, mechanism, password string, more ...string) {
		t.Helper()
		s.clientStatus(status, "", append([]string{"gsasl", "--smtp", "--connect=127.0.0.1:" + harness.Port(s.Addr["submission"]),
			"--quiet", "-d", "-m", mechanism, "-a", bob, "-p", password}, more...)...)
		if status == 0 && len(s.Events("event=login", "mech="+mechanism+" ")) == 0 {
			t.Errorf("no login by %s\n%s", mechanism, s.Describe())
		}
	}
	gsasl(0, "SCRAM-SHA-256", harness.Password, "--no-starttls")
	gsasl(0, "SCRAM-SHA-256", harness.Password, "--starttls", "--x509-ca-file=", "--no-cb")
	gsasl(0, "SCRAM-SHA-256-PLUS", harness.Password, "--starttls", "--x509-ca-file=")
	gsasl(0, "SCRAM-SHA-256-PLUS", harness.Password, "--starttls", "--x509-ca-file=", "--priority=NORMAL:-VERS-TLS1.3")
	gsasl(0, "PLAIN", harness.Password, "--starttls", "--x509-ca-file=")
	gsasl(0, "LOGIN", harness.Password, "--starttls", "--x509-ca-file=")
	gsasl(1, "SCRAM-SHA-256", "wrong", "--no-starttls")
	gsasl(1, "SCRAM-SHA-256-PLUS", "wrong", "--starttls", "--x509-ca-file=")
}

// msmtp and mpop with GNU SASL's SCRAM, by SMTP and by POP3.
func TestScramByMsmtpAndMpop(t *testing.T) {
	s := scramSite(t, "msmtp")
	need(t, "mpop")
	s.start()
	for n, mechanism := range []string{"scram-sha-256", "on"} {
		s.run(letter, "msmtp", "--host=127.0.0.1", "--port="+harness.Port(s.Addr["submission"]), "--auth="+mechanism, "--user="+bob,
			"--passwordeval=echo "+harness.Password, "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "-f", bob, "--", alice)
		s.holds(s.arrived("alice", n+1), "with ESMTPSA id", "Grüße")
	}
	if len(s.Events("event=login", "prog=mailsubmit", "mech=SCRAM-SHA-256")) == 0 {
		t.Error("msmtp did not use SCRAM\n", s.Describe())
	}
	rc := s.file("mpoprc", "account default\nhost 127.0.0.1\nport "+harness.Port(s.Addr["pop3"])+"\nuser "+alice+
		"\npassword "+harness.Password+"\nauth scram-sha-256\ntls on\ntls_starttls on\ntls_certcheck off\nkeep off\ndelivery mbox "+
		s.dir+"/got\nuidls_file "+s.dir+"/uidls\n")
	s.run("", "mpop", "-C", rc)
	s.fetched(s.dir+"/got", 2)
	s.clientStatus(77, letter, "msmtp", "--host=127.0.0.1", "--port="+harness.Port(s.Addr["submission"]), "--auth=scram-sha-256", "--user="+bob,
		"--passwordeval=echo wrong", "--tls=on", "--tls-starttls=on", "--tls-certcheck=off", "-f", bob, "--", alice)
}

// A certificate of our own authority is a login.
func TestExternal(t *testing.T) {
	s := newSite(t, "curl")
	need(t, "msmtp")
	key := s.file("client.pem", "")
	if err := os.WriteFile(s.Home.Dir+"/control/tls/clientca.pem", clientCertificate(t, key), 0o644); err != nil {
		t.Fatal(err)
	}
	s.start()
	f := s.file("letter", letter)
	s.run("", "curl", "-sSk", "--ssl-reqd", "smtp://"+s.Addr["submission"], "--cert", key, "-u", bob+":", "--login-options", "AUTH=EXTERNAL",
		"--mail-from", bob, "--mail-rcpt", alice, "-T", f, "--crlf")
	s.holds(s.arrived("alice", 1), "with ESMTPSA id", "Grüße")
	s.run(letter, "msmtp", "--host=127.0.0.1", "--port="+harness.Port(s.Addr["submissions"]), "--auth=external", "--user="+bob,
		"--tls=on", "--tls-starttls=off", "--tls-certcheck=off", "--tls-cert-file="+key, "--tls-key-file="+key, "-f", bob, "--", alice)
	s.holds(s.arrived("alice", 2), "with ESMTPSA id")
	if len(s.Events("event=login", "mech=EXTERNAL")) != 2 {
		t.Error(s.Describe())
	}
	s.clientStatus(67, "", "curl", "-sSk", "--ssl-reqd", "smtp://"+s.Addr["submission"], "--cert", key, "-u", alice+":", "--login-options", "AUTH=EXTERNAL",
		"--mail-from", alice, "--mail-rcpt", alice, "-T", f, "--crlf") // the certificate is bob's
}

// clientCertificate writes a certificate of bob's that vouches for itself, and
// its key, to path; it returns the certificate.
func clientCertificate(t *testing.T, path string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bob"}, EmailAddresses: []string{bob},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	all := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), cert...)
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert
}
