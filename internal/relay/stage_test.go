package relay

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// stage is a lab with a spool.
type stage struct {
	*lab
	spool *spool.Spool
}

func newStage(t *testing.T) *stage {
	t.Helper()
	l := newLab(t)
	if err := spool.Init(l.home); err != nil {
		t.Fatal(err)
	}
	sp, err := spool.Open(l.home, spool.Options{Now: l.clock, Hostname: "mx.example.net", Log: l.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	return &stage{l, sp}
}

// accept puts a message from a local submitter into relay/.
func (s *stage) accept(to ...string) {
	s.t.Helper()
	body := s.spool.Buffer()
	defer body.Close()
	body.Write([]byte("From: alice@example.net\nTo: undisclosed\nSubject: \xc3\xa4\n\n.\nlast\n"))
	env := spool.Envelope{From: spool.Path{Addr: "alice@example.net"}}
	for _, a := range to {
		env.To = append(env.To, spool.Recipient{Addr: a})
	}
	if _, err := s.spool.Accept(spool.InboxRelay, env, []string{"X-Result: pass\n"}, spool.Trace{By: "mx.example.net", With: spool.WithLocal}, body); err != nil {
		s.t.Fatal(err)
	}
}

// run works on all that is due, in few sessions.
func (s *stage) run(ctx context.Context) {
	s.t.Helper()
	s.runIn(ctx, 4)
}

// runIn is run in at most n sessions, and as many that begin.
func (s *stage) runIn(ctx context.Context, n int) {
	s.t.Helper()
	most := func() int { return n }
	r := s.Runner(most, most)
	r.Spool, r.Inbox, r.Retry, r.Close = s.spool, spool.InboxRelay, s.Control.Retry, nil
	if err := r.Run(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// files returns the files of the spool: inbox and state, and content.
func (s *stage) files() map[string]string {
	s.t.Helper()
	got := map[string]string{}
	root := filepath.Join(s.home, "spool")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == spool.Mark || d.Name() == spool.Record {
			return err
		}
		b, err := os.ReadFile(path)
		where, _ := filepath.Rel(root, filepath.Dir(path))
		got[where] += string(b)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// places returns where files are.
func places(files map[string]string) string {
	var list []string
	for where := range files {
		list = append(list, where)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func match(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("no %s in\n%s", pattern, text)
	}
}

// TestAttempts follows one entry with three recipients through its attempts
// and looks at every file of the spool after each.
func TestAttempts(t *testing.T) {
	s := newStage(t)
	s.t = t
	attempt := 0
	p := newPeer(t, func(_ int, command string) string {
		switch {
		case strings.Contains(command, "TO:<no@"):
			return "550-5.1.1 <b>nobody</b>\r\n550 5.1.1 here"
		case strings.Contains(command, "TO:<later@") && attempt < 2:
			return "450 4.2.1 grey"
		}
		return ""
	})
	s.set("routes", "elsewhere.example: "+p.addr)
	s.accept("yes@elsewhere.example", "later@elsewhere.example", "no@elsewhere.example")

	attempt = 1
	s.run(context.Background())
	files := s.files()
	if got := places(files); got != "relay/cur relay/reason route/new" {
		t.Fatalf("after attempt 1: %s\n%s", got, s.log())
	}
	match(t, files["relay/cur"], "^Return-Path: <alice@example.net>\nDelivered_To: yes@elsewhere.example\nDelivered-To: later@elsewhere.example\nDelivered_To: no@elsewhere.example\nX-Result: pass\nReceived: ")
	match(t, files["relay/reason"], `127\.0\.0\.1:\d+: RCPT TO:<later@elsewhere\.example>: 450 4\.2\.1 grey`)
	match(t, files["route/new"], `(?s)^Return-Path: <>\nDelivered-To: alice@example.net\n.*Final-Recipient: rfc822; no@elsewhere\.example.*Status: 5\.1\.1.*550-5\.1\.1 <b>nobody</b> 550 5\.1\.1 here`)
	if strings.Contains(files["route/new"], "Final-Recipient: rfc822; yes@") {
		t.Error("the report names a recipient who was served")
	}

	s.run(context.Background()) // not due yet
	if sessions, _, _ := p.seen(); sessions != 1 {
		t.Errorf("%d sessions", sessions)
	}

	attempt, s.now = 2, s.now.Add(time.Hour)
	s.run(context.Background())
	if got := places(s.files()); got != "route/new" {
		t.Fatalf("after attempt 2: %s\n%s", got, s.log())
	}
	if n := p.count("RCPT TO:<yes@"); n != 1 {
		t.Errorf("a recipient who was served was named %d times", n)
	}
	_, _, texts := p.seen()
	for _, text := range texts {
		match(t, text, "^Received: by mx.example.net\r\n with local id \\S+; [^\r]*\r\nFrom: alice@example.net\r\nTo: undisclosed\r\nSubject: \xc3\xa4\r\n\r\n\\.\\.\r\nlast\r\n\\.\r\n$")
		if strings.Contains(text, "elsewhere.example") {
			t.Errorf("a recipient's address went along:\n%s", text)
		}
	}
	match(t, s.log(), `event=relayed key=\S+ to=yes@elsewhere.example host=127.0.0.1 addr=127.0.0.1 rule="may \(default\)" reply="250 2.0.0 taken as 4711"`)
	match(t, s.log(), `event=failed key=\S+ to=no@elsewhere.example status=5.1.1 reason=".*550 5.1.1 here`)
	match(t, s.log(), `event=deferred key=\S+ inbox=relay .*450 4.2.1 grey`)
}

// TestUnclearAnswer: no answer to the final dot leaves the entry as it was.
func TestUnclearAnswer(t *testing.T) {
	s := newStage(t)
	p := newPeer(t, always(".", hangUp))
	s.set("routes", "elsewhere.example: "+p.addr)
	s.accept(far)
	before := s.files()["relay/new"]
	s.run(context.Background())
	after := s.files()
	if places(after) != "relay/cur relay/reason" || after["relay/cur"] != before {
		t.Errorf("%v", after)
	}
	match(t, after["relay/reason"], "final dot: it closed the connection")
}

// TestRestart: what a process marked before it died is not sent again.
func TestRestart(t *testing.T) {
	s := newStage(t)
	first := newPeer(t, kind)
	second := newPeer(t, always("", "421 not now"))
	s.set("routes", "one.example: "+first.addr+"\ntwo.example: "+second.addr)
	s.accept("a@one.example", "b@two.example")
	r := &spool.Runner{Spool: s.spool, Inbox: spool.InboxRelay, Retry: s.Control.Retry,
		Handle: func(ctx context.Context, e *spool.Entry) spool.Outcome {
			s.Handle(ctx, e)
			panic("killed before the outcome was carried out")
		}}
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	match(t, s.files()["relay/cur"], "\nDelivered_To: a@one.example\nDelivered-To: b@two.example\n")
	s.now = s.now.Add(time.Hour)
	s.run(context.Background())
	if n := first.count("DATA"); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// TestQueueForDeadHost: many entries, one connection, all deferred.
func TestQueueForDeadHost(t *testing.T) {
	s := newStage(t)
	p := newPeer(t, always("", hangUp))
	s.set("routes", "elsewhere.example: "+p.addr)
	for range 20 {
		s.accept(far)
	}
	s.run(context.Background())
	if sessions, _, _ := p.seen(); sessions > perUnknown {
		t.Errorf("%d sessions with a dead host", sessions)
	}
	if _, calling := s.sessions(); calling != 0 {
		t.Errorf("at the end %d sessions are calling", calling)
	}
	if got := places(s.files()); got != "relay/cur relay/reason" {
		t.Error(got)
	}
}

// sessions is how many sessions are open or begin, and how many of them no host has greeted.
func (l *lab) sessions() (open, calling int) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	for _, d := range l.pool.dests {
		open, calling = open+d.sessions, calling+d.calling
	}
	return open, calling
}

// TestGreetingMakesRoom: as soon as a host has greeted, before it answers EHLO, more attempts
// begin, and for them more sessions.
func TestGreetingMakesRoom(t *testing.T) {
	s := newStage(t)
	var greeted atomic.Int32
	enough := make(chan struct{})
	p := newPeer(t, func(_ int, command string) string {
		if command == "" && greeted.Add(1) == firstAllowed+2 {
			close(enough)
		}
		if strings.HasPrefix(command, "EHLO") { // unanswered until then
			select {
			case <-enough:
			case <-time.After(s.Times.Hello / 2):
				return hangUp
			}
		}
		return ""
	})
	s.set("routes", "elsewhere.example: "+p.addr)
	for range 4 * perUnknown {
		s.accept(far)
	}
	s.run(context.Background())
	if got := places(s.files()); got != "" {
		t.Error(got)
	}
}

// TestCallers: once a host has greeted, three times as many sessions as are allowed then may be calling
// besides; two in all before that.
func TestCallers(t *testing.T) {
	s := newStage(t)
	var greeting atomic.Int32
	both, wanted := make(chan struct{}), make(chan struct{})
	wait := func(c chan struct{}) string {
		select {
		case <-c:
			return ""
		case <-time.After(s.Times.Hello / 2):
			return hangUp
		}
	}
	p := newPeer(t, func(_ int, command string) string {
		switch {
		case command == "":
			n := int(greeting.Add(1))
			if n > firstAllowed { // a caller, until there are as many as there may be
				if n == (1+callers)*(firstAllowed+2) {
					close(wanted)
				}
				return wait(wanted)
			}
			if open, calling := s.sessions(); open > firstAllowed || calling > firstAllowed {
				t.Errorf("%d sessions, %d of them calling, before any greeting", open, calling)
			}
			if n == firstAllowed {
				close(both)
			}
			return wait(both)
		case strings.HasPrefix(command, "EHLO"):
			open, _ := s.sessions()
			select {
			case <-wanted:
			default: // only the first ones are greeted
				if open > (1+callers)*(firstAllowed+2) {
					t.Errorf("%d sessions after %d greetings", open, firstAllowed)
				}
			}
			return wait(wanted)
		}
		return ""
	})
	s.set("routes", "elsewhere.example: "+p.addr)
	for range 100 {
		s.accept(far)
	}
	s.runIn(context.Background(), 20)
	if got := places(s.files()); got != "" {
		t.Error(got)
	}
	if n := greeting.Load(); n < (1+callers)*(firstAllowed+2) {
		t.Errorf("%d sessions in all", n)
	}
	if _, calling := s.sessions(); calling != 0 {
		t.Errorf("at the end %d sessions are calling", calling)
	}
}

// If the next host sends no reports, a sender who wants one hears from us that the host
// has the message; otherwise the report is the host's business (RFC 3461 5.2.2).
func TestRelayedReport(t *testing.T) {
	for _, offers := range []bool{false, true} {
		s := newStage(t)
		s.t = t
		p := newPeer(t, func(_ int, command string) string {
			if strings.HasPrefix(command, "EHLO") && offers {
				return "250-peer\r\n250 DSN"
			}
			return ""
		})
		s.route("x.example", p)
		env := spool.Envelope{From: spool.Path{Addr: "alice@example.net"}, To: []spool.Recipient{{Addr: "b@x.example", Params: "NOTIFY=SUCCESS"}}}
		if _, err := s.spool.Accept(spool.InboxRelay, env, nil, spool.Trace{By: "mx.example.net", With: spool.WithLocal}, spool.BytesBody([]byte("a: b\n\nc\n"))); err != nil {
			t.Fatal(err)
		}
		s.run(t.Context())
		got := s.files()
		want := "route/new"
		if offers {
			want = ""
			if p.count("RCPT TO:<b@x.example> NOTIFY=SUCCESS") != 1 {
				t.Error("the wish was not passed on")
			}
		} else {
			match(t, got["route/new"], "\nAction: relayed\n")
		}
		if places(got) != want {
			t.Errorf("DSN offered: %v; files in %q", offers, places(got))
		}
	}
}
