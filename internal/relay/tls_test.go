package relay

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"paperpath/internal/certs"
	"paperpath/internal/dns"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// backend is what a go-smtp server, a well-behaved peer, has received.
type backend struct {
	mu      sync.Mutex
	hellos  []string
	froms   []string
	mails   []smtp.MailOptions
	tos     []string
	rcpts   []smtp.RcptOptions
	texts   []string
	overTLS []bool
	refuse  *smtp.SMTPError // each recipient; nil: only no@
}

type visit struct {
	b *backend
	c *smtp.Conn
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) { return &visit{b, c}, nil }

func (v *visit) Mail(from string, o *smtp.MailOptions) error {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	_, secure := v.c.TLSConnectionState()
	v.b.hellos = append(v.b.hellos, v.c.Hostname())
	v.b.froms, v.b.mails, v.b.overTLS = append(v.b.froms, from), append(v.b.mails, *o), append(v.b.overTLS, secure)
	return nil
}

func (v *visit) Rcpt(to string, o *smtp.RcptOptions) error {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	if v.b.refuse != nil {
		return v.b.refuse
	}
	if strings.HasPrefix(to, "no@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody"}
	}
	v.b.tos, v.b.rcpts = append(v.b.tos, to), append(v.b.rcpts, *o)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	v.b.texts = append(v.b.texts, string(text))
	return err
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// newServer starts a go-smtp server and routes elsewhere.example to it.
func newServer(t *testing.T, l *lab, change func(*smtp.Server)) *backend {
	t.Helper()
	b := &backend{}
	s := smtp.NewServer(b)
	s.Domain, s.EnableSMTPUTF8, s.EnableDSN, s.MaxMessageBytes = "peer.example", true, true, 1<<20
	change(s)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Close()
		ln.Close() // Serve may not have begun: Close does not know the listener then
		<-done
	})
	l.set("routes", "elsewhere.example: "+ln.Addr().String())
	return b
}

func serverTLS(t *testing.T) *tls.Config { return serverTLSFor(t, "peer.example") }

// selfSigned writes fullchain.pem and privkey.pem for a name into dir.
func selfSigned(dir, name string) error {
	return certs.SelfSigned(dir, name, []string{name, "127.0.0.1"}, time.Now())
}

func serverTLSFor(t *testing.T, name string) *tls.Config {
	t.Helper()
	dir := t.TempDir()
	if err := selfSigned(dir, name); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(dir+"/fullchain.pem", dir+"/privkey.pem")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// trust makes the certificate of a server an authority.
func (l *lab) trust(conf *tls.Config) {
	l.t.Helper()
	path := filepath.Join(l.home, "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conf.Certificates[0].Certificate[0]})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.set("tls-roots", path)
}

// TestServer: a whole session with a well-behaved server, inside TLS no matter who
// signed its certificate, with our own name in both EHLOs.
func TestServer(t *testing.T) {
	l := newLab(t)
	conf := serverTLS(t)
	b := newServer(t, l, func(s *smtp.Server) { s.TLSConfig = conf })
	m := l.message(letter, far, "no@elsewhere.example", "Two@elsewhere.example")
	m.From.Params = "RET=HDRS ENVID=q+2B7"
	m.To[0].Params = "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@example.org"
	m.To[2].Params = "NOTIFY=NEVER,SUCCESS"
	res := l.sendMessage(m)
	if res[0].Err != nil || status.Exit(res[1].Err) != 69 || res[2].Err != nil {
		t.Fatalf("%v", res)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if want := strings.ReplaceAll(letter, "\n", "\r\n"); len(b.texts) != 1 || b.texts[0] != want {
		t.Errorf("text %q", b.texts)
	}
	if got := fmt.Sprint(b.hellos, b.froms, b.tos, b.overTLS); got != "[mx.example.net] [alice@example.net] [far@elsewhere.example Two@elsewhere.example] [true]" {
		t.Error(got)
	}
	if o := b.mails[0]; o.Size != int64(strings.Count(letter, "\n")+len(letter)) || o.Return != "HDRS" || o.EnvelopeID != "q+7" || o.Body != "" {
		t.Errorf("%+v", o)
	}
	if o := b.rcpts[0]; len(o.Notify) != 2 || o.OriginalRecipient != "a+b@example.org" {
		t.Errorf("%+v", o)
	}
	if !strings.HasPrefix(l.done[0], "TLS1.3 TLS_") {
		t.Errorf("logged %q", l.done[0])
	}
}

// TestUTF8: SMTPUTF8 is requested if it is needed, and only then.
func TestUTF8(t *testing.T) {
	header := "Subject: \xc3\xa4\n\n\xc3\xa4\n"
	for _, c := range []struct {
		with, text, to string
		offered        bool
		exit           int
		asked          bool
		rcpt           string
	}{
		{"ESMTP", header, far, false, 0, false, far},
		{"UTF8SMTP", header, far, false, 69, false, ""},
		{"UTF8SMTP", header, far, true, 0, true, far},
		{"UTF8SMTP", "Subject: a\n\n\xc3\xa4\n", far, false, 0, false, far},
		{"ESMTP", letter, "ä@elsewhere.example", false, 69, false, ""},
		{"ESMTP", letter, "ä@elsewhere.example", true, 0, true, "ä@elsewhere.example"},
	} {
		l := newLab(t)
		b := newServer(t, l, func(s *smtp.Server) { s.EnableSMTPUTF8 = c.offered })
		m := l.message(c.text, c.to)
		m.With = c.with
		res := l.sendMessage(m)[0]
		if got := status.Exit(res.Err); got != c.exit {
			t.Errorf("%+v: exit %d, %v", c, got, res.Err)
			continue
		}
		b.mu.Lock()
		if c.exit == 0 && (b.mails[0].UTF8 != c.asked || b.tos[0] != c.rcpt) {
			t.Errorf("%+v: %+v %q", c, b.mails[0], b.tos)
		}
		if c.exit != 0 && status.Enhanced(res.Err) != "5.6.7" {
			t.Errorf("%+v: %v", c, res.Err)
		}
		b.mu.Unlock()
	}
}

// TestTooLarge: a message larger than the host accepts is not sent.
func TestTooLarge(t *testing.T) {
	l := newLab(t)
	b := newServer(t, l, func(s *smtp.Server) { s.MaxMessageBytes = 100 })
	res := l.sendMessage(l.message(letter+strings.Repeat("x\n", 100), far))[0]
	if status.Exit(res.Err) != 69 || status.Enhanced(res.Err) != "5.3.4" || len(b.froms) != 0 {
		t.Errorf("%v %v", res.Err, b.froms)
	}
}

// TestBrokenTLS: if TLS does not work, the message goes in the clear, in a new session
// if the old one is lost, and what was said before TLS is forgotten.
func TestBrokenTLS(t *testing.T) {
	for name, c := range map[string]struct {
		reply    string
		sessions int
	}{
		"refused":       {"454 4.7.0 not today", 1},
		"refused, gone": {"454 4.7.0 not today\r\n" + hangUp, 2},
		"421":           {"421 4.7.0 not with you", 2},
		"421, gone":     {"421 4.7.0 not with you\r\n" + hangUp, 2},
		"never":         {"554 5.7.3 no certificate\r\n" + hangUp, 2},
		"no TLS":        {"220 go on", 2}, // the ClientHello is a command to it
		"garbage":       {"220 go on\r\nthis is no TLS at all, or is it?", 2},
		"closes":        {hangUp, 2},
		"reply is none": {"hello", 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			p := newPeer(t, func(n int, command string) string {
				switch {
				case strings.HasPrefix(command, "EHLO") && n == 1:
					return "250-peer.example\r\n250 starttls"
				case command == "STARTTLS":
					return c.reply
				case strings.HasPrefix(command, "\x16"):
					return hangUp
				}
				return ""
			})
			l.route("elsewhere.example", p)
			if err := l.send(far)[0].Err; err != nil {
				t.Fatal(err)
			}
			sessions, _, texts := p.seen()
			if sessions != c.sessions || len(texts) != 1 || strings.HasPrefix(l.done[0], "TLS") {
				t.Errorf("%d sessions, %d texts, %q", sessions, len(texts), l.done[0])
			}
			if !strings.Contains(l.log(), "continuing without TLS") {
				t.Error("the log does not say so")
			}
		})
	}
}

// A failure in the clear includes the reply to STARTTLS.
func TestRefusedTLSIsTheReason(t *testing.T) {
	for name, second := range map[string]string{"greeting": "421 4.3.2 too busy", "MAIL FROM": "530 5.7.0 must issue STARTTLS first"} {
		l := newLab(t)
		p := newPeer(t, func(n int, command string) string {
			switch {
			case strings.HasPrefix(command, "EHLO"):
				return "250-peer.example\r\n250 STARTTLS"
			case command == "STARTTLS":
				return "421 4.7.0 no entropy"
			case n == 2 && (name == "greeting" && command == "" || name != "greeting" && strings.HasPrefix(command, name)):
				return second
			}
			return ""
		})
		l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
		l.host("a.example", "192.0.2.1", p)
		err := l.send(far)[0].Err
		if !status.IsTemporary(err) || !strings.Contains(err.Error(), "421 4.7.0 no entropy") || !strings.Contains(err.Error(), second) {
			t.Errorf("%s: %v", name, err)
		}
		match(t, l.log(), `event=trouble key=KEY op="STARTTLS with .*, continuing without TLS" error="421 4.7.0 no entropy"`)
	}
}

// A message that requires TLS never goes out in the clear, and waits until TLS works at
// a host that offers it.
func TestRefusedTLSAndRequireTLS(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, func(_ int, command string) string {
		switch {
		case strings.HasPrefix(command, "EHLO"):
			return "250-peer.example\r\n250 STARTTLS"
		case command == "STARTTLS":
			return "421 4.7.0 no entropy"
		}
		return ""
	})
	l.route("elsewhere.example", p)
	m := l.message(letter, far)
	m.From.Params = "REQUIRETLS"
	err := l.sendMessage(m)[0].Err
	if !status.IsTemporary(err) || p.count("MAIL") != 0 || !strings.Contains(err.Error(), "421 4.7.0 no entropy") {
		t.Errorf("%v", err)
	}
	if sessions, _, _ := p.seen(); sessions != 1 {
		t.Errorf("%d sessions", sessions)
	}
}

// TestTLSFromAfar: extensions and replies from before TLS do not count, and a host that
// sends something between its reply and TLS gets no TLS session.
func TestTLSFromAfar(t *testing.T) {
	t.Parallel() // it waits
	inside := "EHLO mx.example.net|MAIL FROM:<alice@example.net>|RCPT TO:<" + far + ">|DATA|QUIT"
	for injected, want := range map[string]string{
		"":                      "EHLO mx.example.net|STARTTLS|" + inside,
		"250-a\r\n250 SIZE\r\n": "EHLO mx.example.net|STARTTLS",
	} {
		l := newLab(t)
		conf := serverTLS(t)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		commands := make(chan []string, 1)
		go func() {
			c, err := ln.Accept()
			ln.Close() // one session is enough
			if err != nil {
				return
			}
			defer c.Close()
			commands <- halfTLS(c, conf, injected)
		}()
		l.set("routes", "elsewhere.example: "+ln.Addr().String())
		if err := l.send(far)[0].Err; (err == nil) != (injected == "") {
			t.Fatal(err)
		}
		if got := strings.Join(<-commands, "|"); got != want {
			t.Errorf("said %s\nwant %s", got, want)
		}
	}
}

// halfTLS offers much before TLS and nothing inside it.
func halfTLS(c net.Conn, conf *tls.Config, injected string) (said []string) {
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 peer.example\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return said
		}
		line = strings.TrimSpace(line)
		said = append(said, line)
		verb, _, _ := strings.Cut(line, " ")
		switch {
		case line == "STARTTLS":
			fmt.Fprint(c, "220 go on\r\n"+injected)
			c = tls.Server(c, conf)
			r = bufio.NewReader(c)
		case verb == "EHLO" && len(said) == 1:
			fmt.Fprint(c, "250-peer.example\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 STARTTLS\r\n")
		case verb == "EHLO":
			fmt.Fprint(c, "250 peer.example\r\n")
		case verb == "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			if _, err := readText(r); err != nil {
				return said
			}
			fmt.Fprint(c, "250 ok\r\n")
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
		if verb == "QUIT" {
			return said
		}
	}
}

// TestBadSender: an invalid reverse path never gets near a host.
func TestBadSender(t *testing.T) {
	l, p := newLab(t), newPeer(t, kind)
	l.route("elsewhere.example", p)
	m := l.message(letter, far)
	m.From = spool.Path{Addr: "a> SIZE=1 <b@example.net"}
	if err := l.sendMessage(m)[0].Err; status.Enhanced(err) != "5.1.7" || errors.Is(err, io.EOF) {
		t.Error(err)
	}
	m.From = spool.Path{}
	if err := l.sendMessage(m)[0].Err; err != nil || p.count("MAIL FROM:<>") != 1 {
		t.Error(err)
	}
}
