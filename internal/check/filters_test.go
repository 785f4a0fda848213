package check

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/milter/miltertest"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

var (
	pk  = miltertest.Packet
	pks = miltertest.Packets
)

// filtering is a checker with these rows; "SOCK" stands for the milter.
func filtering(t *testing.T, rows string, m *miltertest.Server) (*Checker, *bytes.Buffer) {
	var events bytes.Buffer
	c := settings(t, "filters", strings.ReplaceAll(rows, "SOCK", m.Path))
	k := checkerOf(c, nil)
	k.Log = maillog.To(&events, "mailcheck", time.Now)
	k.Buffer = func() *message.Buffer {
		return message.NewBuffer(func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "") }, nil)
	}
	return k, &events
}

const fromAlice = "From: alice@example.net\nSubject: x\n\nhello\n"

func textOf(t *testing.T, b spool.Body) string {
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a milter answers at the end of a message, and what becomes of that.
func TestMilterVerdicts(t *testing.T) {
	for _, x := range []struct {
		name   string
		answer []byte
		action control.CheckAction
		reply  string // code and status
		reason string
	}{
		{"continue", pk('c'), "accept", "", ""},
		{"accept", pk('a'), "accept", "", ""},
		{"reject", pk('r'), "refuse", "550 5.7.1", "refused by a filter"},
		{"tempfail", pk('t'), "defer", "451 4.7.1", "a filter asks to try again later"},
		{"reply", pk('y', "552 5.7.9 much spam\x00"), "refuse", "552 5.7.9", "much spam"},
		{"reply 4xx", pk('y', "452 4.2.2 later\x00"), "defer", "452 4.2.2", "later"},
		{"shutdown", pk('4'), "defer", "421 4.7.0", "closing the connection"},
		{"discard", pk('d'), "discard", "550 5.7.1", "filters: test: discard"},
		{"quarantine", pks(pk('q', "bad\x00"), pk('c')), "hold", "550 5.7.1", "filters: test: quarantine: bad"},
		{"all recipients removed", pks(pk('-', "<bob@x.example>\x00"), pk('c')), "discard", "550 5.7.1", "filters: test: it has removed all recipients"},
		{"junk", pks(pk('h', "X-Spam\x00Yes, score=9\x00"), pk('c')), "junk", "", "filters: test: X-Spam: Yes, score=9"},
		{"no junk", pks(pk('h', "X-Spam\x00No\x00"), pk('c')), "accept", "", ""},
		{"away", pk('?'), "defer", "451 4.7.1", "a mail filter gives no answer, try again later: " +
			"filter test gives no answer at end of message: milter: end: action read: unexpected code: 63"},
	} {
		for _, stage := range []byte("EMR") {
			if stage != 'E' && len(x.answer) > 5 && x.answer[4] != 'y' {
				continue // a change
			}
			m := (&miltertest.Server{Answers: map[byte][]byte{stage: x.answer}}).Start(t)
			k, events := filtering(t, "test: milter:unix:SOCK time=1s end=1s 'junk=X-Spam: Yes'\n", m)
			s := inbox
			s.Body = spool.BytesBody([]byte(fromAlice))
			v := k.Message(t.Context(), s, nil)
			reply := ""
			if v.Err != nil {
				code, enhanced, _ := status.Reply(v.Err)
				reply = strings.Join([]string{string(rune('0' + code/100)), string(rune('0' + code/10%10)), string(rune('0' + code%10))}, "") + " " + enhanced
			}
			reason := x.reason
			if stage != 'E' && x.name == "away" {
				reason = v.Reason()
				if !strings.Contains(reason, "gives no answer at ") {
					t.Error(reason)
				}
			}
			if v.Action != x.action || reply != x.reply || v.Reason() != reason {
				t.Errorf("%s at %c: %s %s %q, want %s %s %q\n%s", x.name, stage, v.Action, reply, v.Reason(), x.action, x.reply, x.reason, events)
			}
		}
	}
}

// What its row says of a milter that is away, never silently.
func TestMilterAway(t *testing.T) {
	for away, want := range map[string]control.CheckAction{"tempfail": "defer", "accept": "accept", "tag": "accept"} {
		for name, m := range map[string]*miltertest.Server{
			"gone":    {Path: "/nonexistent"},
			"hangs":   (&miltertest.Server{Answers: map[byte][]byte{'M': {}}}).Start(t),
			"at once": (&miltertest.Server{HangUp: 'O'}).Start(t),
			"end":     (&miltertest.Server{HangUp: 'E'}).Start(t),
		} {
			k, events := filtering(t, "test: milter:unix:SOCK time=1s away="+away+"\n", m)
			s := inbox
			s.Body, s.Key = spool.BytesBody([]byte(fromAlice)), "KEY"
			v := k.Message(t.Context(), s, nil)
			if v.Action != want || v.Changed != (away == "tag") {
				t.Errorf("%s %s: %s %v", away, name, v.Action, v.Err)
			}
			if got := events.String(); strings.Count(got, "event=filter-away key=KEY filter=test does="+away+" why=") != 1 {
				t.Errorf("%s %s: events %s", away, name, got)
			}
		}
	}
}

// Filters see the message in the order of the rows, each as those before it left it, and
// what they add stands on top.
func TestMiltersInOrder(t *testing.T) {
	first := (&miltertest.Server{Answers: map[byte][]byte{'E': pks(pk('h', "X-One\x001\x00"), pk('b', "new\r\n"),
		pk('+', "<carol@example.net>\x00"), pk('e', "<new@example.net>\x00"), pk('c'))}}).Start(t)
	second := (&miltertest.Server{Answers: map[byte][]byte{'E': pks(miltertest.Numbered('m', 1, "X-One", "2"), pk('c'))}}).Start(t)
	k, events := filtering(t, "one: milter:unix:SOCK\ntwo: milter:unix:"+second.Path+"\nnot: for=outside milter:unix:/nonexistent\n", first)
	s := from("alice@example.net", inbox)
	s.Body = spool.BytesBody([]byte(fromAlice))
	var trail explain.Trail
	sess := k.Session()
	defer sess.Close()
	v := sess.Message(t.Context(), s, &trail)
	if v.Action != "accept" || !v.Changed {
		t.Fatalf("%s %v", v.Action, v.Err)
	}
	if got := textOf(t, v.Body); got != "X-One: 2\nFrom: alice@example.net\nSubject: x\n\nnew\n" {
		t.Errorf("%q", got)
	}
	if v.Envelope.From.Addr != "new@example.net" || len(v.Envelope.To) != 2 || v.Envelope.To[1].Addr != "carol@example.net" {
		t.Errorf("%+v", v.Envelope)
	}
	if got := strings.Join(second.Saw(), " "); !strings.Contains(got, "LX-One|1|") || second.Body() != "new\r\n" {
		t.Errorf("%s, %q", got, second.Body())
	}
	if got := second.Saw(); got[0] != "Clocalhost|4\x00\x00127.0.0.1|" && !strings.HasPrefix(got[0], "Clocalhost|4") || got[1] != "Hlocalhost|" {
		t.Errorf("%q", got)
	}
	if !strings.Contains(events.String(), `event=filter-changed key=- filter=one what="1 fields, body, sender, 1 recipients"`) {
		t.Errorf("%s", events)
	}
	var out bytes.Buffer
	if err := trail.Write(&out, false); err != nil || !strings.Contains(out.String(), "filter one: accept (control/filters:1)") {
		t.Errorf("%v %s", err, &out)
	}
}

// A session has one connection to each milter, and a milter may refuse at any stage.
func TestMilterInTheSession(t *testing.T) {
	for stage, name := range map[byte]string{'C': "connect", 'H': "helo", 'M': "mail", 'R': "rcpt"} {
		m := (&miltertest.Server{Answers: map[byte][]byte{stage: pk('y', "550 5.7.9 no "+name+"\x00")}}).Start(t)
		k, _ := filtering(t, "test: milter:unix:SOCK\n", m)
		sess := k.Session()
		var errs []error
		for range 2 { // messages
			errs = append(errs, sess.Connect(t.Context(), peer), sess.Helo(t.Context(), peer), sess.Mail(t.Context(), peer),
				sess.Rcpt(t.Context(), spool.Recipient{Addr: "alice@example.net"}))
			sess.Reset()
		}
		sess.Close()
		got := ""
		for i, err := range errs {
			if err != nil && i < 4 {
				got += [...]string{"connect ", "helo ", "mail ", "rcpt "}[i]
				if code, enhanced, text := status.Reply(err); code != 550 || enhanced != "5.7.9" || text != "no "+name {
					t.Errorf("%d %s %s", code, enhanced, text)
				}
			}
		}
		if !strings.HasPrefix(got, name) {
			t.Errorf("%s: refused at %s", name, got)
		}
	}
}

// A milter that was away at the greeting is asked again at MAIL; what then counts is its row.
func TestMilterComesBack(t *testing.T) {
	m := (&miltertest.Server{HangUp: 'C'}).Start(t)
	k, events := filtering(t, "test: milter:unix:SOCK\n", m)
	sess := k.Session()
	defer sess.Close()
	if err := sess.Connect(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	if err := sess.Mail(t.Context(), peer); err == nil || !status.IsTemporary(err) {
		t.Errorf("%v", err)
	}
	sess.Reset()
	m.Hang(0)
	if err := sess.Mail(t.Context(), peer); err != nil {
		t.Errorf("%v", err)
	}
	if got := strings.Count(events.String(), "filter-away"); got != 1 {
		t.Errorf("%s", events)
	}
}

// The connections of a process to one filter are bounded.
func TestConnectionsAreBounded(t *testing.T) {
	m := (&miltertest.Server{}).Start(t)
	k, events := filtering(t, "test: milter:unix:SOCK connections=1 connect=1s\n", m)
	one, two := k.Session(), k.Session()
	defer two.Close()
	if err := one.Mail(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	if err := two.Mail(t.Context(), peer); err == nil || !status.IsTemporary(err) || !strings.Contains(events.String(), "all 1 connections are in use") {
		t.Errorf("%v %s", err, events)
	}
	one.Close()
	two.Reset()
	if err := two.Mail(t.Context(), peer); err != nil {
		t.Error(err)
	}
}

// In check/ a message that a milter changes becomes a child; one that it leaves alone is
// the entry as it was.
func TestMilterInTheStage(t *testing.T) {
	for _, x := range []struct {
		name   string
		answer []byte
		route  string // what the entry holds below our Received
		hold   string
	}{
		{"nothing", pk('c'), fromAlice, ""},
		{"a field", pks(pk('h', "X\x00y\x00"), pk('c')), "X: y\n" + fromAlice, ""},
		{"a body", pks(pk('b', "new"), pk('c')), "From: alice@example.net\nSubject: x\n\nnew\n", ""},
		{"quarantine", pks(pk('h', "X\x00y\x00"), pk('q', "why\x00"), pk('c')), "", fromAlice},
		{"discard", pk('d'), "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := (&miltertest.Server{Answers: map[byte][]byte{'E': x.answer}}).Start(t)
			home := t.TempDir()
			writeControl(t, home, "hostname", "mx.example.net\n", "domains", "example.net\n", "filters", "test: milter:unix:"+m.Path+"\n")
			if err := spool.Init(home); err != nil {
				t.Fatal(err)
			}
			var events bytes.Buffer
			log := maillog.To(&events, "mailcheck", time.Now)
			sp, err := spool.Open(home, spool.Options{Hostname: "mx.example.net", Log: log})
			if err != nil {
				t.Fatal(err)
			}
			defer sp.Close()
			env := from("alice@example.net", inbox).Envelope
			key, err := sp.Accept(spool.InboxCheck, env, nil, spool.Trace{By: "mx", With: spool.WithLocal}, spool.BytesBody([]byte(fromAlice)))
			if err != nil {
				t.Fatal(err)
			}
			c := control.Open(home, time.Now)
			k := checkerOf(c, nil)
			k.Log, k.Buffer = log, sp.Buffer
			stage := &Stage{Checker: k, Settle: (&settle.Settler{Control: c, Log: log, Now: time.Now, Home: home}).Settle}
			r := &spool.Runner{Spool: sp, Inbox: spool.InboxCheck, Handle: stage.Handle, Retry: c.Retry}
			if err := r.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			for in, want := range map[spool.Inbox]string{spool.InboxRoute: x.route, spool.InboxHold: x.hold, spool.InboxCheck: ""} {
				if got := below(t, sp, in, key); got != want {
					t.Errorf("%s has %q, want %q\n%s", in, got, want, &events)
				}
			}
			if got := m.Macros('M'); !strings.HasPrefix(got, "i|"+string(key)+"|") {
				t.Errorf("macros %s", got)
			}
		})
	}
}

// below returns what the entries of an inbox hold below our fields; their keys begin with
// key.
func below(t *testing.T, sp *spool.Spool, in spool.Inbox, key spool.Key) string {
	list, err := sp.List(in)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, l := range list {
		e, err := sp.Finder().Find(l.Key)
		if err != nil {
			t.Fatal(err)
		}
		if l.Key.Root() != key {
			t.Errorf("key %s, of %s", l.Key, key)
		}
		text += textOf(t, e.Message())
		e.Close()
	}
	return text
}
