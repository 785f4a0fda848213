package relay

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"paperpath/internal/status"
)

// guarded is a host that requires a login and STARTTLS.
type guarded struct {
	*backend
	mechanism string
	logins    *[]string
}

type guardedVisit struct {
	*visit
	g  guarded
	in bool
}

func (g guarded) NewSession(c *smtp.Conn) (smtp.Session, error) {
	if g.mechanism == "" { // no AUTH
		return &visit{g.backend, c}, nil
	}
	return &guardedVisit{visit: &visit{g.backend, c}, g: g}, nil
}

func (v *guardedVisit) Mail(from string, o *smtp.MailOptions) error {
	if !v.in {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in"}
	}
	return v.visit.Mail(from, o)
}

func (v *guardedVisit) AuthMechanisms() []string { return []string{v.g.mechanism} }

func (v *guardedVisit) Auth(string) (sasl.Server, error) {
	note := func(user, password string) error {
		if user != "alice" && user != "bob" || password != "hunter2" {
			return errors.New("wrong")
		}
		v.in = true
		*v.g.logins = append(*v.g.logins, user)
		return nil
	}
	if v.g.mechanism == sasl.External {
		state, _ := v.c.TLSConnectionState()
		return sasl.NewExternalServer(func(string) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("no certificate")
			}
			return note("alice", "hunter2")
		}), nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return note(user, password) }), nil
}

// newSmart starts a host called smart that requires a login, and routes all mail to it.
func newSmart(t *testing.T, l *lab, mechanism string, conf *tls.Config) (b *backend, logins *[]string) {
	t.Helper()
	logins = new([]string)
	b = newServer(t, l, func(s *smtp.Server) {
		s.TLSConfig = conf
		s.Backend = guarded{s.Backend.(*backend), mechanism, logins}
		s.AllowInsecureAuth = true
	})
	text, err := os.ReadFile(filepath.Join(l.home, "control/routes"))
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(strings.TrimSpace(string(text)), ": ")
	l.w.peers["192.0.2.1:587"] = address
	l.host(smart, "192.0.2.1", nil)
	l.set("routes", ".: "+smart+":587")
	return b, logins
}

// A password goes into TLS with a verified certificate, and nowhere else.
func TestLoginNeedsVerifiedTLS(t *testing.T) {
	for name, c := range map[string]struct {
		tls, trusted bool
		row          string // of control/tls-policy
		why          string
	}{
		"verified":   {true, true, "#", ""},
		"unverified": {true, false, "#", "its certificate: x509: "},
		"in clear":   {false, false, "#", "it does not offer STARTTLS"},
		"unverified, encrypt": {true, false, smart + ": encrypt",
			"it offers PLAIN alone, and the connection is not safe for a password: its certificate: x509: "},
		"in clear, may": {false, false, smart + ": may",
			"it offers PLAIN alone, and the connection is not safe for a password: the host does not offer STARTTLS"},
		"in clear, none": {false, false, smart + ": none", ""},
	} {
		l := newLab(t)
		var conf *tls.Config
		if c.tls {
			conf = serverTLSFor(t, smart)
		}
		b, logins := newSmart(t, l, sasl.Plain, conf)
		l.set("tls-policy", c.row)
		if c.trusted {
			l.trust(conf)
		}
		l.loginFile(smart, "user: alice\npassword: hunter2\n")
		err := l.send(far)[0].Err
		if c.why == "" {
			if err != nil || len(*logins) != 1 || len(b.texts) != 1 {
				t.Errorf("%s: %v, %v", name, err, *logins)
			}
			match(t, l.log(), `event=relay-login key=KEY host=smtp.example.org addr=192.0.2.1 (tls="TLS1.3 \S+" )?user=alice mech=PLAIN`)
			continue
		}
		if status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), c.why) || len(*logins) > 0 {
			t.Errorf("%s: %v, %v", name, err, *logins)
		}
		if c.row == "#" {
			match(t, l.log(), `event=untrusted .* rule="verify name=smtp.example.org \(control/routes:1\)" reason=".*`+c.why)
		} else {
			match(t, l.log(), `event=relay-login-failed .* why=".*`+c.why)
		}
	}
}

// Where a row allows less than a verified certificate, the mechanisms are left that do
// not show the password.
func TestLoginThatShowsNothing(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, dialogue("250-AUTH PLAIN LOGIN CRAM-MD5", "334 "+b64("<1@x>"), "235 ok"))
	l.w.peers["192.0.2.1:587"] = p.addr
	l.host(smart, "192.0.2.1", nil)
	l.set("routes", ".: "+smart+":587")
	l.set("tls-policy", smart+": may")
	l.loginFile(smart, "user: alice\npassword: hunter2\n")
	if err := l.send(far)[0].Err; err != nil || p.count("AUTH CRAM-MD5") != 1 {
		t.Error(err, l.log())
	}
}

// EXTERNAL: the certificate of the file goes into the handshake.
func TestLoginByCertificate(t *testing.T) {
	l := newLab(t)
	conf := serverTLSFor(t, smart)
	_, logins := newSmart(t, l, sasl.External, conf)
	l.trust(conf)
	dir := filepath.Dir(l.loginFile(smart, "certificate: relay-logins/fullchain.pem\nkey: relay-logins/privkey.pem\n"))
	if err := selfSigned(dir, "client.example"); err != nil {
		t.Fatal(err)
	}
	conf.ClientAuth = tls.RequireAnyClientCert
	if err := l.send(far)[0].Err; err != nil || len(*logins) != 1 {
		t.Errorf("%v, %v\n%s", err, *logins, l.log())
	}
}

// A host that offers no AUTH says at RCPT what it makes of the certificate: our fault, so the mail waits.
// What it says of a mailbox is about that.
func TestCertificateIsRefused(t *testing.T) {
	for _, c := range []struct {
		reply smtp.SMTPError
		waits bool
	}{
		{smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "relay access denied"}, true},
		{smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "who are you"}, true},
		{smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}, false},
		{smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "User unknown in relay recipient table"}, false},
		{smtp.SMTPError{Code: 550, EnhancedCode: smtp.NoEnhancedCode, Message: "relay not permitted"}, true},
	} {
		l := newLab(t)
		conf := serverTLSFor(t, smart)
		b, _ := newSmart(t, l, "", conf)
		b.refuse = &c.reply
		l.trust(conf)
		dir := filepath.Dir(l.loginFile(smart, "certificate: relay-logins/fullchain.pem\nkey: relay-logins/privkey.pem\n"))
		if err := selfSigned(dir, "client.example"); err != nil {
			t.Fatal(err)
		}
		conf.ClientAuth = tls.RequireAnyClientCert
		err := l.send(far)[0].Err
		told := strings.Contains(l.log(), "settings for")
		if status.IsTemporary(err) != c.waits || told != c.waits || !strings.Contains(err.Error(), c.reply.Message) {
			t.Errorf("%v: %v\n%s", c.reply, err, l.log())
		}
	}
}
