package deliver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// TestMDARules: below another mail system the rules of users do the same as in our own.
func TestMDARules(t *testing.T) {
	if asNobody(t) {
		return
	}
	for _, tt := range []struct {
		name   string
		files  map[string]string
		to, in string
		folder string
		want   string
		exit   int
		log    string
	}{
		{name: "none", want: "inbox 1", log: "how=copy"},
		{name: "forwarded", files: map[string]string{".forward": "carol@y.example"}, want: "route 1", log: "event=split .*to=carol@y.example"},
		{name: "a copy to others", files: map[string]string{".forward": "\\alice, carol@y.example, dan@y.example"}, want: "inbox 1 route 1"},
		{name: "a folder", files: map[string]string{".qmail-lists": "./Maildir/.lists/\n./Maildir/\n"}, to: "alice+lists@example.net", want: "inbox 1 folder 1"},
		{name: "a named folder", files: map[string]string{".qmail": "./Maildir/\n"}, folder: "x", want: "folder 1"},
		{name: "a file", files: map[string]string{".qmail": "./box\n"}, want: "box 1"},
		{name: "a program", files: map[string]string{".qmail": "|cat >box; exit 99\n./Maildir/\n"}, want: "box 1", log: "event=program"},
		{name: "a program that refuses", files: map[string]string{".qmail": "./Maildir/\n|echo no thanks; exit 100\n"}, exit: status.Refused},
		{name: "no such user, it says", files: map[string]string{".qmail": "|exit 67\n"}, exit: status.Refused},
		{name: "not now, it says", files: map[string]string{".qmail": "&carol@y.example\n|exit 111\n"}, exit: status.TempFail},
		{name: "a broken rule", files: map[string]string{".qmail": "&a b@y.example\n./Maildir/\n"}, exit: status.TempFail},
		{name: "it comes back", files: map[string]string{".forward": "carol@y.example"}, in: "Received: by x\nDelivered-To: alice+a@example.net\n\nx\n", want: "inbox 1"},
		{name: "the caller's own trace", files: map[string]string{".forward": "carol@y.example"}, in: "Delivered-To: alice@example.net\nSubject: x\n\nx\n", want: "route 1"},
		{name: "a hop too many", files: map[string]string{".forward": "carol@y.example"}, in: strings.Repeat("Received: by x\n", 101) + "\nx\n", exit: status.Refused},
		{name: "away", files: map[string]string{"vacation": "I am away.\n"}, in: "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=x.example\nTo: alice@example.net\n\nx\n", want: "inbox 1 route 1", log: "event=reported .*vacation"},
		{name: "away, and the sender is not proved", files: map[string]string{"vacation": "I am away.\n"}, in: "To: alice@example.net\n\nx\n", want: "inbox 1"},
		{name: "away, and another host proves", files: map[string]string{"vacation": "I am away.\n"}, in: "Authentication-Results: evil.example; spf=pass smtp.mailfrom=x.example\nTo: alice@example.net\n\nx\n", want: "inbox 1"},
		{name: "away, and another sender is proved", files: map[string]string{"vacation": "I am away.\n"}, in: "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=y.example\nTo: alice@example.net\n\nx\n", want: "inbox 1"},
		{name: "away, and it is a list", files: map[string]string{"vacation": "I am away.\n"}, in: "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=x.example\nTo: alice@example.net\nList-Id: x\n\nx\n", want: "inbox 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newFixture(t)
			p.write("user-programs", "yes\n")
			p.ownHome(tt.files)
			m := p.mda()
			m.Folder = tt.folder
			if tt.to == "" {
				tt.to = "alice@example.net"
			}
			if tt.in == "" {
				tt.in = "Subject: x\n\nhello\n"
			}
			from := addr.Address{Local: "x", Domain: "x.example"}
			err := m.Deliver(context.Background(), tt.to, &from, strings.NewReader(tt.in))
			if got := status.Exit(err); err != nil && got != tt.exit || err == nil && tt.exit != 0 {
				t.Errorf("%v, want exit status %d", err, tt.exit)
			}
			if got := p.places(); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, p.log.String())
			}
			p.logged(tt.log)
		})
	}
}

// An mbox that a mail reader has locked defers soon: it holds no worker.
func TestLockedMbox(t *testing.T) {
	if asNobody(t) {
		return
	}
	p := newFixture(t)
	home := p.ownHome(map[string]string{".qmail": "./box\n", "box.lock": ""})
	began := time.Now()
	for range 3 {
		p.accept(spool.InboxDeliver, "alice@example.net")
	}
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	if took := time.Since(began); p.places() != "deferred 3" || took > 15*time.Second { // one after the other, the old 20 s took 40
		t.Errorf("%s after %v\n%s", p.places(), took, p.log.String())
	}
	p.logged("box.lock: another program has locked it")
	p.check(os.Remove(filepath.Join(home, "box.lock")))
	p.time = p.time.Add(time.Hour)
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	if p.places() != "box 1" {
		t.Errorf("%s\n%s", p.places(), p.log.String())
	}
}

// What -d forwards names whom it was for, and keeps its sender, whom nothing has proved.
func TestMDAForward(t *testing.T) {
	p := newFixture(t)
	p.ownHome(map[string]string{".forward": "carol@y.example, \\alice"})
	from := addr.Address{Local: "x", Domain: "x.example"}
	p.check(p.mda().Deliver(context.Background(), "alice+a@example.net", &from, strings.NewReader("Received: by x\nSubject: x\n\nhello\n")))
	seen := 0
	p.stageRun(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
		seen++
		text := make([]byte, e.Message().Size())
		e.Message().ReadAt(text, 0)
		if string(text) != "Delivered-To: alice+a@example.net\nReceived: by x\nSubject: x\n\nhello\n" || e.Envelope.From.Addr != "x@x.example" || e.Trusted() {
			t.Errorf("%+v %q", e.Envelope, text)
		}
		return spool.DropBecause("test")
	})
	list, err := filepath.Glob(filepath.Join(p.home, alices, "*"))
	p.check(err)
	if seen != 1 || len(list) != 1 {
		t.Fatal(seen, list)
	}
	text, err := os.ReadFile(list[0])
	if err != nil || string(text) != "Return-Path: <x@x.example>\nDelivered-To: alice+a@example.net\nReceived: by x\nSubject: x\n\nhello\n" {
		t.Errorf("stored %q %v", text, err)
	}
}

// Without a spool nothing is forwarded, and so nothing is stored: else each attempt would store
// it once more.
func TestMDAWithoutSpool(t *testing.T) {
	p := newFixture(t)
	p.ownHome(map[string]string{".forward": "carol@y.example, \\alice"})
	m := p.mda()
	m.Spool = func() (*spool.Spool, error) { return nil, errors.New("no spool here") }
	err := m.Deliver(context.Background(), "alice@example.net", nil, strings.NewReader("Subject: x\n\nhello\n"))
	if !status.IsTemporary(err) || !strings.Contains(err.Error(), "no spool here") || p.places() != "" {
		t.Errorf("%v, %s", err, p.places())
	}
}
