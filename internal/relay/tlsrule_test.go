package relay

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/internal/tlsrule"
)

// offersTLS is a peer that offers STARTTLS outside TLS. reply may decide what is said
// inside; secure begins TLS.
func offersTLS(t *testing.T, secure func(int, net.Conn) net.Conn, reply func(command string) string) *peer {
	t.Helper()
	var mu sync.Mutex
	hellos := map[int]int{}
	p := newPeer(t, func(n int, command string) string {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(command, "EHLO") {
			hellos[n]++
		}
		switch {
		case hellos[n] > 1 && reply != nil:
			return reply(command)
		case hellos[n] == 1 && strings.HasPrefix(command, "EHLO"):
			return "250-peer.example\r\n250 STARTTLS"
		}
		return ""
	})
	p.secure = secure
	return p
}

// accepts begins TLS as a host should.
func accepts(conf *tls.Config) func(int, net.Conn) net.Conn {
	return func(_ int, c net.Conn) net.Conn {
		s := tls.Server(c, conf)
		if s.Handshake() != nil {
			return nil
		}
		return s
	}
}

// where returns how many messages the peer was given outside TLS, and inside.
func (p *peer) where() (clear, secure int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.commands {
		if strings.HasPrefix(c, "MAIL") {
			clear++
		}
	}
	for _, c := range p.inside {
		if strings.HasPrefix(c, "MAIL") {
			secure++
		}
	}
	return clear - secure, secure
}

// cutAfter is a connection that is closed after that many octets are written.
type cutAfter struct {
	net.Conn
	left int
}

func (c *cutAfter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:c.left])
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

// breaks are the ways in which TLS ends between the 220 and the reply to the EHLO in it.
func breaks(conf *tls.Config) map[string]func(int, net.Conn) net.Conn {
	hello := func(c net.Conn) { c.Read(make([]byte, 4096)) }
	raw := func(answer string) func(int, net.Conn) net.Conn {
		return func(_ int, c net.Conn) net.Conn {
			hello(c)
			fmt.Fprint(c, answer)
			return nil
		}
	}
	old := conf.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	odd := conf.Clone()
	odd.MaxVersion, odd.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}
	strict := conf.Clone()
	strict.ClientAuth = tls.RequireAnyClientCert
	m := map[string]func(int, net.Conn) net.Conn{
		"closed at once":        func(int, net.Conn) net.Conn { return nil },
		"closed at its hello":   raw(""),
		"reset":                 func(_ int, c net.Conn) net.Conn { hello(c); c.(*net.TCPConn).SetLinger(0); return nil },
		"garbage":               raw("this is no TLS at all, or is it?"),
		"SMTP":                  raw("454 4.7.0 TLS not available\r\n"),
		"alert":                 raw("\x15\x03\x03\x00\x02\x02\x28"),
		"half a record":         raw("\x16\x03\x03\x40\x00\x02"),
		"silence":               func(_ int, c net.Conn) net.Conn { io.Copy(io.Discard, c); return nil },
		"only old versions":     accepts(old),
		"no common cipher":      accepts(odd),
		"wants our certificate": accepts(strict),
		"closed inside":         func(n int, c net.Conn) net.Conn { accepts(conf)(n, c); return nil },
		"garbage inside":        func(n int, c net.Conn) net.Conn { accepts(conf)(n, c); c.Write([]byte("garbage\r\n")); return nil },
		"alert after the EHLO": func(n int, c net.Conn) net.Conn {
			s := accepts(conf)(n, c)
			hello(s)
			c.Write([]byte("\x15\x03\x03\x00\x02\x02\x28"))
			return nil
		},
		"no SMTP inside": func(n int, c net.Conn) net.Conn { s := accepts(conf)(n, c); s.Write([]byte("hello\r\n")); return nil },
		"reset after the EHLO": func(n int, c net.Conn) net.Conn {
			s := accepts(conf)(n, c)
			hello(s)
			c.(*net.TCPConn).SetLinger(0)
			return nil
		},
		"half a reply inside TLS": func(n int, c net.Conn) net.Conn {
			s := accepts(conf)(n, c)
			hello(s)
			fmt.Fprint(s, "250-peer\r\n25")
			return nil
		},
	}
	for _, n := range []int{1, 5, 50, 200, 700} {
		m[fmt.Sprintf("cut after %d octets", n)] = func(s int, c net.Conn) net.Conn {
			accepts(conf)(s, &cutAfter{c, n})
			return nil
		}
	}
	return m
}

// TestTLSBrokenAtEachStep: wherever TLS breaks before a host has answered inside it, the
// message goes in the clear, with the reason in the log; where a rule demands TLS, or the
// host had it, it waits.
func TestTLSBrokenAtEachStep(t *testing.T) {
	conf := serverTLS(t)
	for name, broken := range breaks(conf) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.Times.Handshake = 200 * time.Millisecond
			p := offersTLS(t, broken, nil)
			l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
			l.host("a.example", "192.0.2.1", p)
			if err := l.send(far)[0].Err; err != nil {
				t.Fatal(err)
			}
			if clear, secure := p.where(); clear != 1 || secure != 0 {
				t.Errorf("%d messages in the clear, %d in TLS", clear, secure)
			}
			match(t, l.log(), `event=trouble key=KEY op="STARTTLS with a.example \[192.0.2.1\]:25, continuing without TLS" error=.`)
			words := troubleWords(t, l.log())

			l.set("tls-policy", "elsewhere.example: encrypt")
			waits(t, l, p, "4.7.5", "encrypt (control/tls-policy:1)", words)
			l.set("tls-policy", "#")
			if err := l.Ratchet.Worked("a.example:25", false, l.now); err != nil {
				t.Fatal(err)
			}
			waits(t, l, p, "4.7.5", "may (default)", words)
		})
	}
}

// troubleWords is what the log says of a broken TLS.
func troubleWords(t *testing.T, log string) string {
	t.Helper()
	_, words, ok := strings.Cut(log, "continuing without TLS\" error=")
	words, _, _ = strings.Cut(words, "\n")
	if !ok || len(words) < 5 {
		t.Errorf("no reason in %s", log)
	}
	if plain, err := strconv.Unquote(words); err == nil {
		return plain
	}
	return words
}

// steady is the same for each of the ways in which a closed connection is noticed.
func steady(words string) string {
	return strings.NewReplacer("connection reset by peer", "GONE", "broken pipe", "GONE",
		"it closed the connection", "GONE").Replace(words)
}

// waits sends a message that has to wait, and nothing of it in the clear.
func waits(t *testing.T, l *lab, p *peer, code, rule, words string) {
	t.Helper()
	l.part()
	clear, secure := p.where()
	err := l.send(far)[0].Err
	if status.Exit(err) != status.TempFail || status.Enhanced(err) != code ||
		!strings.Contains(err.Error(), "; the TLS rule is "+rule) || !strings.Contains(steady(err.Error()), steady(words)) {
		t.Errorf("%v, want %s, %s and %s", err, code, rule, words)
	}
	if c, s := p.where(); c != clear || s != secure {
		t.Errorf("%d messages more in the clear, %d in TLS", c-clear, s-secure)
	}
	last := l.log()
	last = last[strings.LastIndex(last, "event=untrusted"):]
	for _, want := range []string{"key=KEY", "host=a.example", "addr=192.0.2.1", `rule="` + rule + `"`} {
		if !strings.Contains(last, want) {
			t.Errorf("no %s in %s", want, last)
		}
	}
}

// A refusal inside TLS is no reason to do without TLS, and neither is a session that
// breaks later.
func TestRefusedInsideTLS(t *testing.T) {
	conf := serverTLS(t)
	for name, c := range map[string]struct {
		command, reply string
		exit           int
		why            string
	}{
		"EHLO, 421":      {"EHLO", "421 4.3.2 too busy", 75, "421 4.3.2 too busy"},
		"EHLO, 554":      {"EHLO", "554 5.7.1 not you", 75, "554 5.7.1 not you"},
		"MAIL, closed":   {"MAIL", hangUp, 75, "MAIL FROM"},
		"RCPT, closed":   {"RCPT", hangUp, 75, "RCPT TO"},
		"DATA, closed":   {"DATA", hangUp, 75, "DATA"},
		"text, closed":   {"DATA", cutText, 75, ""},
		"answer, closed": {".", hangUp, 75, "final dot"},
		"answer, 451":    {".", "451 4.3.0 later", 75, "451 4.3.0 later"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			p := offersTLS(t, accepts(conf), func(command string) string {
				if strings.HasPrefix(command, c.command) {
					return c.reply
				}
				return ""
			})
			l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
			l.host("a.example", "192.0.2.1", p)
			err := l.send(far)[0].Err
			if status.Exit(err) != c.exit || !strings.Contains(err.Error(), c.why) {
				t.Errorf("exit %d: %v", status.Exit(err), err)
			}
			if clear, _ := p.where(); clear != 0 {
				t.Errorf("%d messages in the clear", clear)
			}
			if sessions, _, _ := p.seen(); sessions != 1 {
				t.Errorf("%d sessions", sessions)
			}
		})
	}
}

// TestRules: what each level makes of a host, as the log and the reason say it.
func TestRules(t *testing.T) {
	conf, other := serverTLSFor(t, "a.example"), serverTLSFor(t, "b.example")
	leaf := func(c *tls.Config) (whole, key string) { return tlsrule.Fingerprints(leafOf(t, c)) }
	whole, key := leaf(conf)
	wrong, _ := leaf(other)
	old := conf.Clone()
	old.MaxVersion = tls.VersionTLS12
	exchange := old.Clone()
	exchange.Certificates = []tls.Certificate{rsaCertificate(t, "a.example")}
	exchange.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
	for name, c := range map[string]struct {
		row  string
		host *tls.Config // nil: no TLS
		code string      // "": the message goes out
		want string      // in the event
	}{
		"default":             {"#", conf, "", `tls="TLS1.3 \S+" verified=yes rule="may \(default\)"`},
		"default, in clear":   {"#", nil, "", `addr=192.0.2.1 rule="may \(default\)"`},
		"unverified":          {"#", other, "", `verified=no rule="may \(default\)"`},
		"old key exchange":    {"#", exchange, "", `tls="TLS1.2 TLS_RSA_WITH_AES_128_GCM_SHA256" verified=no`},
		"old, encrypt":        {": encrypt", exchange, "", `tls="TLS1.2 TLS_RSA_WITH_AES_128_GCM_SHA256" verified=no`},
		"old, verify":         {": verify", exchange, "4.7.5", `reason=".*handshake failure`},
		"none":                {": none", conf, "", `addr=192.0.2.1 rule="none \(control/tls-policy:1\)"`},
		"may":                 {": may", nil, "", `rule="may \(control/tls-policy:1\)"`},
		"encrypt":             {": encrypt", other, "", `verified=no rule="encrypt \(control/tls-policy:1\)"`},
		"encrypt, no TLS":     {": encrypt", nil, "4.7.4", `reason="it does not offer STARTTLS"`},
		"min, met":            {": encrypt min=1.3", conf, "", `tls="TLS1.3 `},
		"min, not met":        {": encrypt min=1.3", old, "4.7.5", `reason=".*protocol version`},
		"verify":              {": verify", conf, "", `verified=yes rule="verify name=a.example \(control/tls-policy:1\)"`},
		"verify, other name":  {": verify", other, "4.7.5", `reason="its certificate`},
		"verify, our name":    {": verify name=b.example", conf, "4.7.5", `reason="its certificate is for .*127.0.0.1, not for b.example"`},
		"verify, no TLS":      {": verify", nil, "4.7.4", `rule="verify name=a.example \(control/tls-policy:1\)" reason="it does not offer STARTTLS"`},
		"fingerprint":         {": fingerprint " + wrong + " " + whole, conf, "", `verified=yes rule="fingerprint \(control/tls-policy:1\)"`},
		"key":                 {": fingerprint " + key, conf, "", `verified=yes rule="fingerprint`},
		"fingerprint, wrong":  {": fingerprint " + wrong, conf, "4.7.5", `reason="the fingerprint of its certificate is ` + whole + `, that of its key ` + key},
		"fingerprint, no TLS": {": fingerprint " + wrong, nil, "4.7.4", `rule="fingerprint \(control/tls-policy:1\)"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.trust(conf)
			p := newPeer(t, kind)
			if c.host != nil {
				p = offersTLS(t, accepts(c.host), nil)
			}
			l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
			l.host("a.example", "192.0.2.1", p)
			l.set("tls-policy", strings.Replace(c.row, ":", "elsewhere.example:", 1))
			err := l.logged(far)
			if c.code == "" && err != nil || c.code != "" && (status.Exit(err) != 75 || status.Enhanced(err) != c.code) {
				t.Errorf("%v", err)
			}
			if clear, _ := p.where(); c.code != "" && clear > 0 {
				t.Error("in the clear")
			}
			event := map[bool]string{true: "event=relayed ", false: "event=untrusted "}[c.code == ""]
			match(t, l.log(), event+".*"+c.want)
		})
	}
}

// rsaCertificate is a certificate with the kind of key that an old key exchange needs.
func rsaCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func leafOf(t *testing.T, c *tls.Config) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// logged sends a message and writes the event of the stage for it.
func (l *lab) logged(to string) error {
	m := l.message(letter, to)
	done := m.Done
	m.Done = func(taken []int, by maillog.Remote, reply string) {
		done(taken, by, reply)
		l.Log.Relayed(m.Key, to, by, reply)
	}
	return l.sendMessage(m)[0].Err
}

// Where one host does not meet the rule, the next one may.
func TestNextHostMeetsTheRule(t *testing.T) {
	l := newLab(t)
	bad, good := newPeer(t, kind), offersTLS(t, accepts(serverTLS(t)), nil)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 1}, {Host: "b.example", Pref: 2}}
	l.host("a.example", "192.0.2.1", bad)
	l.host("b.example", "192.0.2.2", good)
	l.set("tls-policy", "elsewhere.example: encrypt")
	if err := l.send(far)[0].Err; err != nil {
		t.Fatal(err)
	}
	if clear, _ := bad.where(); clear != 0 {
		t.Error("the first host got it")
	}
	if _, secure := good.where(); secure != 1 {
		t.Error("the second host did not get it")
	}
}

// Recipients whose domains have different rules do not share a session, though they share
// a route.
func TestRulesOfOneRoute(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, kind)
	l.set("routes", ".: "+p.addr)
	l.set("tls-policy", "strict.example: encrypt\nlax.example: may")
	res := l.send("a@strict.example", "b@lax.example", "c@other.example")
	if status.Enhanced(res[0].Err) != "4.7.4" || res[1].Err != nil || res[2].Err != nil {
		t.Errorf("%v", res)
	}
	if p.count("RCPT TO:<a@") != 0 {
		t.Error("the strict one went in the clear")
	}
}

// TestHeldToTLS: a host that had TLS is held to it; then it is let go.
func TestHeldToTLS(t *testing.T) {
	l := newLab(t)
	l.now = time.Now()
	conf := serverTLS(t)
	var mu sync.Mutex
	has := true
	p := newPeer(t, func(_ int, command string) string {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(command, "EHLO") && has {
			return "250-peer.example\r\n250 STARTTLS"
		}
		return ""
	})
	p.secure = accepts(conf)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
	l.host("a.example", "192.0.2.1", p)
	if err := l.send(far)[0].Err; err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	has = false
	mu.Unlock()
	waits(t, l, p, "4.7.4", "may (default)", "it does not offer STARTTLS; it had TLS on ")
	match(t, l.log(), "`mailrelay forget a.example:25` or a row of control/tls-policy ends that")

	m := l.message("TLS-Required: no\n"+letter, far)
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Errorf("TLS-Required: No: %v", err)
	}
	l.set("tls-policy", "elsewhere.example: may")
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("a row: %v", err)
	}
	l.set("tls-policy", "#")
	waits(t, l, p, "4.7.4", "may (default)", "it had TLS on ")
	l.now = l.now.Add(48 * time.Hour)
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("after two days: %v", err)
	}
	match(t, l.log(), `event=forgot key=- host=a.example:25 reason="it had TLS on \S+ and not since \S+"`)

	for range 2 {
		mu.Lock()
		has = !has
		mu.Unlock()
		l.part()
		err := l.send(far)[0].Err
		if has && err != nil || !has && status.Enhanced(err) != "4.7.4" {
			t.Errorf("again, with TLS %v: %v", has, err)
		}
	}
	if host, had, err := l.Forget("a.example"); host != "a.example:25" || !strings.HasPrefix(had, "TLS on ") || err != nil {
		t.Errorf("%s: %s, %v", host, had, err)
	}
	if err := l.send(far)[0].Err; err != nil {
		t.Errorf("forgotten: %v", err)
	}
	match(t, l.log(), `event=forgot key=- host=a.example:25 reason="mailrelay forget"`)
	if _, _, err := l.Forget("a b"); status.Exit(err) != status.Usage {
		t.Error(err)
	}
}

// Without its file the ratchet holds nothing, and says so.
func TestRatchetWithoutItsFile(t *testing.T) {
	l := newLab(t)
	l.Ratchet = tlsrule.OpenRatchet(control.Open(filepath.Join(l.home, "nowhere"), time.Now))
	p := offersTLS(t, accepts(serverTLS(t)), nil)
	l.route("elsewhere.example", p)
	if err := l.send(far)[0].Err; err != nil {
		t.Fatal(err)
	}
	match(t, l.log(), `event=trouble key=KEY op="remember the TLS of `)
}

// TLS-Required: No lifts the rule for its own message, if it is there once.
func TestTLSRequiredNo(t *testing.T) {
	for text, want := range map[string]bool{
		"TLS-Required: No\n": true, "tls-required:no\n": true, "TLS-Required:\n no \n": true,
		"TLS-Required: Yes\n": false, "TLS-Required: No way\n": false, "": false, "X-TLS-Required: No\n": false,
		"TLS-Required: No\nTLS-Required: No\n": false, "\nTLS-Required: No\n": false,
	} {
		l := newLab(t)
		p := newPeer(t, kind)
		l.route("elsewhere.example", p)
		l.set("tls-policy", "elsewhere.example: encrypt")
		m := l.message(text+"Subject: x\n\nx\n", far)
		err := l.sendMessage(m)[0].Err
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
		m = l.message(text+"Subject: x\n\nx\n", far)
		m.From.Params = "REQUIRETLS"
		if err := l.sendMessage(m)[0].Err; err == nil {
			t.Errorf("%q with REQUIRETLS went out", text)
		}
	}
}

// A tls: route without a row has to be verified.
func TestImplicitTLSIsVerified(t *testing.T) {
	conf := serverTLSFor(t, "peer.example")
	for name, c := range map[string]struct {
		row, want string
		trusted   bool
	}{
		"verified":   {"#", "", true},
		"unknown":    {"#", "its certificate: x509", false},
		"a row":      {".: encrypt", "", false},
		"min":        {".: encrypt min=1.3", "", false},
		"wrong name": {".: verify name=other.example", "not for other.example", true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			if c.trusted {
				l.trust(conf)
			}
			ln, err := tls.Listen("tcp", "127.0.0.1:0", conf)
			if err != nil {
				t.Fatal(err)
			}
			p := peerOn(t, ln, kind)
			l.set("routes", "elsewhere.example: tls:"+p.addr)
			l.set("tls-policy", c.row)
			err = l.logged(far)
			if c.want == "" && err != nil || c.want != "" && (status.Enhanced(err) != "4.7.5" || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v", err)
			}
			if c.want != "" && p.count("") > 0 {
				t.Error("it got a command")
			}
		})
	}
}

// TestExplainTLS: the rule with its place, and the memory.
func TestExplainTLS(t *testing.T) {
	l := newLab(t)
	l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
	l.host("a.example", "192.0.2.1", nil)
	show := func() string {
		t.Helper()
		var trail explain.Trail
		if err := l.Explain(t.Context(), "alice@example.net", far, &trail); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := trail.Write(&b, false); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	match(t, show(), `(?m)^tls: may \(default\)\ntls before: nothing \(a.example:25\)$`)
	if err := l.Ratchet.Worked("a.example:25", true, l.now); err != nil {
		t.Fatal(err)
	}
	match(t, show(), `(?m)^tls before: TLS on \S+, certificate verified \(a.example:25\)$`)
	l.set("tls-policy", "# ours\n.example: verify name=.mail.example min=1.3")
	match(t, show(), `(?m)^tls: verify name=.mail.example min=1.3 \(control/tls-policy:2\)\n[^t]`)
}
