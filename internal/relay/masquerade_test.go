package relay

import (
	"strings"
	"testing"

	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// What hosts see of a message from this machine: the reverse path, and the fields that a
// reply goes to. Addresses of other domains, names, comments and the text stay.
func TestMasquerade(t *testing.T) {
	const header = "From: root@MX.example.net (Cron Daemon)\nTo: root@mx.example.net\n" +
		"Reply-To: \"A, B\" <alice@example.net>,\n bob@elsewhere.example\nSender: broken@@example.net\n" +
		"Subject: root@mx.example.net\n"
	const body = "\nFrom: root@mx.example.net\n"
	for _, c := range []struct{ mask, from, mail, header string }{
		{"", "root@mx.example.net", "root@mx.example.net", header},
		{"me@provider.example", "root@mx.example.net", "me@provider.example",
			"From: me@provider.example (Cron Daemon)\nTo: root@mx.example.net\n" +
				"Reply-To: \"A, B\" <me@provider.example>,\n bob@elsewhere.example\nSender: broken@@example.net\n" +
				"Subject: root@mx.example.net\n"},
		{"Provider.example", "alice@example.net", "alice@provider.example",
			"From: root@provider.example (Cron Daemon)\nTo: root@mx.example.net\n" +
				"Reply-To: \"A, B\" <alice@provider.example>,\n bob@elsewhere.example\nSender: broken@@example.net\n" +
				"Subject: root@mx.example.net\n"},
		{"me@provider.example", "", "", ""},
		{"me@provider.example", "stranger@far.example", "stranger@far.example", ""},
	} {
		l := newLab(t)
		l.set("domains", "example.net")
		if c.mask != "" {
			l.set("masquerade", c.mask)
		}
		p := newPeer(t, kind)
		l.route("elsewhere.example", p)
		m := l.message(header+body, far)
		m.From.Addr = c.from
		if err := l.sendMessage(m)[0].Err; err != nil {
			t.Fatal(err)
		}
		_, commands, texts := p.seen()
		if want := "MAIL FROM:<" + c.mail + ">"; !strings.HasPrefix(commands[1], want) {
			t.Errorf("%s: %s, want %s", c.mask, commands[1], want)
		}
		want := strings.ReplaceAll(c.header+body+".\n", "\n", "\r\n")
		if c.header != "" && texts[0] != want {
			t.Errorf("%s:\n%q, want\n%q", c.mask, texts[0], want)
		}
	}
}

// A broken setting delays mail, and the declared size is that of what is sent.
func TestMasqueradeBroken(t *testing.T) {
	l := newLab(t)
	p := newPeer(t, kind)
	l.route("elsewhere.example", p)
	l.set("masquerade", "not an address")
	if err := l.send(far)[0].Err; status.Exit(err) != status.TempFail {
		t.Error(err)
	}
	l.set("domains", "example.net")
	l.set("masquerade", "a-much-longer-address@provider.example")
	m := l.message("From: a@example.net\n\nx\n", far)
	m.From = spool.Path{Addr: "a@example.net"}
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Error(err)
	}
	match(t, strings.Join(func() []string { _, c, _ := p.seen(); return c }(), "|"), `MAIL FROM:<a-much-longer-address@provider.example> SIZE=51\|`)
}

// Rows of control/rewrite for what leaves come before control/masquerade, and are for messages
// of ours alone: what is passed on for a stranger keeps its bytes.
func TestRewriteLeaving(t *testing.T) {
	const header = "From: root@box.example.net\nTo: bob@box.example.net, x@elsewhere.example\nReply-To: ann@example.net\nSubject: x\n\nx\n"
	for _, c := range []struct {
		ours             bool
		from, mail, text string
	}{
		{true, "root@box.example.net", "me@provider.example", "From: me@provider.example\nTo: bob@provider.example, x@elsewhere.example\nReply-To: ann@mask.example\nSubject: x\n\nx\n"},
		{true, "", "", "From: me@provider.example\nTo: bob@provider.example, x@elsewhere.example\nReply-To: ann@mask.example\nSubject: x\n\nx\n"},
		{false, "root@box.example.net", "root@box.example.net", "From: root@box.example.net\nTo: bob@box.example.net, x@elsewhere.example\nReply-To: ann@mask.example\nSubject: x\n\nx\n"},
	} {
		l := newLab(t)
		l.set("domains", "example.net")
		l.set("masquerade", "mask.example")
		l.set("rewrite", "out root@box.example.net: me@provider.example\nout @.example.net: @provider.example")
		p := newPeer(t, kind)
		l.route("elsewhere.example", p)
		m := l.message(header, far)
		m.From.Addr, m.Ours = c.from, c.ours
		if err := l.sendMessage(m)[0].Err; err != nil {
			t.Fatal(err)
		}
		_, commands, texts := p.seen()
		if want := "MAIL FROM:<" + c.mail + ">"; !strings.HasPrefix(commands[1], want) {
			t.Errorf("%s, want %s", commands[1], want)
		}
		if want := strings.ReplaceAll(c.text+".\n", "\n", "\r\n"); texts[0] != want {
			t.Errorf("%q, want %q", texts[0], want)
		}
	}
}
