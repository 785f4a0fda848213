package relay

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// another is another process in the same home.
func (l *lab) another() *lab {
	again := &lab{t: l.t, home: l.home, w: l.w, done: map[int]string{}, now: l.now}
	again.Relay = New(l.Control, l.Log, again.clock, nil)
	again.Times, again.DNS, again.Dial = l.Times, l.DNS, l.Dial
	l.t.Cleanup(again.Close)
	return again
}

// explained is what mailrelay explain prints for an address.
func (l *lab) explained(address string) string {
	var trail explain.Trail
	l.Explain(l.t.Context(), "", address, &trail)
	var said strings.Builder
	trail.Write(&said, false)
	return said.String()
}

// TestRestsAcrossRuns: a host that does not answer, and one that has closed with an
// envelope unread, are remembered by the next process; a person's wish ends a rest.
func TestRestsAcrossRuns(t *testing.T) {
	l, p := newLab(t), newPeer(t, always("", hangUp))
	l.route("elsewhere.example", p)
	l.send(far)
	l.known.learn("192.0.2.1:25", style{alone: true, most: 7}, l.now)
	if said := l.explained(far); !strings.Contains(said, "rests: "+p.addr+" could not be reached at ") {
		t.Errorf("explain does not say that the host rests:\n%s", said)
	}
	second := l.another()
	err := second.send(far)[0].Err
	if !status.IsTemporary(err) || !strings.Contains(err.Error(), "could not be reached at ") {
		t.Error(err)
	}
	if sessions, _, _ := p.seen(); sessions != 1 {
		t.Errorf("%d sessions", sessions)
	}
	m := l.message(letter, far)
	m.Asked = time.Now().Add(time.Second)
	l.another().sendMessage(m)
	if sessions, _, _ := p.seen(); sessions != 2 {
		t.Errorf("%d sessions after a person has asked", sessions)
	}
	if s := second.known.style("192.0.2.1:25", l.now); !s.alone || s.most != 7 {
		t.Errorf("%+v", s)
	}
	if s := second.known.style("192.0.2.1:25", l.now.Add(25*time.Hour)); s.alone || s.most != 0 {
		t.Errorf("a day later %+v", s)
	}
	if err := os.WriteFile(filepath.Join(l.home, "run", "hosts"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.another().send(far)
	if sessions, _, _ := p.seen(); sessions != 3 {
		t.Errorf("%d sessions with a broken file", sessions)
	}
}

// TestRCPTRestsNobody: a 4xx to a recipient says nothing about the host.
func TestRCPTRestsNobody(t *testing.T) {
	l, p := newLab(t), newPeer(t, always("RCPT", "451 4.7.1 grey"))
	l.route("elsewhere.example", p)
	l.send(far)
	if _, rests := l.known.rest(p.addr, l.now, time.Time{}); rests || !l.known.isKnown(p.addr, l.now) {
		t.Error("the host rests")
	}
}

// TestCauseForOthers: a process that did not see why a host rests says what failed.
func TestCauseForOthers(t *testing.T) {
	for _, c := range []struct {
		name, want string
		reply      func(int, string) string
		dial       error
	}{
		{"refused", "connection refused, seen by another process", nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}},
		{"no way", "no route to it,", nil, syscall.EHOSTUNREACH},
		{"silent", "no answer to the connection,", nil, os.ErrDeadlineExceeded},
		{"no greeting", "no greeting in time,", always("", sayNone), nil},
		{"cut", "the connection broke before its greeting,", always("", hangUp), nil},
		{"garbage", "a greeting that is not SMTP,", always("", "hello"), nil},
		{"busy", "its reply was 421,", always("", "421 4.7.0 \x1b[31mbusy"), nil},
		{"refuses", "its reply was 554,", always("", "554 5.7.1 go away"), nil},
		{"other", "it failed,", nil, errors.New("strange")},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			if c.name == "no greeting" { // all others greet in time on a busy machine too
				l.Times.Greeting = 50 * time.Millisecond
			}
			if c.dial != nil {
				l.set("routes", "elsewhere.example: 127.0.0.1:9")
				l.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, c.dial }
			} else {
				l.route("elsewhere.example", newPeer(t, c.reply))
			}
			l.send(far)
			err := l.another().send(far)[0].Err
			if !status.IsTemporary(err) || !strings.Contains(err.Error(), " could not be reached at ") || !strings.Contains(err.Error(), ": "+c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
			if said := l.another().explained(far); !strings.Contains(said, c.want) {
				t.Errorf("explain: %s", said)
			}
		})
	}
}

// TestOutageIsKept: a record has all that decides about a rest, and what no outage can be
// is none.
func TestOutageIsKept(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_123)
	for _, o := range []outage{
		{since: now, pause: time.Minute, noted: now, cause: causeCut},
		{since: now.Add(-time.Hour), pause: longestSlow, noted: now.Add(time.Millisecond), cause: 599},
	} {
		if got := outageOf(o.entry(), longestSlow); !got.since.Equal(o.since) || got.pause != o.pause || !got.noted.Equal(o.noted) || got.cause != o.cause {
			t.Errorf("%+v became %+v", o, got)
		}
	}
	short := outage{since: now, pause: time.Second, noted: now}
	if got := outageOf(short.entry(), longestPause); got.pause != time.Minute {
		t.Errorf("a second became %v", got.pause)
	}
	long := outage{since: now, pause: time.Hour, noted: now}
	if got := outageOf(long.entry(), longestPause); got != (outage{}) {
		t.Errorf("%+v is longer than a host rests", got)
	}
}
