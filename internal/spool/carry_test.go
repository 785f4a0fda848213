package spool

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dir"
	"paperpath/maildir"
)

func TestHandOnKeepsTheFileAndDropsTheFlags(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRoute, "From: a@b\n\nx\n", "bob@example.net")
	before := f.only("route/new")
	content := read(t, before)
	flagged := filepath.Join(f.home, "spool/route/cur", filepath.Base(before)+":2,S")
	if err := os.Rename(before, flagged); err != nil {
		t.Fatal(err)
	}
	f.run(InboxRoute, func(_ context.Context, e *Entry) Outcome {
		if e.Key != k || e.Envelope.To[0].Addr != "bob@example.net" || !e.Trusted() {
			t.Errorf("entry %+v", e)
		}
		return HandOnTo(InboxDeliver)
	})
	after := f.only("deliver/new")
	if filepath.Base(after) != filepath.Base(before) || read(t, after) != content {
		t.Errorf("%s changed on its way to %s", before, after)
	}
}

func TestDeferWaitsUntilDue(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@example.net")
	tries := 0
	stage := func(_ context.Context, e *Entry) Outcome {
		if e.Attempts != tries {
			t.Errorf("attempt %d says %d deferrals", tries, e.Attempts)
		}
		tries++
		return DeferUntil(f.time.Add(10*time.Minute), "host \x1b[31mdown")
	}
	f.run(InboxRelay, stage)
	f.run(InboxRelay, stage)
	if tries != 1 {
		t.Fatalf("%d attempts before it was due", tries)
	}
	reason := read(t, filepath.Join(f.home, "spool/relay/reason", string(k)))
	if !strings.Contains(reason, "\nrelay ") || !strings.HasSuffix(reason, "deferred: host \\x1b[31mdown\n") {
		t.Errorf("reason is %q", reason)
	}
	list, err := f.sp.List(InboxRelay)
	if err != nil || len(list) != 1 || list[0].State != "deferred" || list[0].Attempts != 1 {
		t.Fatalf("listing %+v, %v", list, err)
	}
	f.time = f.time.Add(11 * time.Minute)
	f.run(InboxRelay, stage)
	if tries != 2 {
		t.Fatalf("%d attempts after it was due", tries)
	}
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DropBecause("never") })
	f.time = f.time.Add(11 * time.Minute)
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DropBecause("done") })
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestADueTimeBeyondTheLongestStepIsNow(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@example.net")
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(1000*time.Hour), "clock stepped") })
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DropBecause("done") })
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestSplitMakesChildrenOnce(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRoute, "From: a@b\n\nx\n", "bob@example.net", "carol@example.net", "dan@far.example")
	var parent []byte
	split := func(_ context.Context, e *Entry) Outcome {
		parent, _ = io.ReadAll(io.NewSectionReader(e.file, 0, e.Size))
		to := e.Envelope.To
		return SplitInto(
			Child{Inbox: InboxDeliver, From: e.Envelope.From, To: to[:1]},
			Child{Inbox: InboxDeliver, From: e.Envelope.From, To: to[1:2]},
			Child{Inbox: InboxRelay, From: e.Envelope.From, To: to[2:]})
	}
	path := f.only("route/new")
	f.run(InboxRoute, split)
	first := f.files()
	if len(first) != 3 {
		t.Fatalf("files %q", first)
	}
	for _, name := range first {
		text := read(t, filepath.Join(f.home, "spool", name))
		if n := strings.Count(text, "Delivered-To"); n != 1 {
			t.Errorf("%s has %d recipients:\n%s", name, n, text)
		}
		if !strings.HasSuffix(text, "From: a@b\n\nx\n") {
			t.Errorf("%s lost its message", name)
		}
	}
	// A crash before the parent went: the same decision gives the same names.
	if err := os.WriteFile(path, parent, 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(InboxRoute, split)
	if again := f.files(); strings.Join(again, " ") != strings.Join(first, " ") {
		t.Errorf("repeated split left %q, want %q", again, first)
	}
	for _, in := range []Inbox{InboxDeliver, InboxRelay} {
		f.run(in, func(_ context.Context, e *Entry) Outcome { return DropBecause("read back") })
	}
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestDeliveryIsARename(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	f.accept(InboxDeliver, "From: a@b\n\nx\n", "bob@example.net")
	path := f.only("deliver/new")
	want := read(t, path)
	ino := func(p string) os.FileInfo { st, _ := os.Stat(p); return st }
	before := ino(path)
	f.run(InboxDeliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
	got := filepath.Join(box, "new", filepath.Base(path))
	if read(t, got) != want || !os.SameFile(before, ino(got)) {
		t.Errorf("not the same file in the mailbox")
	}
	// The same file again, as cp -a of an old snapshot leaves it: a repeat.
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(InboxDeliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
	if files := f.files(); len(files) != 0 {
		t.Errorf("a repeat left %q", files)
	}
	// Another message of that name goes to hold/.
	other := strings.Replace(want, "\nx\n", "\ny\n", 1)
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(InboxDeliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
	if read(t, got) != want {
		t.Error("a message in the mailbox was replaced")
	}
	held := f.files()
	if len(held) != 2 || !strings.HasPrefix(held[0], "hold/new/") || !strings.HasPrefix(held[1], "hold/reason/") {
		t.Errorf("files %q", held)
	}
}

// A later delivery removes what a killed one left in a mailbox's tmp/, once no writer
// can still be using it.
func TestDeliveryCleansTheMailbox(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(box, "tmp", "left")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		age             time.Duration
		believed, stays bool
	}{{dir.CleanAge - time.Minute, true, true}, {dir.CleanAge + time.Minute, false, true}, {dir.CleanAge + time.Minute, true, false}} {
		f.accept(InboxDeliver, "From: a@b\n\nx\n", "bob@example.net")
		f.machine(c.age)
		r := f.runner(InboxDeliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
		r.Ages = func() bool { return c.believed }
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); (err == nil) != c.stays {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestDeliveryCopiesWhatHasParameters(t *testing.T) {
	f := newFixture(t)
	box := filepath.Join(f.home, "Maildir")
	if err := maildir.Create(box); err != nil {
		t.Fatal(err)
	}
	env := Envelope{From: Path{Addr: "a@b.example", Params: "RET=HDRS"},
		To: []Recipient{{Addr: "bob@example.net", Params: "NOTIFY=NEVER ORCPT=rfc822;info+2Bx@example.net"}}}
	if _, err := f.sp.Accept(InboxDeliver, env, nil, Trace{By: "mx", With: "ESMTPA"}, BytesBody([]byte("From: a@b\n\nx\n"))); err != nil {
		t.Fatal(err)
	}
	f.run(InboxDeliver, func(_ context.Context, e *Entry) Outcome {
		if e.Envelope.From.Params != "RET=HDRS" || e.Envelope.To[0].Addr != "bob@example.net" {
			t.Errorf("envelope %+v", e.Envelope)
		}
		return DeliverTo(box)
	})
	md, err := maildir.Open(box)
	if err != nil {
		t.Fatal(err)
	}
	defer md.Close()
	list, err := md.List()
	if err != nil || len(list) != 1 || len(f.files()) != 0 {
		t.Fatalf("mailbox %+v, %v, spool %q", list, err, f.files())
	}
	text := read(t, filepath.Join(box, "new", list[0].Name))
	want := "Return-Path: <a@b.example>\nX-Original-To: info+x@example.net\nDelivered-To: bob@example.net\nReceived:"
	if !strings.HasPrefix(text, want) {
		t.Errorf("the mailbox got\n%s", text)
	}
	if list[0].Size != int64(len(text)) || list[0].WireSize != int64(len(text)+strings.Count(text, "\n")) {
		t.Errorf("sizes %+v of %d octets", list[0], len(text))
	}
}

func TestBounceIsPublishedOnceAndMarks(t *testing.T) {
	f := newFixture(t)
	f.accept(InboxRelay, "From: a@b\n\nx\n", "bob@far.example", "carol@far.example")
	path := f.only("relay/new")
	original := read(t, path)
	fail := func(_ context.Context, e *Entry) Outcome {
		o := DeferUntil(f.time.Add(time.Minute), "carol waits")
		o.Bounce = &Bounce{To: "alice@example.org", Failed: []int{0}, Body: []byte("From: MAILER-DAEMON@mx\n\nfailed\n")}
		return o
	}
	f.run(InboxRelay, fail)
	list, err := f.sp.List(InboxRelay)
	if err != nil || len(list) != 1 || !list[0].Envelope.To[0].Done || list[0].Envelope.To[1].Done {
		t.Fatalf("relay %+v, %v", list, err)
	}
	bounces, err := f.sp.List(InboxRoute)
	if err != nil || len(bounces) != 1 || bounces[0].Envelope.From.Addr != "" ||
		bounces[0].Envelope.To[0].Addr != "alice@example.org" {
		t.Fatalf("route %+v, %v", bounces, err)
	}
	// A crash before the mark: the report is not made again.
	os.Remove(filepath.Join(f.home, "spool/relay/cur", list[0].Name))
	if err := os.WriteFile(path, []byte(original), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(InboxRelay, fail)
	if again, _ := f.sp.List(InboxRoute); len(again) != 1 || again[0].Key != bounces[0].Key {
		t.Errorf("route now %+v", again)
	}
	// Nor where the report has been handed on in the meantime.
	f.run(InboxRoute, func(context.Context, *Entry) Outcome { return HandOnTo(InboxDeliver) })
	os.Remove(filepath.Join(f.home, "spool/relay/cur", list[0].Name))
	if err := os.WriteFile(path, []byte(original), 0o600); err != nil {
		t.Fatal(err)
	}
	f.run(InboxRelay, fail)
	if again, _ := f.sp.List(InboxRoute); len(again) != 0 {
		t.Errorf("route now %+v", again)
	}
}

// TestOriginalRecipient: the mailbox gets the address that a submitter named, but never
// what a stranger put into ORCPT.
func TestOriginalRecipient(t *testing.T) {
	stranger, user, app := Trace{By: "mx", With: "ESMTPS"}, Trace{By: "mx", With: "ESMTPSA"}, Trace{By: "mx", With: "ESMTP", Relay: true}
	for _, tt := range []struct {
		trace       Trace
		words, want string
	}{
		{user, "ORCPT=rfc822;info+2Bx@example.net", "info+x@example.net"},
		{app, "ORCPT=rfc822;info@example.net", "info@example.net"},
		{Trace{By: "mx", With: WithLocal}, "ORCPT=rfc822;info@example.net RCPT=list@example.net", "info@example.net"},
		{user, "ORCPT=rfc822;bob@example.net", ""},
		{user, "ORCPT=rfc822;a+FF+9B@example.net", ""},
		{user, "ORCPT=rfc822;not+20an+20address RCPT=list@example.net", "list@example.net"},
		{stranger, "ORCPT=rfc822;boss@example.net", ""},
		{stranger, "ORCPT=rfc822;+FF+FE+1B[2J", ""},
		{stranger, "ORCPT=utf-8;\xff\x9b@example.net", ""},
		{stranger, "NOTIFY=NEVER ORCPT=rfc822;boss@example.net RCPT=list@example.net", "list@example.net"},
	} {
		t.Run(tt.trace.With+" "+tt.words, func(t *testing.T) {
			f := newFixture(t)
			box := filepath.Join(f.home, "Maildir")
			if err := maildir.Create(box); err != nil {
				t.Fatal(err)
			}
			env := Envelope{From: Path{Addr: "a@b.example"}, To: []Recipient{{Addr: "bob@example.net", Params: tt.words}}}
			if _, err := f.sp.Accept(InboxDeliver, env, nil, tt.trace, BytesBody([]byte("From: a@b\n\nx\n"))); err != nil {
				t.Fatal(err)
			}
			f.run(InboxDeliver, func(context.Context, *Entry) Outcome { return DeliverTo(box) })
			names, err := filepath.Glob(filepath.Join(box, "new", "*"))
			if err != nil || len(names) != 1 {
				t.Fatalf("the mailbox holds %q, %v", names, err)
			}
			want := "Return-Path: <a@b.example>\n"
			if tt.want != "" {
				want += "X-Original-To: " + tt.want + "\n"
			}
			if text := read(t, names[0]); !strings.HasPrefix(text, want+"Delivered-To: bob@example.net\nReceived:") {
				t.Errorf("the mailbox got\n%s", text)
			}
		})
	}
}
