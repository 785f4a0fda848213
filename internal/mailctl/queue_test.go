package mailctl

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// letter is a message body.
type letter struct{ *strings.Reader }

func (l letter) Size() int64 { return l.Reader.Size() }

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // the arrival of every entry

// queueOf returns the queue of a new home and what it prints.
func queueOf(t *testing.T) (Queue, *bytes.Buffer) {
	t.Helper()
	return queueIn(t, newHome(t))
}

func queueIn(t *testing.T, home string) (Queue, *bytes.Buffer) {
	t.Helper()
	sp, err := spool.Open(home, spool.Options{Now: func() time.Time { return epoch }, Shifted: true, Hostname: "mx.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	var out bytes.Buffer
	return Queue{Spool: sp, Now: epoch.Add(2*time.Hour + 5*time.Minute), Out: &out}, &out
}

func accept(t *testing.T, q Queue, in spool.Inbox, from string, to ...string) spool.Key {
	t.Helper()
	env := spool.Envelope{From: spool.Path{Addr: from}}
	for _, addr := range to {
		env.To = append(env.To, spool.Recipient{Addr: addr})
	}
	key, err := q.Spool.Accept(in, env, nil, spool.Trace{Helo: "x", By: "mx.example.org", With: "local"},
		letter{strings.NewReader("Subject: x\n\nhello\n")})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// work runs the inbox once.
func work(t *testing.T, q Queue, in spool.Inbox, handle spool.Handler) {
	t.Helper()
	r := &spool.Runner{Spool: q.Spool, Inbox: in, Handle: handle, Runtime: time.Minute,
		Retry: func() (control.Retry, error) {
			return control.Retry{Steps: []time.Duration{4 * time.Hour}, Lifetime: time.Hour, Attempts: 99}, nil
		}}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestEmptyQueue(t *testing.T) {
	q, out := queueOf(t)
	if err := q.List(); err != nil || out.String() != "queue is empty\n" {
		t.Errorf("%q %v", out, err)
	}
	out.Reset()
	q.JSON = true
	if err := q.List(); err != nil || out.Len() != 0 {
		t.Errorf("%q %v", out, err)
	}
}

func TestQueue(t *testing.T) {
	q, out := queueOf(t)
	key := accept(t, q, spool.InboxRelay, "alice@example.org", "b@c.example", "d@e.example")
	work(t, q, spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		if err := e.Mark(0); err != nil {
			t.Error(err)
		}
		return spool.DeferUntil(epoch.Add(3*time.Hour), "connection refused")
	})
	fresh := accept(t, q, spool.InboxRoute, "", "x@example.org")
	q.Long = true
	if err := q.List(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"route/ 1 entry, no runner\n" + string(fresh) + "  new  ",
		"  2h5m old\n    from    <>\n    to      <x@example.org>\n",
		"relay/ 1 entry, no runner\n" + string(key) + "  deferred  ",
		"    from    <alice@example.org>\n    done    <b@c.example>\n    to      <d@e.example>\n",
		"    tried   1 time, next in 55m0s (2026-11-23 15:00:00Z)\n",
		"connection refused\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), "check/") || strings.Contains(out.String(), "empty") {
		t.Errorf("%s", out)
	}
}

func TestQueueHeldAndRunner(t *testing.T) {
	q, out := queueOf(t)
	accept(t, q, spool.InboxCheck, "a@example.org", "b@example.org")
	work(t, q, spool.InboxCheck, func(context.Context, *spool.Entry) spool.Outcome {
		return spool.HoldBecause("a look\x1b[31m is needed")
	})
	accept(t, q, spool.InboxRoute, "a@example.org", "b@example.org")
	ctx, stop := context.WithCancel(t.Context())
	entered, done := make(chan bool, 1), make(chan error, 1)
	r := &spool.Runner{Spool: q.Spool, Inbox: spool.InboxRoute, Runtime: time.Minute,
		Retry: control.Open(t.TempDir(), time.Now).Retry,
		Handle: func(ctx context.Context, _ *spool.Entry) spool.Outcome {
			entered <- true
			<-ctx.Done()
			return spool.DeferUntil(epoch, "interrupted")
		}}
	go func() { done <- r.Run(ctx) }()
	<-entered
	q.Long = true
	err := q.List()
	stop()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "route/ 1 entry\n") || !strings.Contains(out.String(), "hold/ 1 entry\n") ||
		!strings.Contains(out.String(), "  held  ") || !strings.Contains(out.String(), "is needed") {
		t.Errorf("%s", out)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07") {
		t.Errorf("control characters: %q", out)
	}
}

// A file that somebody put into an inbox is listed, escaped so that a terminal obeys
// nothing in it.
func TestQueueShowsStrangers(t *testing.T) {
	home := newHome(t)
	q, out := queueIn(t, home)
	if err := os.WriteFile(filepath.Join(home, "spool", "route", "new", "by\x1b[2Jhand"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := q.List(); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, `by\x1b[2Jhand`) || !strings.Contains(s, "foreign: ") || strings.Contains(s, "\x1b") {
		t.Errorf("%q", s)
	}
	out.Reset()
	q.JSON = true
	if err := q.List(); err != nil || !json.Valid(out.Bytes()) || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q %v", out, err)
	}
}

func TestQueueJSON(t *testing.T) {
	q, out := queueOf(t)
	key := accept(t, q, spool.InboxRoute, "alice@example.org", "b@c.example", "d@e.example")
	q.JSON = true
	if err := q.List(); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q", out)
	}
	var got queued
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Key != string(key) || got.Inbox != "route" || got.State != "new" || got.From != "alice@example.org" ||
		len(got.To) != 2 || got.To[1].Address != "d@e.example" || got.Age != 7500 || got.Runner || !got.Arrival.Equal(epoch) {
		t.Errorf("%+v", got)
	}
}

func TestSpanAndOctets(t *testing.T) {
	for in, want := range map[time.Duration]string{-time.Hour: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s",
		2*time.Hour + 5*time.Minute: "2h5m", 49 * time.Hour: "2d1h"} {
		if got := span(in); got != want {
			t.Errorf("%v: %s", in, got)
		}
	}
	for in, want := range map[int64]string{0: "0 B", 999: "999 B", 1024: "1.0 KiB", 26214400: "25.0 MiB"} {
		if got := octets(in); got != want {
			t.Errorf("%d: %s", in, got)
		}
	}
}
