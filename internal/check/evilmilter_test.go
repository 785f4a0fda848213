package check

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/milter/miltertest"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// manyPackets is n packets, each made of its number.
func manyPackets(n int, one func(int) []byte) []byte {
	var b bytes.Buffer
	for i := range n {
		b.Write(one(i))
	}
	return b.Bytes()
}

// evilMilter is what a milter answers at the end of a message, and what becomes of that.
type evilMilter struct {
	name   string
	answer []byte
	action control.CheckAction
	say    string // part of the events or of the reason
	silent bool   // it leaves us waiting
}

func evilMilters() []evilMilter {
	field := func(name, value string) []byte { return pk('h', name, "\x00", value, "\x00") }
	size := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	return []evilMilter{
		{"a packet of 4 GiB", size(1<<32-1, 'c'), "defer", "a packet of 4294967294 octets", false},
		{"a packet of 2 GiB", size(1<<31, 'h'), "defer", "a packet of 2147483647 octets", false},
		{"a body of 4 GiB", size(1<<32-1, 'b'), "defer", "the new body is longer than", false},
		{"a body of 100 MB", manyPackets(1600, func(int) []byte { return pk('b', strings.Repeat("x", 65000)) }), "defer", "the new body is longer than", false},
		{"a packet of nothing", size(0), "defer", "gives no answer", true},
		{"a packet that ends early", size(100, 'c', 'x'), "defer", "gives no answer", true},
		{"an answer of the beginning", pk('O', string(miltertest.Words(6, 1, 0))), "defer", "unexpected code", false},
		{"a reply of 1 MB", pk('y', "550 5.7.1 "+strings.Repeat("x", 1<<20)+"\x00"), "defer", "in this answer", false},
		{"a reply of 200 KB", pk('y', "550 5.7.1 "+strings.Repeat("x\r\n550 ", 30000)+"\x00"), "refuse", "", false},
		{"a reply 250", pk('y', "250 2.0.0 fine\x00"), "defer", "a reply with the code 250", false},
		{"a reply 354", pk('y', "354 go on\x00"), "defer", "a reply with the code 354", false},
		{"a reply 600", pk('y', "600 x\x00"), "defer", "a reply with the code 600", false},
		{"a reply with replies in it", pk('y', "550 5.7.1 no\r\n250 OK\r\n221 bye\x00"), "refuse", "", false},
		{"names that are none", pks(field("A\r\nB", "x"), field("A:B", "x"), field("A\x01", "x"), field("", "x"), field(" A", "x"),
			field("A B", "x"), field(strings.Repeat("ä", 3), "x"), pk('h', "A"), pk('c')), "", "", false},
		{"values that break out", pks(field("A", "x\r\nBcc: y\r\n\r\nbody"), field("B", "\n\n"), field("C", "\r\r\r"), field("D", "\x1b]0;x\x07"), pk('c')), "accept", "", false},
		{"fields of ours", pks(field("Return-Path", "<x@y.example>"), field("Delivered-To", "x@y.example"),
			field("Received", "by mx.example.net id KEY; now"), field("Authentication-Results", "mx.example.net; spf=pass"), pk('c')), "accept", "", false},
		{"numbers 0 and 2^31", pks(miltertest.Numbered('m', 0, "Subject", "a"), miltertest.Numbered('m', 1<<31, "Subject", "b"),
			miltertest.Numbered('i', 1<<31, "I", "c"), miltertest.Numbered('i', 1<<32-1, "J", "d"), miltertest.Numbered('m', 1<<32-1, "X", ""), pk('c')), "accept", "", false},
		{"19,000 fields", pks(manyPackets(19000, func(i int) []byte { return miltertest.Numbered('i', uint32(i%3), "X", "y") }), pk('c')), "defer", "fields", false},
		{"19,000 changes", pks(manyPackets(19000, func(i int) []byte { return miltertest.Numbered('m', 1<<30, "Subject", "") }), pk('c')), "accept", "", false},
		{"19,000 recipients", pks(manyPackets(19000, func(i int) []byte { return pk('+', fmt.Sprintf("<u%d@x.example>\x00", i)) }), pk('c')), "defer", "recipients", false},
		{"1,000 recipients, and away again", pks(manyPackets(900, func(i int) []byte { return pk('+', fmt.Sprintf("<u%d@x.example>\x00", i)) }),
			manyPackets(900, func(i int) []byte { return pk('-', fmt.Sprintf("<u%d@x.example>\x00", i)) }), pk('c')), "accept", "", false},
		{"recipients that are none", pks(manyPackets(100, func(i int) []byte {
			return pk('+', []string{"<>", "<a b@x>", "@", "<@x:a@b>", "a@b> NOTIFY=NEVER", "\"a\\\r\nRCPT\"@b", "<a@[1.2.3]>", "a", "\xff@x", strings.Repeat("a", 5000) + "@x"}[i%10], "\x00")
		}), pk('c')), "accept", "event=filter-ignored", false},
		{"a sender that is none", pks(pk('e', "<a b\r\n@x>\x00"), pk('e', "<a@b> SIZE=1\x00"), pk('c')), "accept", "event=filter-ignored", false},
		{"news without end", manyPackets(20001, func(int) []byte { return pk('p') }), "defer", "th of an answer", false},
		{"news that says something", pks(pk('p', "x"), pk('c')), "accept", "", false},
		{"skip at the end", pks(pk('s'), pk('c')), "defer", "unexpected code", false},
		{"two verdicts", pks(pk('a'), pk('r')), "accept", "", false},
		{"changes behind the verdict", pks(pk('c'), field("X", "y"), pk('r')), "accept", "", false},
		{"a quarantine of 100 KB", pks(pk('q', strings.Repeat("\x1b[31m", 20000), "\x00"), pk('c')), "hold", "", false},
	}
}

// Whatever a milter answers, the outcome is one of those that its row allows, comes soon,
// leaves a message that is one, and an envelope within our limits.
func TestEvilMilters(t *testing.T) {
	for _, e := range evilMilters() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			m := (&miltertest.Server{Answers: map[byte][]byte{'E': e.answer}}).Start(t)
			row := "test: milter:unix:SOCK time=30s end=30s\n"
			if e.silent {
				row = "test: milter:unix:SOCK time=1s end=1s\n"
			}
			k, events := filtering(t, row, m)
			s := inbox
			s.Body = spool.BytesBody([]byte(fromAlice))
			began := time.Now()
			v := k.Message(t.Context(), s, nil)
			if took := time.Since(began); took > 25*time.Second {
				t.Errorf("it took %s", took)
			}
			said := events.String() + v.Reason()
			if e.action != "" && v.Action != e.action || !strings.Contains(said, e.say) {
				t.Errorf("%s: %.2000s", v.Action, said)
			}
			harmless(t, v, said)
		})
	}
}

// harmless holds a verdict to what mail may be.
func harmless(t *testing.T, v Verdict, said string) {
	t.Helper()
	if len(said) > 20000 || strings.ContainsFunc(said, func(c rune) bool { return c > '~' || c < ' ' && c != '\n' }) {
		t.Errorf("%d octets of reasons: %.500q", len(said), said)
	}
	if v.Err != nil {
		if code, _, text := status.Reply(v.Err); code < 400 || code > 599 || len(text) > 32*420 || strings.ContainsAny(text, "\r\x00\x1b") {
			t.Errorf("reply %d %.500q", code, text)
		}
	}
	if n := len(v.Envelope.To); v.Passes() && n > 1000 {
		t.Errorf("%d recipients", n)
	}
	for _, to := range v.Envelope.To {
		if strings.ContainsAny(to.Addr, "\r\n\x00<> ") || to.Params != "" {
			t.Errorf("recipient %q %q", to.Addr, to.Params)
		}
	}
	if !v.Changed || !v.Passes() {
		return
	}
	text := textOf(t, v.Body)
	head, body, _ := strings.Cut(text, "\n\n")
	if body != "hello\n" || strings.ContainsAny(head, "\r\x00\x1b") || strings.Contains(head, "\nBcc:") || strings.Count("\n"+head, "\nFrom:") != 1 {
		t.Errorf("%.2000q", text)
	}
}

// A milter that answers nothing, at any stage, costs a message no more than the times of its
// row, and so do its goodbyes: a hundred sessions at a time end soon.
func TestSilentMilter(t *testing.T) {
	m := (&miltertest.Server{Answers: map[byte][]byte{'E': miltertest.Silence()}}).Start(t)
	k, _ := filtering(t, "test: milter:unix:SOCK time=1s end=1s away=accept\n", m)
	began := time.Now()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			s := inbox
			s.Body = spool.BytesBody([]byte(fromAlice))
			if v := k.Message(t.Context(), s, nil); v.Action != control.CheckAccept {
				t.Errorf("%s", v)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("after %s", took)
	}
}

// A session that ends within a transaction tells the milter, and lets go of the connection.
func TestMilterHearsOfTheEnd(t *testing.T) {
	m := (&miltertest.Server{}).Start(t)
	k, _ := filtering(t, "test: milter:unix:SOCK time=30s connections=1\n", m)
	for range 2 { // the one connection is free again
		s := k.Session()
		if err := s.Mail(t.Context(), inbox); err != nil {
			t.Fatal(err)
		}
		if err := s.Rcpt(t.Context(), spool.Recipient{Addr: "alice@example.net"}); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	aborts := func() int { return strings.Count(strings.Join(m.Saw(), " ")+" ", " A ") }
	for until := time.Now().Add(20 * time.Second); aborts() < 2 && time.Now().Before(until); time.Sleep(time.Millisecond) {
	}
	if aborts() != 2 {
		t.Errorf("%q", m.Saw())
	}
}

// Below a pipe, one recipient that a milter refuses refuses the message, whatever it says of
// those behind.
func TestMilterRefusesOneRecipient(t *testing.T) {
	m := (&miltertest.Server{Answers: map[byte][]byte{'R': pks(pk('r'), pk('c'))}}).Start(t) // refused, and the next one not
	k, _ := filtering(t, "test: milter:unix:SOCK time=30s\n", m)
	s := inbox
	s.Envelope = to("bob@x.example")
	s.Envelope.To = append(s.Envelope.To, spool.Recipient{Addr: "carol@x.example"})
	s.Body = spool.BytesBody([]byte(fromAlice))
	if v := k.Message(t.Context(), s, nil); v.Action != control.CheckRefuse {
		t.Errorf("%s, %q", v, m.Saw())
	}
}
