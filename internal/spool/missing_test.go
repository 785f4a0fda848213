package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// Tools that copy a home may leave out empty directories: they are made, and the mail
// that is there goes on.
func TestMissingDirectoriesAreMade(t *testing.T) {
	home := t.TempDir()
	if err := Init(home); err != nil {
		t.Fatal(err)
	}
	first, err := Open(home, Options{Hostname: "mx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	env := Envelope{From: Path{Addr: "a@example.org"}, To: []Recipient{{Addr: "b@example.net"}}}
	body := first.Buffer()
	defer body.Close()
	if _, err := body.Write([]byte("Subject: x\n\ny\n")); err != nil {
		t.Fatal(err)
	}
	key, err := first.Accept(InboxRoute, env, nil, Trace{By: "mx.example.net", With: "ESMTP"}, body)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	for _, gone := range []string{"check", "deliver/tmp", "deliver/new", "deliver/cur", "route/tmp", "route/cur", "route/reason", "hold/new"} {
		if err := os.RemoveAll(filepath.Join(home, "spool", gone)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(home, Options{Hostname: "mx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Accept(InboxCheck, env, nil, Trace{By: "mx.example.net", With: "ESMTP"}, body); err != nil {
		t.Errorf("accept into check/: %v", err)
	}
	r := &Runner{Spool: s, Inbox: InboxRoute, Retry: func() (control.Retry, error) { return control.Retry{Steps: []time.Duration{time.Minute}}, nil },
		Handle: func(context.Context, *Entry) Outcome { return HandOnTo(InboxDeliver) }}
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(InboxDeliver); err != nil || len(list) != 1 || list[0].Key != key {
		t.Errorf("deliver/ holds %v, %v", list, err)
	}
	// Without the mark the volume is not mounted: nothing is made.
	if err := errors.Join(os.Remove(filepath.Join(home, "spool", Mark)), os.RemoveAll(filepath.Join(home, "spool/relay"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(home, Options{}); status.Exit(err) != status.TempFail {
		t.Errorf("without the mark: %v", err)
	}
	if _, err := os.Stat(filepath.Join(home, "spool/relay")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("made without the mark: %v", err)
	}
}
