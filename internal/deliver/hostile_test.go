package deliver

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// TestHostileExtensions: an extension that anybody writes does not end the program, whatever
// its letters become when they are folded.
func TestHostileExtensions(t *testing.T) {
	for _, ext := range []string{"\u023a-", "\u0130.\u023a--", "\u212a-\u023a-"} {
		p := newFixture(t)
		p.ownHome(map[string]string{".qmail-lists": "&carol@y.example\n"})
		p.accept(spool.InboxDeliver, "alice+"+ext+"@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		if got := p.places(); got != "inbox 1" {
			t.Errorf("%q: %s\n%s", ext, got, p.log.String())
		}
	}
}

// TestListOwner: failures of a list go to the -owner of its own extension or to the sender,
// and never to the rules of the list again.
func TestListOwner(t *testing.T) {
	for _, tt := range []struct {
		files    map[string]string
		to, want string
	}{
		{map[string]string{".qmail-go": "&carol@y.example\n", ".qmail-go-owner": ""}, "alice+go@example.net NOTIFY=NEVER",
			"alice+go-owner@example.net"},
		{map[string]string{".qmail-go-default": "&carol@y.example\n", ".qmail-go-default-owner": ""}, "alice+go-x@example.net NOTIFY=NEVER", "x@x.example"},
		{map[string]string{".qmail-go-default": "&carol@y.example\n", ".qmail-go-x-owner": ""}, "alice+Go-x@example.net NOTIFY=NEVER",
			"alice+Go-x-owner@example.net"},
		{map[string]string{".qmail": "&carol@y.example\n", ".qmail-owner": ""}, "alice@example.net NOTIFY=NEVER", "alice+owner@example.net"},
		{map[string]string{".qmail": "&carol@y.example\n", ".qmail-owner": ""}, "alice+x@example.net NOTIFY=NEVER", "x@x.example"},
	} {
		p := newFixture(t)
		p.ownHome(tt.files)
		p.accept(spool.InboxDeliver, tt.to)
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		got, never := "", false
		p.stageRun(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
			got, never = e.Envelope.From.Addr, params.Get(e.Envelope.To[0].Params, "NOTIFY") != ""
			return spool.DropBecause("test")
		})
		if got != tt.want {
			t.Errorf("%v: from %s, want %s", tt.files, got, tt.want)
		}
		if never != (tt.want == "x@x.example") {
			t.Errorf("%v: NOTIFY is kept: %v", tt.files, never)
		}
	}
}

// TestListVERP: with a file for failures of each recipient, each has a reverse path that names
// them, from an entry and from standard input; and a program learns how it is made.
func TestListVERP(t *testing.T) {
	if asNobody(t) {
		return
	}
	long := strings.Repeat("l", 60) + "@y.example"
	const to = "alice+go@example.net"
	for name, deliver := range map[string]func(p *fixture) error{
		"an entry": func(p *fixture) error {
			p.accept(spool.InboxDeliver, to)
			p.stageRun(spool.InboxDeliver, p.stage.Handle)
			return nil
		},
		"standard input": func(p *fixture) error {
			return p.mda().Deliver(context.Background(), to, &addr.Address{Local: "x", Domain: "x.example"}, strings.NewReader(p.text))
		},
	} {
		p := newFixture(t)
		p.write("user-programs", "yes\n")
		home := p.ownHome(map[string]string{".qmail-go": "|env >HOME/box\n&carol@y.example\n&Dan@z.example\n&" + long + "\n",
			".qmail-go-owner": "", ".qmail-go-owner-default": ""})
		p.check(deliver(p))
		want := map[string]string{"carol@y.example": "alice+go-owner-carol=y.example@example.net",
			"Dan@z.example": "alice+go-owner-Dan=z.example@example.net", long: "alice+go-owner@example.net"}
		if got := p.reversePaths(); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v\n%s", name, got, want, p.log.String())
		}
		env, err := os.ReadFile(filepath.Join(home, "box"))
		if err != nil || !strings.Contains("\n"+string(env), "\nNEWSENDER=alice+go-owner-@example.net-@[]\n") {
			t.Errorf("%s: %v, a program has\n%s", name, err, env)
		}
	}
}

// TestNewSender: what a program learns of the reverse path of what its file forwards
// (qmail-command(8)).
func TestNewSender(t *testing.T) {
	if asNobody(t) {
		return
	}
	for _, tt := range []struct{ sender, files, want string }{
		{"x@x.example", "", "x@x.example"},
		{"x@x.example", "owner", "alice+go-owner@example.net"},
		{"x@x.example", "owner owner-default", "alice+go-owner-@example.net-@[]"},
		{"x@x.example", "owner-default", "x@x.example"},
		{"", "owner owner-default", ""},
	} {
		p := newFixture(t)
		p.write("user-programs", "yes\n")
		p.sender = tt.sender
		files := map[string]string{".qmail-go": "|env >HOME/box\n"}
		for _, name := range strings.Fields(tt.files) {
			files[".qmail-go-"+name] = ""
		}
		home := p.ownHome(files)
		p.accept(spool.InboxDeliver, "alice+go@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		env, err := os.ReadFile(filepath.Join(home, "box"))
		if err != nil || !strings.Contains("\n"+string(env), "\nNEWSENDER="+tt.want+"\n") {
			t.Errorf("from %q with %q: %v, want %q in\n%s", tt.sender, tt.files, err, tt.want, env)
		}
	}
}

// reversePaths empties route/, and returns from whom each recipient there would have got it.
func (p *fixture) reversePaths() map[string]string {
	p.t.Helper()
	var mu sync.Mutex
	got := map[string]string{}
	p.stageRun(spool.InboxRoute, func(_ context.Context, e *spool.Entry) spool.Outcome {
		mu.Lock()
		defer mu.Unlock()
		for _, to := range e.Envelope.To {
			got[to.Addr] = e.Envelope.From.Addr
		}
		return spool.DropBecause("test")
	})
	return got
}

// TestForwardSPF: what a user's rules send to another host gets a reverse path of ours where
// the sender is a stranger: the next host refuses others, by SPF.
func TestForwardSPF(t *testing.T) {
	for _, tt := range []struct{ sender, to, want string }{
		{"s@s.example", "alice@example.net", "SRS0="},
		{"s@s.example", "alice@example.net NOTIFY=FAILURE", "SRS0="},
		{"s@s.example", "alice+x@example.net", "SRS0="},
		{"bob@example.net", "alice@example.net", "bob@example.net"},
		{"", "alice@example.net", ""},
	} {
		p := newFixture(t)
		p.write("srs-secrets", "the-secret-of-these-tests\n")
		p.ownHome(map[string]string{".forward": "carol@y.example, bob\n"})
		p.sender = tt.sender
		p.accept(spool.InboxDeliver, tt.to)
		p.run()
		got := "none"
		p.stageRun(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
			got = e.Envelope.From.Addr
			return spool.DropBecause("test")
		})
		if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" || strings.HasPrefix(tt.want, "SRS") && !strings.HasSuffix(got, "@example.net") {
			t.Errorf("%s to %s: from %s, want %s\n%s", tt.sender, tt.to, got, tt.want, p.log.String())
		}
		list, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/bob/Maildir/new/*"))
		if len(list) != 1 || err != nil {
			t.Fatalf("bob has %v, %v", list, err)
		}
		if text, err := os.ReadFile(list[0]); err != nil || !strings.HasPrefix(string(text), "Return-Path: <"+tt.sender+">\n") {
			t.Errorf("bob got %.200s, %v", text, err)
		}
	}
}

// TestTornMbox: a message that a crash has cut off does not swallow the next one.
func TestTornMbox(t *testing.T) {
	if asNobody(t) {
		return
	}
	for before, want := range map[string]string{
		"":                        "From x@x.example ",
		"From a\n\nx\n\n":         "From a\n\nx\n\nFrom x@x.example ",
		"From a\n\nx\n":           "From a\n\nx\n\nFrom x@x.example ",
		"From a\n\nhalf a li":     "From a\n\nhalf a li\n\nFrom x@x.example ",
		"\n":                      "\nFrom x@x.example ",
		"F":                       "F\n\nFrom x@x.example ",
		"From a\nSubject: only\n": "From a\nSubject: only\n\nFrom x@x.example ",
	} {
		p := newFixture(t)
		home := p.ownHome(map[string]string{".qmail": "./box\n", "box": before})
		p.accept(spool.InboxDeliver, "alice@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		if text, err := os.ReadFile(filepath.Join(home, "box")); err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%q became %q, %v", before, text, err)
		}
	}
}

// TestVacationOfLists: who writes to a list that a user runs gets no answer of that user's.
func TestVacationOfLists(t *testing.T) {
	for more, want := range map[string]string{".qmail-x": "inbox 1 route 2", ".qmail-go-owner": "inbox 1 route 1"} {
		p := newFixture(t)
		p.ownHome(map[string]string{"vacation": "I am away.\n", ".qmail-go": "&carol@y.example\n./Maildir/\n", more: ""})
		p.text = "To: alice+go@example.net\nSubject: x\n\nhello\n"
		p.accept(spool.InboxDeliver, "alice+go@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		if got := p.places(); got != want {
			t.Errorf("%s: %s, want %s\n%s", more, got, want, p.log.String())
		}
	}
}

// TestListReport: a sender who asks for it hears that a list has the message (RFC 3461 5.2.7.3).
func TestListReport(t *testing.T) {
	for more, want := range map[string]string{".qmail-x": "route 1", ".qmail-go-owner": "route 2"} {
		p := newFixture(t)
		p.ownHome(map[string]string{".qmail-go": "&carol@y.example\n", more: ""})
		p.accept(spool.InboxDeliver, "alice+go@example.net NOTIFY=SUCCESS")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		if got := p.places(); got != want {
			t.Errorf("%s: %s, want %s\n%s", more, got, want, p.log.String())
		}
	}
}

// TestToOtherExtension: an address of the user's own with another extension is stored, in the
// folder of that name if there are such, whoever sent the message: it is no loop.
func TestToOtherExtension(t *testing.T) {
	for _, tt := range []struct{ extra, rule, want string }{
		{"", ".forward: alice+archive", "inbox 1"},
		{"", ".forward: \\alice, alice+archive", "inbox 1"},
		{"extension_folders=yes", ".forward: \\alice, Alice+Archive@example.net", "inbox 1 folder 1"},
		{"extension_folders=yes", ".forward: alice+archive, carol@y.example", "folder 1 relay 1"},
		{"", ".qmail-x: &alice", "inbox 1"},
	} {
		p := newFixture(t)
		p.with = "ESMTP"
		p.write("users", "alice@example.net:::::::"+tt.extra+"\n")
		name, rule, _ := strings.Cut(tt.rule, ": ")
		p.ownHome(map[string]string{name: rule + "\n"})
		to := "alice@example.net"
		if _, ext, ok := strings.Cut(name, "-"); ok {
			to = "alice+" + ext + "@example.net"
		}
		p.accept(spool.InboxRoute, to)
		p.run()
		got := p.places()
		if list, _ := filepath.Glob(filepath.Join(p.home, "spool/relay/new/*")); len(list) > 0 {
			got += " relay 1"
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s\n%s", tt.rule, got, tt.want, p.log.String())
		}
	}
}
