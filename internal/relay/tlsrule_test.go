package relay

import (
	"crypto/tls"
	"strconv"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/status"
	"paperpath/internal/tlsrule"
)

// TestTLSBrokenAtEachStep: wherever TLS breaks before a host has answered inside it, the
// message goes in the clear, with the reason in the log; where a rule demands TLS, or the
// host had it, it waits.
func TestTLSBrokenAtEachStep(t *testing.T) {
	conf := serverTLS(t)
	for name, broken := range breaks(conf) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if name == "silence" { // whatever else breaks it does so in time on a busy machine too
				l.Times.Handshake = 200 * time.Millisecond
			}
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
	t.Parallel() // it waits
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
