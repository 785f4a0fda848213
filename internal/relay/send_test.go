package relay

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dns"
	"paperpath/internal/status"
)

const far = "far@elsewhere.example"

// TestPeerTrouble: what one host, reached by a route, can do wrong, and what becomes of
// the recipient.
func TestPeerTrouble(t *testing.T) {
	long := strings.Repeat("250-more\r\n", 100000)
	for _, c := range []struct {
		name     string
		reply    func(int, string) string
		exit     int
		enhanced string
		text     string // part of the error
		dots     int    // texts that ended with a dot
	}{
		{"greeting 4xx", always("", "421 4.3.2 not now"), 75, "4.3.2", "greeting: 421 4.3.2 not now", 0},
		{"greeting 5xx", always("", "554 go away"), 75, "4.3.2", "greeting: 554 go away", 0},
		{"greeting 521", always("", "521 no mail here"), 69, "5.0.0", "greeting: 521 no mail here", 0},
		{"greeting closes", always("", hangUp), 75, "4.4.2", "greeting: it closed the connection", 0},
		{"greeting garbage", always("", "\x00\xff\x1b[2Jhello"), 75, "4.4.2", `greeting: its answer is not SMTP: "\x00\xff\x1b[2Jhello"`, 0},
		{"greeting 100k lines", always("", strings.ReplaceAll(long, "250", "220")+"220 x"), 75, "4.4.2", "its reply is longer than 65536 octets", 0},
		{"greeting endless line", always("", "220 "+strings.Repeat("x", 1<<20)), 75, "4.4.2", "is longer than 8192 octets", 0},
		{"greeting two lines", always("", "220-one\r\n220 two"), 0, "", "", 1},
		{"greeting code changes", always("", "220-one\r\n250 two"), 75, "4.4.2", "not SMTP", 0},
		{"EHLO 4xx", always("EHLO", "451 later"), 75, "4.0.0", "EHLO mx.example.net: 451 later", 0},
		{"EHLO 5xx", always("EHLO", "550 5.7.1 not you"), 75, "4.3.2", "EHLO mx.example.net: 550 5.7.1 not you", 0},
		{"EHLO unknown, HELO", always("EHLO", "500 what"), 0, "", "", 1},
		{"MAIL 4xx", always("MAIL", "450 4.1.8 busy"), 75, "4.1.8", "MAIL FROM:<alice@example.net> SIZE=", 0},
		{"MAIL 5xx", always("MAIL", "550-5.1.8 no\r\n550 5.1.8 really"), 69, "5.1.8", "550-5.1.8 no 550 5.1.8 really", 0},
		{"MAIL closes", always("MAIL", hangUp), 75, "4.4.2", "it closed the connection", 0},
		{"MAIL 2xx of another kind", always("MAIL", "251 fine"), 0, "", "", 1},
		{"RCPT 4xx", always("RCPT", "450 4.2.1 grey"), 75, "4.2.1", "RCPT TO:<far@elsewhere.example>: 450 4.2.1 grey", 0},
		{"RCPT 5xx", always("RCPT", "550 5.1.1 nobody"), 69, "5.1.1", "550 5.1.1 nobody", 0},
		{"RCPT 452 to the first", always("RCPT", "452 4.2.2 full"), 75, "4.2.2", "452 4.2.2 full", 0},
		{"RCPT enhanced of another class", always("RCPT", "550 4.1.1 odd"), 69, "5.0.0", "550 4.1.1 odd", 0},
		{"DATA 4xx", always("DATA", "451 4.3.0 hm"), 75, "4.3.0", "DATA: 451 4.3.0 hm", 0},
		{"DATA 5xx", always("DATA", "554 5.5.1 no"), 69, "5.5.1", "DATA: 554 5.5.1 no", 0},
		{"DATA 2xx", always("DATA", "250 ok"), 75, "4.4.2", `DATA: an answer that this command cannot have: "250 ok"`, 0},
		{"dot 4xx", always(".", "451 4.3.0 again"), 75, "4.3.0", "final dot: 451 4.3.0 again", 1},
		{"dot 5xx", always(".", "554 5.6.0 dislike"), 69, "5.6.0", "final dot: 554 5.6.0 dislike", 1},
		{"dot closes", always(".", hangUp), 75, "4.4.2", "final dot: it closed the connection", 1},
		{"dot half an answer", always(".", "250-ok\r\n25"), 75, "4.4.2", "final dot", 1},
		{"dot garbage", always(".", "yes"), 75, "4.4.2", "final dot", 1},
		{"dot 2xx of another kind", always(".", "200 fine"), 0, "", "", 1},
		{"dot 3xx", always(".", "354 more"), 75, "4.4.2", `final dot: an answer that this command cannot have: "354 more"`, 1},
		{"an answer that nobody asked for", always("MAIL", "250 ok\r\n250 ok"), 75, "4.4.2", `DATA: an answer that this command cannot have: "250 2.0.0 ok"`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, p := newLab(t), newPeer(t, c.reply)
			if c.name == "dot 3xx" { // any other answer comes in time on a busy machine too
				l.Times.Answer = 500 * time.Millisecond
			}
			l.route("elsewhere.example", p)
			res := l.send(far)[0]
			if got := status.Exit(res.Err); got != c.exit {
				t.Fatalf("exit %d, want %d: %v", got, c.exit, res.Err)
			}
			if c.exit == 0 {
				if l.done[0] == "" {
					t.Error("not marked as done")
				}
			} else {
				if got := status.Enhanced(res.Err); got != c.enhanced {
					t.Errorf("enhanced %s, want %s", got, c.enhanced)
				}
				if text := res.Err.Error(); !strings.Contains(text, c.text) || !strings.Contains(text, p.addr) {
					t.Errorf("error %q does not name %q and %s", text, c.text, p.addr)
				}
			}
			_, _, texts := p.seen()
			dots := 0
			for _, text := range texts {
				if strings.HasSuffix(text, "\r\n.\r\n") {
					dots++
				}
			}
			if dots != c.dots {
				t.Errorf("%d texts ended with a dot, want %d: %q", dots, c.dots, texts)
			}
		})
	}
}

// TestSilence: a silent host costs no more than its time limit.
func TestSilence(t *testing.T) {
	t.Parallel() // it waits
	for _, at := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run("at "+at, func(t *testing.T) {
			l, p := newLab(t), newPeer(t, always(at, sayNone))
			l.route("elsewhere.example", p)
			soon := 100 * time.Millisecond
			l.Times.Greeting, l.Times.Hello, l.Times.Mail, l.Times.Rcpt, l.Times.Data, l.Times.Answer = soon, soon, soon, soon, soon, soon
			err := l.send(far)[0].Err
			if !status.IsTemporary(err) || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestTextOnTheWire: the octets, dots doubled, line ends CRLF, a stray CR
// never sent, nothing added.
func TestTextOnTheWire(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{letter, "Received: by mx.example.net\r\n with local id X; now\r\nSubject: hello\r\n\r\nhello\r\n..\r\n...two\r\nlast\r\n.\r\n"},
		{"a: b\n\nno end", "a: b\r\n\r\nno end\r\n.\r\n"},
		{"a: b\r\n\r\ncrlf\r\n", "a: b\r\n\r\ncrlf\r\n.\r\n"},
		{"a: b\n\nx\ry\r\r\nz\r", "a: b\r\n\r\nx y \r\nz \r\n.\r\n"},
		{".\n", "..\r\n.\r\n"},
		{"\n.\r.\n", "\r\n.. .\r\n.\r\n"},
		{"a: \xc3\xa4\n\n" + strings.Repeat("x", 998) + "\n", "a: \xc3\xa4\r\n\r\n" + strings.Repeat("x", 998) + "\r\n.\r\n"},
	} {
		l, p := newLab(t), newPeer(t, kind)
		l.route("elsewhere.example", p)
		if err := l.sendMessage(l.message(c.in, far))[0].Err; err != nil {
			t.Fatal(err)
		}
		if _, _, texts := p.seen(); len(texts) != 1 || texts[0] != c.out {
			t.Errorf("%.40q: sent %q", c.in, texts)
		}
	}
}

// FuzzCleaner: what goes out has no bare CR and no bare LF, and is the same text apart
// from line ends and stray CRs, however it is read.
func FuzzCleaner(f *testing.F) {
	for _, s := range []string{"", "a\nb\r\nc\rd\r", "\r\r\n\n", "\n\r", "x"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, size int) {
		size = 1 + (size&0x7fffffff)%7
		c := newCleaner(strings.NewReader(s), int64(len(s)))
		var b strings.Builder
		if _, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{c}, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(s, "\r\n", "\n")
		want = strings.ReplaceAll(strings.ReplaceAll(want, "\r", " "), "\n", "\r\n")
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\r\n"
		}
		if b.String() != want {
			t.Fatalf("%q becomes %q, want %q", s, b.String(), want)
		}
	})
}

// TestOwnTrouble: a message that cannot be read to its end is never ended with a dot,
// and no other host is tried.
func TestOwnTrouble(t *testing.T) {
	text := letter + strings.Repeat("0123456789\n", 20000)
	for name, broken := range map[string]io.ReaderAt{
		"read error": failAt{strings.NewReader(text), 100000},
		"cut file":   strings.NewReader(text[:100000]),
	} {
		t.Run(name, func(t *testing.T) {
			l, p := newLab(t), newPeer(t, kind)
			l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 1}, {Host: "b.example", Pref: 2}}
			l.host("a.example", "192.0.2.1", p)
			l.host("b.example", "192.0.2.2", p)
			m := l.message(text, far)
			m.Content = io.NewSectionReader(broken, 0, int64(len(text)))
			// measure would fail already; this tests what happens if the text changes
			// after it.
			m.shape.octets = 1000
			d, done := l.pool.dest("elsewhere.example", 1)
			defer done()
			failed, f := l.pool.send(context.Background(), d, terms{host: host{name: "a.example",
				addr: netip.MustParseAddrPort("192.0.2.1:25")}, helo: "me"}, m, []int{0})
			if f != nil {
				t.Fatal(f.err)
			}
			if failed[0] == nil || !failed[0].ours || !status.IsTemporary(failed[0].err) || failed[0].elsewhere {
				t.Fatalf("%+v", failed[0])
			}
			waitFor(t, func() bool { _, _, texts := p.seen(); return len(texts) == 1 })
			if _, _, texts := p.seen(); strings.HasSuffix(texts[0], "\n.\r\n") {
				t.Errorf("the cut text was ended: %q", texts[0][len(texts[0])-40:])
			}
			if err := l.sendMessage(m)[0].Err; !status.IsTemporary(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

type failAt struct {
	r io.ReaderAt
	n int64
}

func (f failAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.n {
		return 0, errors.New("input/output error")
	}
	return f.r.ReadAt(p, off)
}

// TestSessionLimit: a host that answers each command just in time cannot hold
// a session for ever.
func TestSessionLimit(t *testing.T) {
	l, p := newLab(t), newPeer(t, always("MAIL", sayNone))
	l.route("elsewhere.example", p)
	l.Times.Mail, l.Times.Session = time.Hour, 200*time.Millisecond
	if err := l.send(far)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "no answer in time") {
		t.Error(err)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestCloseInText: the text is big enough that the client notices the closed
// connection.
func TestCloseInText(t *testing.T) {
	t.Parallel() // it waits
	big := letter + strings.Repeat(strings.Repeat("x", 70)+"\n", 200000)
	for _, c := range []struct {
		reply string
		exit  int
	}{{cutText, 75}, {refuseIn, 69}} {
		l, p := newLab(t), newPeer(t, func(_ int, command string) string {
			switch {
			case command == "DATA":
				return c.reply
			case strings.HasPrefix(command, "EHLO"):
				return "250 peer.example"
			}
			return ""
		})
		l.route("elsewhere.example", p)
		res := l.sendMessage(l.message(big, far))[0]
		// A reset may come before the refusal is read: then it is temporary.
		if got := status.Exit(res.Err); got != c.exit && got != 75 {
			t.Errorf("%s: exit %d, %v", c.reply, got, res.Err)
		}
		if !strings.Contains(res.Err.Error(), "message text") {
			t.Errorf("%v", res.Err)
		}
	}
}

// TestNextHost: which failures send a message to the next MX.
func TestNextHost(t *testing.T) {
	for _, c := range []struct {
		name  string
		first func(int, string) string // nil: the host is down
		exit  int
		next  int // sessions of the second host
	}{
		{"down", nil, 0, 1},
		{"greeting 4xx", always("", "421 no"), 0, 1},
		{"greeting 5xx", always("", "554 no"), 0, 1},
		{"greeting 521", always("", "521 no mail here"), 0, 1},
		{"closes at once", always("", hangUp), 0, 1},
		{"no SMTP", always("", "hello"), 0, 1},
		{"EHLO 4xx", always("EHLO", "451 no"), 0, 1},
		{"EHLO closes", always("EHLO", hangUp), 0, 1},
		{"RCPT 556, a null MX there", always("RCPT", "556 5.1.10 no"), 69, 0},
		{"MAIL 4xx", always("MAIL", "451 no"), 0, 1},
		{"MAIL 5xx", always("MAIL", "550 no"), 69, 0},
		{"RCPT 4xx", always("RCPT", "451 no"), 0, 1},
		{"RCPT 5xx", always("RCPT", "550 no"), 69, 0},
		{"RCPT 421 and close", always("RCPT", "421 no"), 0, 1},
		{"DATA closes", always("DATA", hangUp), 0, 1},
		{"dot 4xx", always(".", "451 no"), 0, 1},
		{"dot closes: it may have the message", always(".", hangUp), 75, 0},
		{"too small", func(_ int, c string) string {
			if strings.HasPrefix(c, "EHLO") {
				return "250-a\r\n250 size 10"
			}
			return ""
		}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, second := newLab(t), newPeer(t, kind)
			l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example", Pref: 10}, {Host: "b.example", Pref: 20}}
			var first *peer
			if c.first != nil {
				first = newPeer(t, c.first)
			}
			l.host("a.example", "192.0.2.1", first)
			l.host("b.example", "192.0.2.2", second)
			res := l.send(far)[0]
			sessions, _, _ := second.seen()
			if got := status.Exit(res.Err); got != c.exit || sessions != c.next {
				t.Errorf("exit %d, want %d; %d sessions with the next, want %d: %v", got, c.exit, sessions, c.next, res.Err)
			}
		})
	}
}
