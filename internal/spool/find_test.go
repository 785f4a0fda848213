package spool

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// deferred puts n deferred entries into relay/, due in an hour, without the syncs
// that accepting them costs.
func (f *fixture) deferred(n int) (keys []Key) {
	f.t.Helper()
	due := f.time.Add(time.Hour)
	for i := range n {
		k := Key(fmt.Sprintf("1764000000.M%06dR%016x.mx", i%1000000, i))
		text := []byte("Return-Path: <a@b.example>\nDelivered-To: c@d.example\nReceived: by mx\n with local id " + string(k) + "; x\n\nx\n")
		box := filepath.Join(f.home, "spool/relay")
		name := fileName{k, int64(len(text)), int64(len(text) + 6)}.in(stateDeferred)
		if err := os.WriteFile(filepath.Join(box, "cur", name), text, 0o600); err != nil {
			f.t.Fatal(err)
		}
		reason := filepath.Join(box, "reason", string(k))
		if err := os.WriteFile(reason, []byte(reasonLine(f.time, InboxRelay, "deferred", "down")), 0o600); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Chtimes(reason, due, due); err != nil {
			f.t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

// cpu is the time of processors that this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// linear fails where work for four times as many entries costs far more than
// four times the processor's time.
func linear(t *testing.T, what string, work func(n int) time.Duration) {
	t.Helper()
	few := max(work(1000), 20*time.Millisecond)
	many := work(4000)
	if many > 8*few {
		t.Errorf("%s: %v for 1000 entries, %v for 4000", what, few, many)
	}
}

// Making a whole queue due costs the same per entry, however many there are.
func TestRetryOfManyIsLinear(t *testing.T) {
	linear(t, "retry by keys", func(n int) time.Duration {
		f := newFixture(t)
		keys := f.deferred(n)
		start := cpu(t)
		find := f.sp.Finder()
		for _, k := range keys {
			e, err := find.Find(k)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.sp.Retry(e); err != nil {
				t.Fatal(err)
			}
			e.Close()
		}
		spent := cpu(t) - start
		if left, _ := os.ReadDir(filepath.Join(f.home, "spool/relay/new")); len(left) != n {
			t.Fatalf("%d of %d are due", len(left), n)
		}
		return spent
	})
}

// Looking whether a report of ours is in the spool costs the same per report, however
// long the queue is: a dead smarthost ends thousands of messages at once.
func TestReportsAboutManyAreLinear(t *testing.T) {
	linear(t, "reports", func(n int) time.Duration {
		f := newFixture(t)
		keys := f.deferred(n)
		start := cpu(t)
		for _, k := range keys {
			lies, err := f.sp.has(k)
			if err != nil || !lies {
				t.Fatal(k, lies, err)
			}
			if lies, err = f.sp.has(k.bounce([]string{"c@d.example"}, "mx")); err != nil || lies {
				t.Fatal("a report about", k, lies, err)
			}
		}
		return cpu(t) - start
	})
}

// A report is published once: by the same process, and by another after a crash.
func TestReportIsPublishedOnce(t *testing.T) {
	f := newFixture(t)
	first, second := f.deferred(1)[0], Key("1764000000.M000000R00000000000000ff.mx")
	again, err := Open(f.home, Options{Hostname: "mx.example.net"}) // another process
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for i, step := range []struct {
		sp   *Spool
		of   Key
		want bool
	}{{f.sp, first, true}, {f.sp, first, false}, {f.sp, second, true}, {again, first, false}, {again, second, false}} {
		k := step.of.bounce([]string{"c@d.example"}, "mx.example.net")
		placed, err := step.sp.publishOwn(k, Envelope{To: []Recipient{{Addr: "a@b.example"}}}, []byte("From: x@y\n\nz\n"))
		if err != nil || placed != step.want {
			t.Errorf("step %d: %v, %v", i, placed, err)
		}
	}
	if n := f.count("route/new"); n != 2 {
		t.Errorf("%d reports", n)
	}
}

// A watcher notices that thousands of entries were made due.
func TestAWatcherTakesUpManyInLinearTime(t *testing.T) {
	linear(t, "hurry", func(n int) time.Duration {
		f := newFixture(t)
		keys := f.deferred(n)
		r := f.runner(InboxRelay, nil)
		var err error
		if r.inbox, err = f.sp.inbox(InboxRelay); err != nil {
			t.Fatal(err)
		}
		s := newSchedule(context.Background(), r, true)
		if err := s.scan(stateNew, stateDeferred); err != nil || s.deferred.Len() != n {
			t.Fatalf("%d deferred, %v", s.deferred.Len(), err)
		}
		names := make([]string, 0, n)
		for i := range keys {
			names = append(names, s.deferred.list[(i*7919)%n].name)
		}
		start := cpu(t)
		for _, name := range names {
			n, err := parseName(name)
			if err != nil {
				t.Fatal(err)
			}
			s.add(spot{r.inbox, stateNew, n.String()})
		}
		spent := cpu(t) - start
		for i, l := range s.deferred.list {
			if !l.isNew || l.due != 0 || s.known[l.id()] != jobState(i+1) {
				t.Fatalf("%+v at %d, known at %d", l, i, s.known[l.id()])
			}
		}
		return spent
	})
}

// A Finder's view gets old: it notices what came, moved or went in the meantime.
func TestAFinderFollowsWhatMoves(t *testing.T) {
	f := newFixture(t)
	keys := f.deferred(3)
	find := f.sp.Finder()
	get := func(k Key) *Entry {
		t.Helper()
		e, err := find.Find(k)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
	if e := get(keys[0]); e.Inbox != InboxRelay || e.State() != "deferred" {
		t.Errorf("%s in %s", e.State(), e.Inbox)
	}
	if err := f.sp.Retry(f.find(keys[1])); err != nil {
		t.Fatal(err)
	}
	if e := get(keys[1]); e.State() != "new" {
		t.Errorf("after a retry: %s", e.State())
	}
	if err := f.sp.Reroute(f.find(keys[2])); err != nil {
		t.Fatal(err)
	}
	find.read = find.read.Add(-time.Hour) // it has got old
	if e := get(keys[2]); e.Inbox != InboxRoute {
		t.Errorf("after a reroute: %s", e.Inbox)
	}
	if err := f.sp.Remove(f.find(keys[0])); err != nil {
		t.Fatal(err)
	}
	if _, err := find.Find(keys[0]); status.Exit(err) != status.Refused {
		t.Errorf("after removal: %v", err)
	}
}
