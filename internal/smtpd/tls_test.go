package smtpd

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	nsmtp "net/smtp"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// keys are a certificate for example.com and who trusts it.
func keys(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // a fifth of the time that RSA takes
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "example.com"}
}

// serveTCP serves one session on a TCP connection.
func serveTCP(t *testing.T, cfg Config) (addr string, sess *fake, end chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg.Hostname = "example.com"
	sess, end = &fake{}, make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = Serve(context.Background(), conn, cfg, func(c *Conn) Session { sess.conn = c; return sess })
		}
		end <- err
	}()
	return l.Addr().String(), sess, end
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return newClient(t, conn)
}

// What came in clear behind STARTTLS is not run inside TLS, and all that was
// said before is forgotten (CVE-2011-0411).
func TestStartTLS(t *testing.T) {
	server, trust := keys(t)
	addr, sess, _ := serveTCP(t, Config{TLS: server, Auth: true})
	c := dial(t, addr)
	c.want("220")
	c.send("EHLO before.test", "MAIL FROM:<before@x.test>")
	c.want("250", "250")
	c.send("STARTTLS", "RCPT TO:<evil@y.test>", "NOOP")
	c.want("220 2.0.0")
	secure := tls.Client(c.conn, trust)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	c = newClient(t, secure)
	c.send("MAIL FROM:<a@x.test>")
	c.want("503 5.5.1 send EHLO")
	c.send("AUTH PLAIN AGFsaWNlAHNlY3JldA==")
	c.want("503")
	c.send("EHLO after.test")
	c.wantAll(ehloAnswer(t, Config{Hostname: "example.com"}, "REQUIRETLS", "AUTH PLAIN LOGIN")...)
	c.send("STARTTLS")
	c.want("503")
	c.send("AUTH PLAIN AGFsaWNlAHNlY3JldA==")
	c.want("235")
	c.send("QUIT")
	c.want("221")
	if want := []string{"hello before.test", "mail before@x.test ", "hello after.test", "auth PLAIN alice"}; !slices.Equal(sess.calls, want) {
		t.Errorf("calls %q", sess.calls)
	}
	if sess.open {
		t.Error("the transaction outlived STARTTLS")
	}
	if with, info := sess.conn.With(), sess.conn.TLSInfo(); with != "ESMTPSA" || !regexp.MustCompile(`^TLS1\.3 TLS_[A-Z0-9_]+$`).MatchString(info) {
		t.Errorf("with %q, TLS %q", with, info)
	}
	if sess.conn.ClientIP() != "127.0.0.1" {
		t.Errorf("client %q", sess.conn.ClientIP())
	}
}

func TestStartTLSParameter(t *testing.T) {
	server, _ := keys(t)
	addr, _, _ := serveTCP(t, Config{TLS: server})
	c := dial(t, addr)
	c.want("220")
	c.send("STARTTLS now", "STARTTLSX", "QUIT")
	c.want("501 5.5.4", "500 5.5.1", "221")
}

// Behind a handshake that failed nothing goes on in clear.
func TestStartTLSFails(t *testing.T) {
	server, _ := keys(t)
	addr, sess, end := serveTCP(t, Config{TLS: server})
	c := dial(t, addr)
	c.want("220")
	c.send("EHLO c.test", "STARTTLS")
	c.want("250", "220")
	c.send("EHLO evil.test", "MAIL FROM:<evil@x.test>")
	c.conn.(*net.TCPConn).CloseWrite()
	rest, _ := io.ReadAll(c.in)
	if bytes.Contains(rest, []byte("250")) || <-end == nil || len(sess.calls) != 1 {
		t.Errorf("%q, calls %q", rest, sess.calls)
	}
}

func TestImplicitTLS(t *testing.T) {
	server, trust := keys(t)
	addr, sess, end := serveTCP(t, Config{TLS: server, Implicit: true})
	conn, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := newClient(t, conn)
	c.want("220")
	c.send("EHLO c.test")
	c.wantAll(ehloAnswer(t, Config{Hostname: "example.com"}, "REQUIRETLS")...)
	if sess.conn.With() != "ESMTPS" {
		t.Error(sess.conn.With())
	}
	c.send("QUIT")
	c.want("221")
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		t.Errorf("no close_notify: %q, %v", rest, err)
	}
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// A message that the end of the connection cuts is dropped inside TLS too,
// where close_notify is a clean end.
func TestCutInTLS(t *testing.T) {
	server, trust := keys(t)
	addr, sess, end := serveTCP(t, Config{TLS: server, Implicit: true})
	conn, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.want("220")
	c.openData()
	c.send("half a message")
	conn.Close()
	if err := <-end; err == nil {
		t.Error("no error")
	}
	if len(sess.mail) > 0 || len(sess.datas) != 1 || sess.datas[0] == nil {
		t.Errorf("mail %q, %v", sess.mail, sess.datas)
	}
}

// The client reads the last reply though the server left input unread.
func TestLinger(t *testing.T) {
	addr, _, _ := serveTCP(t, Config{MaxErrors: 1})
	c := dial(t, addr)
	c.want("220")
	c.send("FOO", strings.Repeat("x", 100000))
	c.want("500", "421 4.7.0")
}

const letter = "Subject: hi\r\n\r\n.dot\r\n\xc3\xa9\r\n"
const stored = "alice@x.test bob@y.test | Subject: hi\n\n.dot\n\xc3\xa9\n"

func TestNetSMTP(t *testing.T) {
	server, trust := keys(t)
	addr, sess, end := serveTCP(t, Config{TLS: server, Auth: true, MaxSize: 1000})
	c, err := nsmtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	steps := []error{c.Hello("c.test"), c.StartTLS(trust), c.Auth(nsmtp.PlainAuth("", "alice", "secret", "127.0.0.1")),
		c.Verify("bob"), c.Noop(), c.Mail("alice@x.test"), c.Rcpt("bob@y.test")}
	w, err := c.Data()
	if err != nil {
		t.Fatal(steps, err)
	}
	_, err = io.WriteString(w, letter)
	for i, err := range append(steps, err, w.Close(), c.Quit(), <-end) {
		if err != nil && i != 3 { // 252 is no 250 to Verify
			t.Error(i, err)
		}
	}
	if len(sess.mail) != 1 || strings.Replace(sess.mail[0], " SMTPUTF8", "", 1) != stored { // net/smtp asks for it always
		t.Errorf("%q", sess.mail)
	}
}

func TestGoSMTP(t *testing.T) {
	server, trust := keys(t)
	for _, mech := range []sasl.Client{sasl.NewPlainClient("", "alice", "secret"), sasl.NewLoginClient("alice", "secret")} {
		addr, sess, end := serveTCP(t, Config{TLS: server, Auth: true, MaxSize: 1000, Implicit: true})
		c, err := smtp.DialTLS(addr, trust)
		if err != nil {
			t.Fatal(err)
		}
		errs := []error{c.Hello("c.test"), c.Auth(mech)}
		auth := "alice@x.test"
		errs = append(errs, c.Mail("alice@x.test", &smtp.MailOptions{Size: int64(len(letter)), Auth: &auth}),
			c.Rcpt("bob@y.test", nil))
		if err := c.Rcpt("unknown@y.test", nil); err == nil || !strings.Contains(err.Error(), "no such mailbox") {
			t.Error(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(errs, err)
		}
		_, err = io.WriteString(w, letter)
		for i, err := range append(errs, err, w.Close(), c.Quit(), <-end) {
			if err != nil {
				t.Error(i, err)
			}
		}
		if len(sess.mail) != 1 || sess.mail[0] != stored {
			t.Errorf("%q", sess.mail)
		}
	}
}
