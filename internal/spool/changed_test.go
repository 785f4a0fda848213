package spool

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A message that is accepted into hold/ is there with its reason, and as it came; one that
// cannot be stored leaves neither.
func TestAcceptHeld(t *testing.T) {
	f := newFixture(t)
	env := Envelope{From: Path{Addr: "a@b.example"}, To: []Recipient{{Addr: "bob@example.net"}}}
	trace := Trace{By: "mx.example.net", With: "ESMTP"}
	k := f.sp.Reserve()
	err := f.sp.AcceptHeld(k, env, []string{"X-Ours: 1\n"}, trace, BytesBody([]byte("From: a@b\n\nx\n")), "from: odd")
	if err != nil {
		t.Fatal(err)
	}
	files := f.files()
	if len(files) != 2 || !strings.HasPrefix(files[0], "hold/new/"+string(k)) || files[1] != "hold/reason/"+string(k) {
		t.Fatalf("files are %q", files)
	}
	if got := read(t, filepath.Join(f.home, "spool", files[0])); !strings.HasPrefix(got,
		"Return-Path: <a@b.example>\nDelivered-To: bob@example.net\nX-Ours: 1\nReceived: ") || !strings.HasSuffix(got, "\nFrom: a@b\n\nx\n") {
		t.Errorf("the entry is\n%s", got)
	}
	if got := read(t, filepath.Join(f.home, "spool", files[1])); !strings.HasPrefix(got, "check ") || !strings.HasSuffix(got, " held: from: odd\n") {
		t.Errorf("the reason is %q", got)
	}
	env.To[0].Addr = "no\nline@example.net"
	if err := f.sp.AcceptHeld(f.sp.Reserve(), env, nil, trace, BytesBody(nil), "odd"); err == nil || len(f.files()) != 2 {
		t.Errorf("%v, files are %q", err, f.files())
	}
}

// A child may have the message as a filter has changed it, below the Received of its parent.
// After a crash it is not made again, whatever the filter makes of the message then.
func TestAChangedMessageIsAChild(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxCheck, "From: a@b\n\nbefore\n", "bob@example.net")
	var times int
	change := func(_ context.Context, e *Entry) Outcome {
		times++
		return SplitInto(Child{Inbox: InboxRoute, From: e.Envelope.From, To: e.Envelope.To,
			Message: BytesBody([]byte("X-Times: " + strings.Repeat("x", times) + "\nFrom: a@b\n\nafter\n")), Results: []string{"X-Ours: 1\n"}})
	}
	f.crash(InboxCheck, change)
	f.run(InboxCheck, change)
	path := f.only("route/new")
	got := read(t, path)
	if times != 2 || !strings.HasPrefix(filepath.Base(path), string(k)+"-") {
		t.Errorf("%d times, %s", times, path)
	}
	if !strings.HasPrefix(got, "Return-Path: <alice@example.org>\nDelivered-To: bob@example.net\nX-Ours: 1\nReceived: by mx") ||
		!strings.HasSuffix(got, " +0000\nX-Times: x\nFrom: a@b\n\nafter\n") || strings.Count(got, "Received") != 1 {
		t.Errorf("the child is\n%s", got)
	}
	f.run(InboxRoute, func(_ context.Context, e *Entry) Outcome { return DropBecause(string(e.Key)) })
	if strings.Contains(f.log.String(), "trouble") || len(f.files()) != 0 {
		t.Errorf("files are %q\n%s", f.files(), f.log.String())
	}
}

// crash runs the stage and puts back what it had removed, as if it had been killed before.
func (f *fixture) crash(in Inbox, h Handler) {
	f.t.Helper()
	list, err := f.sp.List(in)
	if err != nil || len(list) != 1 {
		f.t.Fatalf("%v, %v", list, err)
	}
	path := filepath.Join(f.home, "spool", string(in), "new", list[0].Name)
	text := read(f.t, path)
	f.run(in, h)
	f.sp.known.forget()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}
