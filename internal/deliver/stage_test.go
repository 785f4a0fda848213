package deliver

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/full"
	"paperpath/internal/maillog"
	"paperpath/internal/route"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
)

// fixture is a home with a spool, the route and the deliver stage.
type fixture struct {
	t       *testing.T
	home    string
	control *control.Control
	sp      *spool.Spool
	log     bytes.Buffer
	time    time.Time
	settler *settle.Settler
	stage   *Stage
	sender  string
	with    string
	text    string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	p := &fixture{t: t, home: t.TempDir(), time: time.Now(), sender: "x@x.example", with: spool.WithLocal, text: "Subject: x\n\nhello\n"}
	for _, dir := range []string{"control", "mail", "run", "people"} {
		p.check(os.Mkdir(filepath.Join(p.home, dir), 0o700))
	}
	p.write("hostname", "mx.example.net\n")
	p.write("domains", "example.net\n")
	p.write("users", "alice@example.net:\nbob@example.net:\ndora@example.net:::::people/dora\n")
	p.check(spool.Init(p.home))
	p.check(spool.WriteMark(filepath.Join(p.home, "mail")))
	// An hour ahead: no file looks as if an editor were at work.
	p.control = control.Open(p.home, func() time.Time { return time.Now().Add(time.Hour) })
	now := func() time.Time { return p.time }
	var err error
	log := maillog.To(&p.log, "test", now)
	p.sp, err = spool.Open(p.home, spool.Options{Now: now, Hostname: "mx.example.net", Log: log})
	p.check(err)
	t.Cleanup(func() { p.sp.Close() })
	p.settler = &settle.Settler{Control: p.control, Log: log, Now: now, Home: p.home}
	p.stage = &Stage{Control: p.control, Home: p.home, Now: now, Log: log, Full: full.Open(p.home), Answers: p.settler, Settle: p.settler.Settle}
	return p
}

func (p *fixture) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *fixture) write(name, text string) {
	p.t.Helper()
	p.check(os.WriteFile(filepath.Join(p.home, "control", name), []byte(text), 0o600))
}

func (p *fixture) accept(in spool.Inbox, to ...string) spool.Key {
	p.t.Helper()
	env := spool.Envelope{From: spool.Path{Addr: p.sender}}
	for _, word := range to {
		a, params, _ := strings.Cut(word, " ")
		env.To = append(env.To, spool.Recipient{Addr: a, Params: params})
	}
	k, err := p.sp.Accept(in, env, nil, spool.Trace{By: "mx.example.net", With: p.with},
		spool.BytesBody([]byte(p.text)))
	p.check(err)
	return k
}

// run lets maildeliver and mailroute run in turn.
func (p *fixture) run() {
	p.t.Helper()
	router := &route.Stage{Control: p.control, Settle: p.settler.Settle, Now: p.settler.Now}
	for range 3 {
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		p.stageRun(spool.InboxRoute, router.Handle)
	}
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
}

func (p *fixture) stageRun(in spool.Inbox, h spool.Handler) {
	p.t.Helper()
	r := &spool.Runner{Spool: p.sp, Inbox: in, Handle: h, Workers: func() int { return 2 }, Retry: p.control.Retry}
	p.check(r.Run(context.Background()))
}

// tree lists all files below mail/, people/ and spool/ with what tests can
// know: the directory, and how many.
func (p *fixture) tree() []string {
	p.t.Helper()
	var list []string
	for _, top := range []string{"mail", "people", "spool"} {
		err := filepath.WalkDir(filepath.Join(p.home, top), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && d.Name() != spool.Mark && d.Name() != spool.Record {
				rel, _ := filepath.Rel(p.home, filepath.Dir(path))
				list = append(list, rel)
			}
			return err
		})
		p.check(err)
	}
	slices.Sort(list)
	return list
}

func (p *fixture) want(want ...string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.tree()); diff != "" {
		p.t.Errorf("files (-want +got):\n%s\n%s", diff, p.log.String())
	}
}

const alices = "mail/example.net/alice/Maildir/new"

func TestDelivery(t *testing.T) {
	p := newFixture(t)
	k := p.accept(spool.InboxDeliver, "alice@example.net")
	p.accept(spool.InboxDeliver, "alice+x@example.net NOTIFY=NEVER")
	p.accept(spool.InboxDeliver, "ALICE@example.net")
	p.run()
	p.want(alices, alices, alices)
	names, err := filepath.Glob(filepath.Join(p.home, alices, string(k)+",S=*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	data, err := os.ReadFile(names[0])
	p.check(err)
	if !strings.HasPrefix(string(data), "Return-Path: <x@x.example>\nDelivered-To: alice@example.net\nReceived: by") {
		t.Errorf("the mailbox has\n%s", data)
	}
}

// A message that a mail system brings back to a mailbox by way of an alias is not
// stored there again.
func TestBroughtBack(t *testing.T) {
	p := newFixture(t)
	p.write("aliases", "team: alice, bob\n")
	p.with, p.text = "ESMTP", "Delivered-To: alice@example.net\nSubject: x\n\nhello\n"
	p.accept(spool.InboxRoute, "team@example.net")
	p.run()
	p.want("mail/example.net/bob/Maildir/new", "spool/hold/new", "spool/hold/reason")
}

func TestMovedByAPerson(t *testing.T) {
	p := newFixture(t)
	p.write("aliases", "team: alice, bob\n")
	p.accept(spool.InboxDeliver, "alice@example.net", "bob@example.net", "far@x.example", "team@example.net", "nobody@example.net")
	p.run()
	p.want(alices, "mail/example.net/bob/Maildir/new", "spool/deliver/cur", "spool/deliver/cur", "spool/deliver/reason",
		"spool/deliver/reason", "spool/relay/new") // the report about nobody
}

// Between route/ and the mailbox the tables have changed: a mailbox that is
// there gets the message, and where there is none any more nothing goes back
// to route/ by itself.
func TestLateBinding(t *testing.T) {
	waits := []string{"spool/deliver/cur", "spool/deliver/reason"}
	tests := []struct {
		about string
		files map[string]string
		want  []string
	}{
		{"an alias leads away", map[string]string{"aliases": "alice: bob\n"}, []string{alices}},
		{"an alias with a copy", map[string]string{"aliases": "alice: alice, bob\n"}, []string{alices}},
		{"another home", map[string]string{"users": "alice@example.net:::::mail/elsewhere\n"}, []string{"mail/elsewhere/Maildir/new"}},
		{"the user has gone, an alias came", map[string]string{"users": "bob@example.net:\n", "aliases": "alice: bob\n"}, waits},
		{"the domain is not ours any more", map[string]string{"domains": "other.example\n"}, waits},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			p := newFixture(t)
			for file, text := range tt.files {
				p.write(file, text)
			}
			p.accept(spool.InboxDeliver, "alice@example.net")
			p.run()
			p.want(tt.want...)
		})
	}
}

// An entry that is deferred because its mail goes elsewhere now says what to do, and
// that works.
func TestRerouted(t *testing.T) {
	p := newFixture(t)
	p.write("users", "bob@example.net:\n")
	p.write("aliases", "alice: bob\n")
	k := p.accept(spool.InboxDeliver, "alice@example.net")
	p.run()
	reason, err := os.ReadFile(filepath.Join(p.home, "spool/deliver/reason", string(k)))
	p.check(err)
	if want := "mailctl queue reroute " + string(k); !strings.Contains(string(reason), want) {
		t.Errorf("no %q in %q", want, reason)
	}
	e, err := p.sp.Find(k)
	p.check(err)
	p.check(p.sp.Reroute(e))
	p.run()
	p.want("mail/example.net/bob/Maildir/new")
}

// A recipient without a mailbox fails here, once, as mailroute fails it: for
// good, or on the first day for now where SMTP has taken it.
func TestTheUserHasGone(t *testing.T) {
	p := newFixture(t)
	p.sender = "bob@example.net"
	p.accept(spool.InboxDeliver, "nobody@example.net")
	p.accept(spool.InboxDeliver, "nobody@example.net NOTIFY=NEVER")
	p.run()
	p.want("mail/example.net/bob/Maildir/new")
	p.with = "ESMTPA"
	p.accept(spool.InboxDeliver, "nobody@example.net")
	p.run()
	p.want("mail/example.net/bob/Maildir/new", "spool/deliver/cur", "spool/deliver/reason")
	p.time = p.time.Add(25 * time.Hour)
	p.run()
	p.want("mail/example.net/bob/Maildir/new", "mail/example.net/bob/Maildir/new")
}

// If nothing may be created, nothing is, and the entry is deferred.
func TestNotMounted(t *testing.T) {
	for about, tt := range map[string]struct {
		to    string
		spoil func(p *fixture) error
		mend  func(p *fixture) error
		got   string
	}{
		"mail/ without its mark": {"alice@example.net",
			func(p *fixture) error { return os.Remove(filepath.Join(p.home, "mail", spool.Mark)) },
			func(p *fixture) error { return spool.WriteMark(filepath.Join(p.home, "mail")) }, alices},
		"an owner's directory elsewhere": {"dora@example.net", func(*fixture) error { return nil },
			func(p *fixture) error { return os.Mkdir(filepath.Join(p.home, "people/dora"), 0o700) }, "people/dora/Maildir/new"},
		"a file in the Maildir's place": {"alice@example.net",
			func(p *fixture) error { return os.WriteFile(filepath.Join(p.home, "mail/example.net"), nil, 0o600) },
			func(p *fixture) error { return os.Remove(filepath.Join(p.home, "mail/example.net")) }, alices},
		"broken users": {"alice@example.net",
			func(p *fixture) error { p.write("users", "alice\n"); return nil },
			func(p *fixture) error { p.write("users", "alice@example.net:\n"); return nil }, alices},
	} {
		t.Run(about, func(t *testing.T) {
			p := newFixture(t)
			p.check(tt.spoil(p))
			before := p.tree()
			p.accept(spool.InboxDeliver, tt.to)
			p.run()
			p.want(append(before, "spool/deliver/cur", "spool/deliver/reason")...)
			p.check(tt.mend(p))
			p.time = p.time.Add(time.Hour)
			p.run()
			p.want(tt.got)
		})
	}
}

// A Maildir of which only a part is there is completed.
func TestHalfMadeMaildir(t *testing.T) {
	p := newFixture(t)
	p.check(os.MkdirAll(filepath.Join(p.home, "mail/example.net/alice/Maildir/tmp"), 0o700))
	p.accept(spool.InboxDeliver, "alice@example.net")
	p.run()
	p.want(alices)
}

func TestExplain(t *testing.T) {
	p := newFixture(t)
	p.write("aliases", "team: alice, bob\n")
	path := filepath.Join(p.home, "mail/example.net/alice/Maildir")
	for _, tt := range []struct{ ask, outcome string }{
		{"alice@example.net", "store in " + path},
		{"alice+x", "store in " + path},
		{"team@example.net", "defer: the address has no mailbox of its own and must be rerouted (see mailroute team@example.net)"},
		{"x@x.example", "defer: the address has no mailbox of its own and must be rerouted (see mailroute x@x.example)"},
		{"nobody", "fail: no such mailbox: nobody@example.net"},
	} {
		var trail explain.Trail
		if err := Explain(p.control, p.home, tt.ask, &trail); err != nil || trail.Outcome != tt.outcome {
			t.Errorf("%s: %q, %v", tt.ask, trail.Outcome, err)
		}
	}
	p.want()
	p.check(os.Remove(filepath.Join(p.home, "mail", spool.Mark)))
	if err := Explain(p.control, p.home, "alice", nil); err == nil {
		t.Error("no error without the mark")
	}
}

// A sender who asked for it hears that the message is in the mailbox (RFC 3461
// 4.1); of what waits they do not hear that.
func TestDeliveredReport(t *testing.T) {
	p := newFixture(t)
	env := spool.Envelope{From: spool.Path{Addr: "bob@example.net"}, To: []spool.Recipient{{Addr: "alice@example.net", Params: "NOTIFY=SUCCESS"}}}
	_, err := p.sp.Accept(spool.InboxDeliver, env, nil, spool.Trace{By: "mx.example.net", With: spool.WithLocal},
		spool.BytesBody([]byte("Subject: x\n\nhello\n")))
	p.check(err)
	p.write("users", "alice\n")
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	p.want("spool/deliver/cur", "spool/deliver/reason")
	p.write("users", "alice@example.net:\nbob@example.net:\n")
	p.time = p.time.Add(2 * time.Hour)
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	p.want(alices, "spool/route/new")
	p.run()
	p.want(alices, "mail/example.net/bob/Maildir/new")
	files, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/bob/Maildir/new/*"))
	p.check(err)
	text, err := os.ReadFile(files[0])
	p.check(err)
	for _, want := range []string{"\nSubject: Your message was delivered\n", "\nAction: delivered\n", "\nFinal-Recipient: rfc822; alice@example.net\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
