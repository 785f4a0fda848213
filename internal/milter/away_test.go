package milter

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Death at every stage, in every form, is an error that names filter and stage, and comes
// in time.
func TestEveryDeath(t *testing.T) {
	long := strings.Repeat("x", maxPacket+1)
	for code, at := range map[byte]Stage{'O': AtConnect, 'C': AtConnect, 'H': AtHelo, 'M': AtSender, 'R': AtRecipient,
		'L': AtHeader, 'N': AtHeaderEnd, 'B': AtBody, 'E': AtEnd} {
		for _, c := range []struct {
			name   string
			answer []byte // nil: it hangs up
			want   string
		}{
			{"close", nil, "the filter closed the connection"},
			{"half a packet", []byte{0, 0, 0, 9, 'c'}, "i/o timeout"},
			{"silence", silence, "i/o timeout"},
			{"progress without end", packets(packet('p'), packet('p')), "i/o timeout"},
			{"garbage", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "a packet of 1213486159 octets"},
			{"nothing", []byte{0, 0, 0, 0, 0}, "a packet of 0 octets"},
			{"oversized", packet('c', long), "a packet of"},
			{"unknown", packet('?'), "unexpected code"},
			{"connection failure", packet('f'), "the filter reports a failed connection"},
			{"a change out of place", packet('h', "X\x00y\x00"), "unexpected code"},
			{"half a reply", packet('y', "550"), "unexpected"},
			{"no reply code", packet('y', "abc no\x00"), "unexpected"},
		} {
			if code == 'O' && (c.name == "unknown" || strings.Contains(c.name, "reply") || c.name == "a change out of place") {
				c.want = "unexpected code"
			}
			if code == 'E' && c.name == "a change out of place" {
				c.want = "i/o timeout" // it is in place, and no answer follows
			}
			if c.name == "half a reply" || c.name == "no reply code" {
				c.want = "action read: "
				if code == 'O' {
					c.want = "unexpected code"
				}
			}
			t.Run(string(code)+" "+c.name, func(t *testing.T) {
				t.Parallel()
				m := (&scripted{answers: map[byte][]byte{}}).start(t)
				if c.answer == nil {
					m.HangUp = code
				} else {
					m.Answers[code] = c.answer
				}
				var r result
				var away *Away
				// A machine that is busy takes longer for what comes before.
				for _, wait := range []time.Duration{100 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
					m.filter.Read, m.filter.End = wait, wait
					if r = converse(t.Context(), t, m); errors.As(r.err, &away) && away.Stage == at {
						break
					}
				}
				if away == nil || away.Stage != at || away.Filter != "test" || !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("%v, want %q at %s", r.err, c.want, at)
				}
				if r.changes != nil && r.changes.Text() {
					t.Error("something is changed")
				}
			})
		}
	}
}

// A milter that cannot be reached.
func TestNotThere(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, f := range []Filter{
		{Name: "gone", Network: "unix", Address: "/nonexistent/milter"},
		{Name: "gone", Network: "tcp", Address: "127.0.0.1:1", Connect: time.Second},
		{Name: "gone", Network: "unix", Address: l.Addr().String(), Read: 50 * time.Millisecond, Send: time.Second}, // nobody accepts
	} {
		_, err := Dial(t.Context(), f)
		var away *Away
		if !errors.As(err, &away) || away.Stage != AtConnect || !strings.HasPrefix(err.Error(), "filter gone gives no answer at connect: ") {
			t.Errorf("%v", err)
		}
	}
}

// Progress does not prolong an answer for ever, and a cancelled context ends it at once.
func TestTimeIsBounded(t *testing.T) {
	m := (&scripted{}).start(t)
	s := m.dial(t)
	s.guard.filter.Read, s.guard.filter.End = 200*time.Millisecond, 300*time.Millisecond
	client, server := net.Pipe()
	s.guard.Conn.Close()
	s.guard.Conn = client
	var both sync.WaitGroup
	both.Go(func() { io.Copy(io.Discard, server) })
	both.Go(func() {
		for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
			_, err = server.Write(packet('p'))
		}
	})
	start := time.Now()
	_, err := s.Helo(t.Context(), greeting)
	if took := time.Since(start); err == nil || took < 250*time.Millisecond || took > 20*time.Second {
		t.Errorf("%v after %s", err, took)
	}
	server.Close()
	both.Wait()

	m = (&scripted{answers: map[byte][]byte{'M': silence}}).start(t)
	m.filter.Read, m.filter.End = time.Minute, time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := converse(ctx, t, m); !errors.Is(r.err, context.DeadlineExceeded) {
		t.Errorf("%v", r.err)
	}
}
