package deliver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/authres"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
	"paperpath/maildir"
)

const (
	alicesJunk = "mail/example.net/alice/Maildir/.Junk/new"
	madeJunk   = "mail/example.net/alice/Maildir/.Junk " + alicesJunk // with its mark, maildirfolder
	alicesSpam = "mail/example.net/alice/Maildir/.Spam/new"
)

// judged accepts a message with these results.
func (p *fixture) judged(in spool.Inbox, results []authres.Method, params string) {
	p.t.Helper()
	env := spool.Envelope{From: spool.Path{Addr: p.sender}, To: []spool.Recipient{{Addr: "alice@example.net", Params: params}}}
	_, err := p.sp.Accept(in, env, []string{"Received-SPF: fail\n", authres.Format("mx.example.net", results)},
		spool.Trace{By: "mx.example.net", With: "ESMTPS"}, spool.BytesBody([]byte(p.text)))
	p.check(err)
}

// folder makes a folder of alice's mailbox.
func (p *fixture) folder(name string) string {
	p.t.Helper()
	path := filepath.Join(p.home, "mail/example.net/alice/Maildir", name)
	p.check(maildir.Create(path))
	return path
}

func TestJunk(t *testing.T) {
	junk := []authres.Method{{Name: "spf", Result: "fail"}, {Name: authres.Paperpath, Result: authres.Junk, Reason: "spf"}}
	ham := []authres.Method{{Name: "spf", Result: "pass"}}
	forged := strings.ReplaceAll(authres.Format("mx.example.net", junk), "\n ", " ") + "Subject: x\n\nhello\n"
	for _, tt := range []struct {
		name    string
		folders string
		setting string
		results []authres.Method
		params  string // NOTIFY: the copying path
		text    string
		wishes  string
		makes   bool // the user wants folders
		want    string
	}{
		{name: "junk", folders: ".Junk", results: junk, want: alicesJunk},
		{name: "junk for a mailbox without the folder", results: junk, want: alices},
		{name: "junk for a user who wants folders", makes: true, results: junk, want: madeJunk},
		{name: "junk, copied, for a user who wants folders", makes: true, results: junk, params: "NOTIFY=NEVER", want: madeJunk},
		{name: "no junk for a user who wants folders", makes: true, results: ham, want: alices},
		{name: "denied by a user who wants folders", makes: true, wishes: "alice@example.net: deny=x@x.example\n", want: madeJunk},
		{name: "the header alone for a user who wants folders", makes: true, setting: "header\n", results: junk, want: alices},
		{name: "no junk", folders: ".Junk", results: ham, want: alices},
		{name: "a verdict from outside", folders: ".Junk", text: forged, want: alices},
		{name: "junk, copied", folders: ".Junk", results: junk, params: "NOTIFY=NEVER", want: alicesJunk},
		{name: "junk, reported", folders: ".Junk", results: junk, params: "NOTIFY=SUCCESS", want: alicesJunk},
		{name: "another folder", folders: ".Junk .Spam", setting: "folder Spam\n", results: junk, want: alicesSpam},
		{name: "another folder that is missing", folders: ".Junk", setting: "folder Spam\n", results: junk, want: alices},
		{name: "junk of a sender who is allowed", folders: ".Junk", results: junk, wishes: "alice@example.net: allow=@x.example\n", want: alices},
		{name: "junk of an author who is allowed", folders: ".Junk", results: junk, text: "From: boss@y.example\n\nx\n",
			wishes: "@example.net: allow=boss@y.example\n", want: alices},
		{name: "a sender who is denied", folders: ".Junk", wishes: "alice@example.net: deny=x@x.example\n", want: alicesJunk},
		{name: "an author who is denied", folders: ".Junk", text: "From: eve@y.example\n\nx\n",
			wishes: "alice@example.net: deny=@y.example\n", want: alicesJunk},
		{name: "denied by another", folders: ".Junk", wishes: "bob@example.net: deny=*\n", want: alices},
		{name: "denied, without the folder", wishes: "alice@example.net: deny=x@x.example\n", want: "spool/hold/new spool/hold/reason"},
		{name: "a row that is broken", wishes: "alice@example.net: deny\n", want: "spool/deliver/cur spool/deliver/reason"},
		{name: "the header alone", folders: ".Junk", setting: "header\n", results: junk, want: alices},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newFixture(t)
			for _, f := range strings.Fields(tt.folders) {
				p.folder(f)
			}
			if tt.makes {
				p.write("users", "alice@example.net:::::::extension_folders=yes\n")
			}
			if tt.setting != "" {
				p.write("junk", tt.setting)
			}
			if tt.text != "" {
				p.text = tt.text
			}
			if tt.wishes != "" {
				p.write("user-checks", tt.wishes)
			}
			p.judged(spool.InboxRoute, tt.results, tt.params)
			p.run()
			wanted := strings.Fields(tt.want)
			if p.want(wanted...); strings.HasPrefix(tt.want, "spool/") {
				return
			}
			names, _ := filepath.Glob(filepath.Join(p.home, wanted[len(wanted)-1], "*"))
			data, err := os.ReadFile(names[0])
			if err != nil || strings.Contains(string(data), "x-paperpath=junk") != (len(tt.results) == 2 || tt.text == forged) {
				t.Errorf("%v, the field is missing or too many in\n%s", err, data)
			}
		})
	}
}

// TestJunkIsNotRepeated: the folder has come or gone between a copy and the end of the
// entry.
func TestJunkIsNotRepeated(t *testing.T) {
	junk := []authres.Method{{Name: authres.Paperpath, Result: authres.Junk, Reason: "spf"}}
	for _, before := range []string{"", ".Junk"} {
		p := newFixture(t)
		p.folder("")
		if before != "" {
			p.folder(before)
		}
		p.judged(spool.InboxDeliver, junk, "NOTIFY=NEVER")
		entries, _ := filepath.Glob(filepath.Join(p.home, "spool/deliver/new/*"))
		saved, err := os.ReadFile(entries[0])
		p.check(err)
		p.run()
		p.check(os.WriteFile(entries[0], saved, 0o600)) // as if a crash had kept it
		p.folder(".Junk")
		p.run()
		p.want(filepath.Join("mail/example.net/alice/Maildir", before, "new"))
		if !strings.Contains(p.log.String(), "event=repeated") {
			t.Errorf("%q: no repeat in\n%s", before, p.log.String())
		}
	}
}

// TestJunkFolderOfAnother: a folder in which others may write is no place for mail.
func TestJunkFolderOfAnother(t *testing.T) {
	p := newFixture(t)
	p.check(os.Chmod(p.folder(".Junk"), 0o777))
	p.judged(spool.InboxDeliver, []authres.Method{{Name: authres.Paperpath, Result: authres.Junk}}, "")
	p.run()
	p.want("spool/deliver/cur", "spool/deliver/reason")
}

func TestExplainJunk(t *testing.T) {
	p := newFixture(t)
	p.folder(".Junk")
	for setting, want := range map[string]string{
		"folder\n": "junk: the folder Junk (control/junk)", "folder Spam\n": "junk: where all mail goes: there is no folder Spam (control/junk)",
		"header\n": "junk: where all mail goes (control/junk)",
	} {
		p.write("junk", setting)
		var trail explain.Trail
		var out strings.Builder
		p.check(Explain(p.control, p.home, "alice", &trail))
		p.check(trail.Write(&out, false))
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	p.write("users", "alice@example.net:::::::extension_folders=yes\n")
	p.write("junk", "folder Spam\n")
	var trail explain.Trail
	var out strings.Builder
	p.check(Explain(p.control, p.home, "alice", &trail))
	p.check(trail.Write(&out, false))
	if want := "junk: the folder Spam, will be created (control/junk)\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
	p.want()
}
