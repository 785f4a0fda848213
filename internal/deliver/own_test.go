package deliver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/authres"
	"paperpath/internal/spool"
)

// ownHome gives alice files in her home, with a mode of 0600.
func (p *fixture) ownHome(files map[string]string) string {
	p.t.Helper()
	home := filepath.Join(p.home, "mail/example.net/alice")
	p.check(os.MkdirAll(home, 0o700))
	for name, text := range files {
		p.check(os.WriteFile(filepath.Join(home, name), []byte(strings.ReplaceAll(text, "HOME", home)), 0o600))
	}
	return home
}

// places counts what is where, after deliver/ alone has run.
func (p *fixture) places() string {
	p.t.Helper()
	count := func(pattern string) int {
		list, err := filepath.Glob(filepath.Join(p.home, pattern))
		p.check(err)
		return len(list)
	}
	text := ""
	for _, at := range []struct{ name, pattern string }{{"inbox", "mail/example.net/alice/Maildir/new/*"},
		{"folder", "mail/example.net/alice/Maildir/.*/new/*"}, {"box", "mail/example.net/alice/box"},
		{"route", "spool/route/new/*"}, {"deferred", "spool/deliver/cur/*"}, {"held", "spool/hold/new/*"}} {
		if n := count(at.pattern); n > 0 {
			text += fmt.Sprintf("%s %d ", at.name, n)
		}
	}
	return strings.TrimSpace(text)
}

func TestOwnRules(t *testing.T) {
	if asNobody(t) {
		return
	}
	for _, tt := range []struct {
		name     string
		files    map[string]string
		to       string
		programs string
		want     string
		log      string
	}{
		{name: "forwarded", files: map[string]string{".forward": "carol@y.example"}, want: "route 1"},
		{name: "a copy to others", files: map[string]string{".forward": "\\alice, carol@y.example"}, want: "inbox 1 route 1"},
		{name: "to themselves and others", files: map[string]string{".qmail": "&alice@example.net\n&carol@y.example\n"}, want: "inbox 1 route 1"},
		{name: "an empty file", files: map[string]string{".qmail": ""}, want: "inbox 1"},
		{name: "comments alone", files: map[string]string{".qmail": "# nothing\n"}, want: ""},
		{name: "a folder", files: map[string]string{".qmail-lists": "./Maildir/.lists/\n"}, to: "alice+lists@example.net", want: "folder 1"},
		{name: "a folder and the inbox", files: map[string]string{".qmail": "./Maildir/.lists/\n./Maildir/\n"}, want: "inbox 1 folder 1"},
		{name: "two folders", files: map[string]string{".qmail": "./Maildir/.a/\n./Maildir/.b/\n"}, want: "folder 2"},
		{name: "an extension without rules", files: map[string]string{".qmail-lists": "&carol@y.example"}, to: "alice+x@example.net", want: "inbox 1"},
		{name: "a file", files: map[string]string{".qmail": "./box\n"}, want: "box 1"},
		{name: "a file elsewhere", files: map[string]string{".qmail": "/tmp/box\n"}, want: "deferred 1", log: "not in the user's home"},
		{name: "a Maildir elsewhere", files: map[string]string{".qmail": "./../bob/Maildir/\n"}, want: "deferred 1", log: "not in the user's home"},
		{name: "a broken rule", files: map[string]string{".qmail": "&a b@y.example\n"}, want: "deferred 1", log: `\.qmail:1`},
		{name: "a broken rule below a file", files: map[string]string{".qmail": "./box\n&a b@y.example\n"}, want: "deferred 1", log: `\.qmail:2`},
		{name: "a broken rule below a program", files: map[string]string{".qmail": "|cat >HOME/box\n/tmp/x/\n"}, programs: "yes", want: "deferred 1", log: `\.qmail:2`},
		{name: "no programs, and a file", files: map[string]string{".qmail": "./box\n|true\n"}, want: "deferred 1", log: "control/user-programs"},
		{name: "a Maildir that cannot be, below a program", files: map[string]string{".qmail": "|cat >HOME/box\n./.qmail/\n"}, programs: "yes", want: "deferred 1", log: "cannot use the mailbox"},
		{name: "no programs", files: map[string]string{".qmail": "|true\n"}, want: "deferred 1", log: "control/user-programs"},
		{name: "a program", files: map[string]string{".qmail": "|cat >HOME/box\n./Maildir/\n"}, programs: "yes", want: "inbox 1 box 1", log: `event=program .*result="exit status 0"`},
		{name: "a program that ends it", files: map[string]string{".qmail": "|exit 99\n./Maildir/\n"}, programs: "yes", want: ""},
		{name: "a program that refuses", files: map[string]string{".qmail": "./Maildir/\n|echo no thanks; exit 100\n"}, programs: "yes", want: "route 1", log: "event=failed .*status=5.3.0 .*no thanks"},
		{name: "no such user, it says", files: map[string]string{".qmail": "|exit 67\n"}, programs: "yes", want: "route 1", log: "event=failed .*status=5.1.1"},
		{name: "not now, it says", files: map[string]string{".qmail": "&carol@y.example\n|exit 111\n"}, programs: "yes", want: "deferred 1", log: `event=deferred .*exit status 111"`},
		{name: "not now, and why", files: map[string]string{".qmail": "|echo no room; exit 111\n"}, programs: "yes", want: "deferred 1", log: "event=deferred .*exit status 111: no room\""},
		{name: "sysexits", files: map[string]string{".forward": "\"|exit 75\", \\alice"}, programs: "yes", want: "deferred 1", log: "exit status 75"},
		{name: "a signal", files: map[string]string{".qmail": "|kill -9 $$\n"}, programs: "yes", want: "deferred 1", log: "signal: killed"},
		{name: "no such program", files: map[string]string{".qmail": "|/no/such/program x\n"}, programs: "yes", want: "deferred 1", log: "no such file"},
		{name: "forward only", files: map[string]string{".qmail": "+list\n./Maildir/\n"}, want: "deferred 1", log: "for forwarding only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newFixture(t)
			p.ownHome(tt.files)
			if tt.programs != "" {
				p.write("user-programs", tt.programs+"\n")
			}
			if tt.to == "" {
				tt.to = "alice@example.net"
			}
			p.accept(spool.InboxDeliver, tt.to)
			p.stageRun(spool.InboxDeliver, p.stage.Handle)
			if got := p.places(); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, p.log.String())
			}
			p.logged(tt.log)
		})
	}
}

// TestForwardTrail: what is forwarded names the recipient, keeps the sender, and is stored
// when it comes back.
func TestForwardTrail(t *testing.T) {
	p := newFixture(t)
	p.ownHome(map[string]string{".forward": "bob@example.net"})
	bob := filepath.Join(p.home, "mail/example.net/bob")
	p.check(os.MkdirAll(bob, 0o700))
	p.check(os.WriteFile(filepath.Join(bob, ".qmail"), []byte("&alice@example.net\n"), 0o600))
	p.accept(spool.InboxDeliver, "alice@example.net")
	for range 4 {
		p.run()
	}
	list, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/alice/Maildir/new/*"))
	p.check(err)
	if len(list) != 1 {
		t.Fatalf("%d messages: %v\n%s", len(list), p.tree(), p.log.String())
	}
	text, err := os.ReadFile(list[0])
	p.check(err)
	for _, want := range []string{"Return-Path: <x@x.example>\nDelivered-To: alice@example.net\n", "\nDelivered-To: bob@example.net\nDelivered-To: alice@example.net\nSubject: x\n",
		"\nX-Original-To: alice@example.net\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestProgramEnvironment: what a program learns, and that no address reaches a shell.
func TestProgramEnvironment(t *testing.T) {
	if asNobody(t) {
		return
	}
	p := newFixture(t)
	p.write("user-programs", "yes\n")
	home := p.ownHome(map[string]string{".qmail-default": "|env >HOME/box; cat >HOME/message\n"})
	p.sender = `"() { :;}; touch x"@x.example`
	p.accept(spool.InboxDeliver, "alice+lists-go@example.net")
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	env, err := os.ReadFile(filepath.Join(home, "box"))
	p.check(err)
	for _, want := range []string{"SENDER=" + p.sender, "RECIPIENT=alice+lists-go@example.net", "LOCAL=alice+lists-go", "HOST=example.net", "HOST2=example",
		"EXT=lists-go", "EXT2=go", "EXT3=", "DEFAULT=lists-go", "USER=alice", "HOME=" + home, "DTLINE=Delivered-To: alice+lists-go@example.net"} {
		if !strings.Contains("\n"+string(env), "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, env)
		}
	}
	for _, line := range strings.Split(string(env), "\n") {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "PAPERPATH") || strings.Contains(name, "GO") {
			t.Errorf("the environment has %s", line)
		}
	}
	text, err := os.ReadFile(filepath.Join(home, "message"))
	p.check(err)
	if !strings.HasPrefix(string(text), "Received: by mx.example.net\n") || !strings.HasSuffix(string(text), "\nSubject: x\n\nhello\n") {
		t.Errorf("the program got\n%s", text)
	}
}

// TestWords: which commands a shell reads.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"/usr/bin/env  a b": "/usr/bin/env [a b]",
		"cat":               find("cat") + " []",
		"exit 99":           "/bin/sh [-c exit 99]",
		"cat >x":            "/bin/sh [-c cat >x]",
		"a=b env":           "/bin/sh [-c a=b env]",
		"":                  "/bin/sh [-c ]",
	} {
		path, args := words(text)
		if got := fmt.Sprint(path, " ", args); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestAnswerOf: what the exit status of a user's program means, of sysexits(3) and of
// qmail-command(8). Only what is a positive reason refuses.
func TestAnswerOf(t *testing.T) {
	known := map[int]string{0: "2.0.0", 99: "2.0.0", 65: "5.6.0", 67: "5.1.1", 68: "5.1.2", 69: "5.3.0", 77: "5.7.0", 100: "5.3.0", 112: "5.3.0"}
	for exit := range 256 {
		want, is := known[exit]
		if !is {
			want = "4.3.0"
		}
		if got, done := answerOf(exit); got != want || done != (want[0] == '2') {
			t.Errorf("%d: %s, done %v; want %s", exit, got, done, want)
		}
	}
}

// TestMbox: the form, the locks, and that a failure leaves the file as it was.
func TestMbox(t *testing.T) {
	if asNobody(t) {
		return
	}
	p := newFixture(t)
	home := p.ownHome(map[string]string{".qmail": "./box\n"})
	p.text = "Subject: x\n\nFrom here\n>From there\nfrom\n"
	for range 2 {
		p.accept(spool.InboxDeliver, "alice@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
	}
	text, err := os.ReadFile(filepath.Join(home, "box"))
	p.check(err)
	if n := strings.Count(string(text), "\n\nFrom x@x.example "); n != 1 || !strings.HasPrefix(string(text), "From x@x.example ") ||
		!strings.Contains(string(text), "\n>From here\n>>From there\nfrom\n\n") {
		t.Errorf("%d separators:\n%s", n, text)
	}
	if _, err := os.Stat(filepath.Join(home, "box.lock")); err == nil {
		t.Error("the lock is left behind")
	}
	before := string(text)
	p.check(os.WriteFile(filepath.Join(home, "box.lock"), nil, 0o600))
	old := time.Now().Add(-time.Hour)
	p.check(os.Chtimes(filepath.Join(home, "box.lock"), old, old)) // of a crash
	p.check(os.Link(filepath.Join(home, "box"), filepath.Join(home, "second")))
	p.accept(spool.InboxDeliver, "alice@example.net")
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	if text, _ := os.ReadFile(filepath.Join(home, "box")); string(text) != before || p.places() != "box 1 deferred 1" {
		t.Errorf("a file with two names was changed: %s", p.places())
	}
}

func TestExtensionFolders(t *testing.T) {
	for ext, want := range map[string]string{
		"lists": ".lists", "LISTS": ".lists", "Go": ".GO", "lists.go-nuts": ".lists.go-nuts",
		"": "", "trash": "", "Trash.x": "", "inbox": "", ".x": "", "x.": "", "a..b": "", "../x": "", "a/b": "", "ä": "", "x y": "",
	} {
		p := newFixture(t)
		p.write("users", "alice@example.net:::::::extension_folders=yes\n")
		p.folder(".GO")
		local := "alice+" + ext
		if strings.ContainsAny(ext, " /ä") || strings.Contains("."+ext+".", "..") {
			local = `"` + local + `"`
		}
		params := ""
		if ext == "ä" {
			continue
		}
		p.accept(spool.InboxDeliver, local+"@example.net"+params)
		if ext == "x y" { // a blank would end the address of the fixture
			continue
		}
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		list, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/alice/Maildir", want, "new/*"))
		p.check(err)
		if len(list) != 1 {
			t.Errorf("%q: not in %q: %v\n%s", ext, want, p.tree(), p.log.String())
		}
		_, marked := os.Stat(filepath.Join(p.home, "mail/example.net/alice/Maildir", want, "maildirfolder"))
		if want != "" && want != ".GO" && marked != nil {
			t.Errorf("%q: %v", ext, marked)
		}
	}
}

// TestVacation: who gets an answer (RFC 3834 2).
func TestVacation(t *testing.T) {
	pass := authres.Method{Name: "spf", Result: "pass", Properties: []authres.Property{{Name: "smtp.mailfrom", Value: "x.example"}}}
	junk := authres.Method{Name: authres.Paperpath, Result: authres.Junk, Reason: "spf"}
	for _, tt := range []struct {
		name   string
		header string
		sender string
		with   string
		file   string
		want   bool

		results []authres.Method // of our checks; nil: it was submitted here
	}{
		{name: "written to", header: "To: Alice <alice@example.net>\n", want: true},
		{name: "a copy, with an extension", header: "Cc: x@y.example, alice+x@example.net\n", want: true},
		{name: "another address of theirs", header: "To: info@example.net\n", file: "Addresses: info@example.net\n\nx\n", want: true},
		{name: "a blind copy", header: "To: carol@y.example\n"},
		{name: "no recipients", header: ""},
		{name: "the null path", header: "To: alice@example.net\n", sender: "-"},
		{name: "a robot", header: "To: alice@example.net\n", sender: "list-request@x.example"},
		{name: "a daemon", header: "To: alice@example.net\n", sender: "MAILER-DAEMON@x.example"},
		{name: "themselves", header: "To: alice@example.net\n", sender: "Alice@example.net"},
		{name: "automatic", header: "To: alice@example.net\nAuto-Submitted: auto-generated\n"},
		{name: "not automatic", header: "To: alice@example.net\nAuto-Submitted: no\n", want: true},
		{name: "a list", header: "To: alice@example.net\nList-Post: <mailto:x@y.example>\n"},
		{name: "bulk", header: "To: alice@example.net\nPrecedence: bulk\n"},
		{name: "not wanted", header: "To: alice@example.net\nX-Auto-Response-Suppress: OOF\n"},
		{name: "a sender who is not known", header: "To: alice@example.net\n", with: "ESMTP"},
		{name: "a sender who is proved", header: "To: alice@example.net\n", results: []authres.Method{pass}, want: true},
		{name: "junk of one", header: "To: alice@example.net\n", results: []authres.Method{pass, junk}},
		{name: "over", header: "To: alice@example.net\n", file: "Until: 2020-01-01\n\nx\n"},
		{name: "a broken file", header: "To: alice@example.net\n", file: "Days: x\n\nx\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newFixture(t)
			if tt.file == "" {
				tt.file = "I am away.\n"
			}
			p.ownHome(map[string]string{"vacation": tt.file})
			if tt.sender != "" {
				p.sender = strings.TrimPrefix(tt.sender, "-")
			}
			if tt.with != "" {
				p.with = tt.with
			}
			p.text = tt.header + "Subject: caf\xc3\xa9\nMessage-ID: <1@x.example>\nReferences: <0@x.example> junk\n\nhello\n"
			for range 2 {
				if tt.results != nil {
					p.judged(spool.InboxDeliver, tt.results, "")
				} else {
					p.accept(spool.InboxDeliver, "alice@example.net")
				}
			}
			p.stageRun(spool.InboxDeliver, p.stage.Handle)
			want := "inbox 2"
			if tt.want {
				want += " route 1"
			}
			if got := p.places(); got != want {
				t.Fatalf("%s, want %s\n%s", got, want, p.log.String())
			}
			if tt.want {
				p.answered()
			}
		})
	}
}

// answered checks the one answer in route/.
func (p *fixture) answered() {
	p.t.Helper()
	list, err := filepath.Glob(filepath.Join(p.home, "spool/route/new/*"))
	p.check(err)
	text, err := os.ReadFile(list[0])
	p.check(err)
	for _, want := range []string{"Return-Path: <>\nDelivered-To: <x@x.example> NOTIFY=NEVER\n", "\nFrom: <alice@example.net>\n", "\nTo: <x@x.example>\n",
		"\nAuto-Submitted: auto-replied", "\nIn-Reply-To: <1@x.example>\nReferences: <0@x.example>\n <1@x.example>\n", "\nSubject: =?utf-8?q?Auto:_caf=C3=A9?=\n"} {
		if !strings.Contains(string(text), want) {
			p.t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestAliasCommands: the programs and files of control/aliases.
func TestAliasCommands(t *testing.T) {
	p := newFixture(t)
	if os.Geteuid() == 0 {
		defer asNobody(t)
		p.write("aliases", "gone: /dev/null\nprog: \"|cat >HOME/box\"\n")
		p.accept(spool.InboxRoute, "gone@example.net")
		p.accept(spool.InboxRoute, "prog@example.net")
		p.run()
		p.logged("event=dropped .*done as control/aliases:1 says")
		p.logged("event=deferred .*runs as root")
		return
	}
	home := p.ownHome(nil)
	p.write("aliases", strings.ReplaceAll("prog: \"|cat >HOME/box\"\nfile: HOME/mbox, bob\ngone: /dev/null\nno: \"|exit 67\"\n", "HOME", home))
	for _, to := range []string{"prog", "file", "gone", "no"} {
		p.accept(spool.InboxRoute, to+"@example.net")
	}
	p.run()
	for _, name := range []string{"box", "mbox"} {
		if text, err := os.ReadFile(filepath.Join(home, name)); err != nil || !strings.Contains(string(text), "\nSubject: x\n\nhello\n") {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	p.logged("event=delivered .*to=bob@example.net")
	p.logged("event=failed .*to=no@example.net status=5.1.1")
}
