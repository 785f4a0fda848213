package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// lmtpRoute sends a domain to a peer by LMTP.
func (l *lab) lmtpRoute(p *peer) { l.set("routes", "elsewhere.example: lmtp:"+p.addr) }

var three = []string{"a@elsewhere.example", "b@elsewhere.example", "c@elsewhere.example"}

// Each recipient has an answer of its own: what one host, reached by LMTP, can say or do
// wrong, and what becomes of three recipients.
func TestLMTPAnswers(t *testing.T) {
	long := strings.Repeat("250-more\r\n", 100000)
	for _, c := range []struct {
		name  string
		reply func(int, string) string
		want  string // of each recipient: its exit status and enhanced code
		text  string // part of an error
	}{
		{"all taken", always(".", "250 2.0.0 <a> ok\r\n250 2.0.0 <b> ok\r\n250 2.0.0 <c> ok"), "0, 0, 0", ""},
		{"one over quota", always(".", "250 ok\r\n552 5.2.2 <b> full\r\n250 ok"), "0, 69 5.2.2, 0", "final dot: 552 5.2.2 <b> full"},
		{"one for now", always(".", "250 ok\r\n250 ok\r\n452 4.2.2 <c> full"), "0, 0, 75 4.2.2", "final dot: 452 4.2.2 <c> full"},
		{"one unknown", both(always("RCPT TO:<b@", "550 5.1.1 nobody"), always(".", "250 ok\r\n250 ok")), "0, 69 5.1.1, 0",
			"RCPT TO:<b@elsewhere.example>: 550 5.1.1 nobody"},
		{"dies after one answer", always(".", "250 ok\r\n"+hangUp), "0, 75 4.4.2, 75 4.4.2", "final dot: it closed the connection"},
		{"dies after a refusal", always(".", "250 ok\r\n550 5.7.1 no\r\n"+hangUp), "0, 69 5.7.1, 75 4.4.2", ""},
		{"dies in an answer", always(".", "250 ok\r\n25"+hangUp), "0, 75 4.4.2, 75 4.4.2", ""},
		{"garbage among the answers", always(".", "250 ok\r\nyes\r\n250 ok"), "0, 75 4.4.2, 75 4.4.2", ""},
		{"silence after one answer", always(".", "250 ok"), "0, 75 4.4.2, 75 4.4.2", "no answer in time"},
		{"another 2xx", always(".", "250 ok\r\n251 fine\r\n200 fine"), "0, 0, 0", ""},
		{"an answer that a text cannot have", always(".", "250 ok\r\n354 more\r\n250 ok"), "0, 75 4.4.2, 75 4.4.2", ""},
		{"421 for one", always(".", "250 ok\r\n421 4.3.2 bye\r\n250 ok"), "0, 75 4.3.2, 0", ""},
		{"100,000 lines", always(".", "250 ok\r\n"+long+"250 ok\r\n250 ok"), "0, 75 4.4.2, 75 4.4.2", "too long"},
		{"endless line", always(".", "250 ok\r\n250 "+strings.Repeat("x", 1<<20)), "0, 75 4.4.2, 75 4.4.2", ""},
		{"not LMTP", always("LHLO", "500 what"), "75 4.4.2, 75 4.4.2, 75 4.4.2", "does not know LHLO"},
		{"not LMTP either", always("LHLO", "502 5.5.1 what"), "75 4.4.2, 75 4.4.2, 75 4.4.2", "does not know LHLO"},
		{"greeting 5xx", always("", "554 go away"), "75 4.3.2, 75 4.3.2, 75 4.3.2", "554 go away"},
		{"greeting closes", always("", hangUp), "75 4.4.2, 75 4.4.2, 75 4.4.2", "it closed the connection"},
		{"greeting 100,000 lines", always("", strings.ReplaceAll(long, "250", "220")+"220 x"), "75 4.4.2, 75 4.4.2, 75 4.4.2", "too long"},
		{"LHLO 4xx", always("LHLO", "451 later"), "75 4.0.0, 75 4.0.0, 75 4.0.0", "LHLO mx.example.net: 451 later"},
		{"MAIL 4xx", always("MAIL", "450 4.1.8 busy"), "75 4.1.8, 75 4.1.8, 75 4.1.8", "MAIL FROM:<alice@example.net>: 450 4.1.8 busy"},
		{"MAIL 5xx", always("MAIL", "550 5.1.8 no"), "69 5.1.8, 69 5.1.8, 69 5.1.8", ""},
		{"MAIL 3xx", always("MAIL", "354 what"), "75 4.4.2, 75 4.4.2, 75 4.4.2", "cannot have"},
		{"RCPT closes", always("RCPT TO:<b@", hangUp), "75 4.4.2, 75 4.4.2, 75 4.4.2", "it closed the connection"},
		{"RCPT 421", always("RCPT TO:<b@", "421 4.3.2 bye"), "75 4.4.2, 75 4.3.2, 75 4.4.2", "421 4.3.2 bye"},
		{"RCPT too many", both(once("RCPT TO:<b@", "452 4.5.3 too many"), answersFor()), "0, 0, 0", ""},
		{"DATA 5xx", always("DATA", "554 5.5.1 no"), "69 5.5.1, 69 5.5.1, 69 5.5.1", "DATA: 554 5.5.1 no"},
		{"DATA 2xx", always("DATA", "250 ok"), "75 4.4.2, 75 4.4.2, 75 4.4.2", ""},
		{"cut in the text", always("DATA", cutText), "75 4.4.2, 75 4.4.2, 75 4.4.2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, p := newLab(t), newPeer(t, c.reply)
			if c.text == "no answer in time" { // any other answer comes in time on a busy machine too
				l.Times.Answer = 300 * time.Millisecond
			}
			l.lmtpRoute(p)
			res := l.send(three...)
			var got, texts []string
			for i, r := range res {
				word := fmt.Sprint(status.Exit(r.Err))
				if r.Err != nil {
					word += " " + status.Enhanced(r.Err)
					texts = append(texts, r.Err.Error())
				}
				if (l.done[i] != "") != (r.Err == nil) {
					t.Errorf("recipient %d: done %q, error %v", i, l.done[i], r.Err)
				}
				got = append(got, word)
			}
			if strings.Join(got, ", ") != c.want || !strings.Contains(strings.Join(texts, "\n"), c.text) {
				t.Errorf("%q, want %q: %q does not have %q", got, c.want, texts, c.text)
			}
		})
	}
}

// both replies as the first that has a reply.
func both(list ...func(int, string) string) func(int, string) string {
	return func(n int, command string) string {
		for _, f := range list {
			if reply := f(n, command); reply != "" {
				return reply
			}
		}
		return ""
	}
}

// once replies so once.
func once(prefix, reply string) func(int, string) string {
	first := true
	return func(_ int, command string) string {
		if first && strings.HasPrefix(command, prefix) {
			first = false
			return reply
		}
		return ""
	}
}

// answersFor gives an answer for each recipient of the transaction.
func answersFor() func(int, string) string {
	n := 0
	return func(_ int, command string) string {
		switch verb, _, _ := strings.Cut(command, " "); verb {
		case "MAIL":
			n = 0
		case "RCPT":
			n++
		case ".":
			return strings.TrimSuffix(strings.Repeat("250 ok\r\n", n), "\r\n")
		}
		return ""
	}
}

// The text begins at our result fields, goes out with CRLF and dots, and no address
// twice: answers are told apart by it.
func TestLMTPText(t *testing.T) {
	l, p := newLab(t), newPeer(t, answersFor())
	l.lmtpRoute(p)
	m := l.message(letter, "a@elsewhere.example", "b@elsewhere.example", "a@elsewhere.example")
	m.To[0].Params = "NOTIFY=SUCCESS"
	results := "Authentication-Results: mx.example.net; spf=pass\n" + letter
	m.Results = io.NewSectionReader(strings.NewReader(results), 0, int64(len(results)))
	for _, r := range l.sendMessage(m) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	_, commands, texts := p.seen()
	wire := strings.ReplaceAll(strings.ReplaceAll(results, "\n", "\r\n"), "\r\n.", "\r\n..") + ".\r\n"
	if len(texts) != 2 || texts[0] != wire || texts[1] != wire {
		t.Errorf("%q, want %q", texts, wire)
	}
	if all := strings.Join(commands, "|"); strings.Count(all, "RCPT TO:<a@") != 2 || strings.Count(all, "LHLO ") != 2 ||
		!strings.Contains(all, "LHLO mx.example.net|MAIL FROM:<alice@example.net>|RCPT TO:<a@elsewhere.example>|RCPT TO:<b@elsewhere.example>|DATA") {
		t.Error(all)
	}
}

// A Unix socket, and one that nobody serves.
func TestLMTPSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	l.Dial = new(net.Dialer).DialContext
	var full atomic.Bool
	peerOn(t, listener, func(n int, command string) string {
		if full.Load() {
			return always(".", "552 5.2.2 full")(n, command)
		}
		return always(".", "250 2.0.0 stored")(n, command)
	})
	l.set("routes", "elsewhere.example: lmtp:"+path)
	if err := l.send(far)[0].Err; err != nil || l.done[0] != "250 2.0.0 stored" {
		t.Error(err, l.done)
	}
	full.Store(true)
	if r := l.send(far)[0]; r.RemoteMTA != "" || !strings.Contains(r.Err.Error(), "lmtp:"+path+": final dot: 552 5.2.2 full") {
		t.Errorf("%+v", r)
	}
	listener.Close()
	l = newLab(t)
	l.Dial = new(net.Dialer).DialContext
	l.set("routes", "elsewhere.example: lmtp:"+path)
	if err := l.send(far)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "lmtp:"+path+": connect: no such file or directory") {
		t.Error(err)
	}
}

// A silent host costs no more than its time limit, and a message that cannot be read gets
// no final dot.
func TestLMTPSilence(t *testing.T) {
	t.Parallel() // it waits
	for _, at := range []string{"", "LHLO", "MAIL", "RCPT", "DATA", "."} {
		l, p := newLab(t), newPeer(t, always(at, sayNone))
		l.lmtpRoute(p)
		l.Times.Mail, l.Times.Answer = 100*time.Millisecond, 100*time.Millisecond
		if err := l.send(far)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%q: %v", at, err)
		}
	}
}

func TestLMTPUnreadable(t *testing.T) {
	var broken atomic.Bool // once it was measured
	l, p := newLab(t), newPeer(t, func(_ int, command string) string {
		broken.Store(broken.Load() || command == "DATA")
		return ""
	})
	l.lmtpRoute(p)
	m := l.message(longLetter, far)
	m.Results = io.NewSectionReader(readerAt(func(b []byte, off int64) (int, error) {
		if broken.Load() {
			return 0, errors.New("bad disk")
		}
		return strings.NewReader(longLetter).ReadAt(b, off)
	}), 0, int64(len(longLetter)))
	if err := l.sendMessage(m)[0].Err; !status.IsTemporary(err) || !strings.Contains(err.Error(), "bad disk") {
		t.Error(err)
	}
	if _, _, texts := p.seen(); len(texts) > 0 && strings.HasSuffix(texts[0], "\r\n.\r\n") {
		t.Errorf("%q", texts)
	}
}

// longLetter is not kept in memory: it is read again for each use.
var longLetter = letter + strings.Repeat(strings.Repeat("x", 63)+"\n", 2*maxInMemory/64)

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }

// When we are told to stop, a session gets a moment, not its whole time.
func TestLMTPStop(t *testing.T) {
	l, p := newLab(t), newPeer(t, always(".", sayNone))
	l.lmtpRoute(p)
	l.Times.Answer, l.Times.Grace = time.Minute, 50*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, cancel)
	begin := time.Now()
	m := l.message(letter, far)
	if err := l.Send(ctx, m, []int{0})[0].Err; !status.IsTemporary(err) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Error(took)
	}
}

// What an LMTP host cannot take.
func TestLMTPSuited(t *testing.T) {
	offers := func(lines string) func(int, string) string {
		return always("LHLO", "250-peer.example\r\n"+lines+"250 ENHANCEDSTATUSCODES")
	}
	for _, c := range []struct {
		name, offers, to, params string
		want                     string
	}{
		{"a header in UTF-8", "", far, "", "5.6.7"},
		{"a header in UTF-8, offered", "250-SMTPUTF8\r\n250-8BITMIME\r\n", far, "", ""},
		{"too large", "250-SIZE 10\r\n", far, "", "5.3.4"},
		{"too large once it is converted", "250-SIZE 400\r\n", far, "", "5.3.4"},
		{"small enough where it need not be", "250-SIZE 400\r\n250-8BITMIME\r\n", far, "", ""},
		{"an address in UTF-8", "", "f\u00e4r@elsewhere.example", "", "5.6.7"},
		{"an address in UTF-8, offered", "250-SMTPUTF8\r\n", "f\u00e4r@elsewhere.example", "", ""},
		{"REQUIRETLS on this machine", "", far, "REQUIRETLS", ""},
	} {
		l, p := newLab(t), newPeer(t, offers(c.offers))
		l.lmtpRoute(p)
		text, with := letter, "ESMTP"
		switch {
		case strings.HasPrefix(c.name, "a header"):
			text, with = "Subject: \u00fc\n"+letter, "UTF8SMTP"
		case strings.Contains(c.name, "convert"), strings.Contains(c.name, "need not"):
			text = "From: alice@example.net\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
				strings.Repeat("\u00fc", 100) + "\n"
		}
		m := l.message(text, c.to)
		m.With = with
		m.From = spool.Path{Addr: m.From.Addr, Params: c.params}
		if err := l.sendMessage(m)[0].Err; err == nil && c.want != "" || err != nil && status.Enhanced(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	l := newLab(t)
	l.set("routes", "elsewhere.example: lmtp:192.0.2.1:24")
	l.w.peers["192.0.2.1:24"] = newPeer(t, kind).addr
	m := l.message(letter, far)
	m.From.Params = "REQUIRETLS"
	if err := l.sendMessage(m)[0].Err; status.Enhanced(err) != "5.7.30" {
		t.Error(err)
	}
}

// DSN parameters are passed on to a host that offers DSN, and no others.
func TestLMTPParameters(t *testing.T) {
	l, p := newLab(t), newPeer(t, always("LHLO", "250-peer.example\r\n250-8BITMIME\r\n250-SIZE\r\n250 DSN"))
	l.lmtpRoute(p)
	m := l.message(letter, far)
	m.From.Params, m.To[0].Params = "RET=HDRS ENVID=q+2B7", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+40y.example"
	if res := l.sendMessage(m)[0]; res.Err != nil || res.Relayed {
		t.Errorf("%+v", res)
	}
	_, commands, _ := p.seen()
	all := strings.Join(commands, "|")
	if !strings.Contains(all, "|MAIL FROM:<alice@example.net> BODY=8BITMIME SIZE=") || !strings.Contains(all, " RET=HDRS ENVID=q+2B7|") ||
		!strings.Contains(all, "|RCPT TO:<far@elsewhere.example> NOTIFY=SUCCESS,FAILURE ORCPT=RFC822;x@y.example|") {
		t.Error(all)
	}
	if !strings.Contains(all, fmt.Sprint("SIZE=", len(strings.ReplaceAll(letter, "\n", "\r\n")))) {
		t.Error(all)
	}
}
