package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// limited gives alice a mailbox with this limit, and with so many octets in it.
func limited(t *testing.T, rule string, octets int) *fixture {
	t.Helper()
	p := newFixture(t)
	p.write("users", "alice@example.net:::::::userdb_quota_rule="+rule+"\nbob@example.net:\n")
	root := filepath.Join(p.home, "mail/example.net/alice/Maildir")
	for _, sub := range []string{"tmp", "new", "cur"} {
		p.check(os.MkdirAll(filepath.Join(root, sub), 0o700))
	}
	if octets > 0 {
		p.check(os.WriteFile(filepath.Join(root, "cur", fmt.Sprintf("1.a,S=%d:2,S", octets)), nil, 0o600))
	}
	return p
}

func (p *fixture) maildirsize() string {
	text, _ := os.ReadFile(filepath.Join(p.home, "mail/example.net/alice/Maildir/maildirsize"))
	return string(text)
}

func TestQuotaAtDelivery(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rule   string
		octets int
		params string
		size   string // what maildirsize begins with
		log    string
	}{
		{"fits", "*:storage=1M", 1000, "", "1048576S\n1000 1\n", "event=delivered "},
		{"fits, copied", "*:storage=1M", 1000, " NOTIFY=NEVER", "1048576S\n1000 1\n", "event=delivered "},
		{"full", "*:bytes=1200", 1100, "", "1200S\n1100 1\n", `event=deferred .*the mailbox is full`},
		{"too many", "*:messages=1", 10, "", "1C\n10 1\n", `event=deferred .*the mailbox is full`},
		{"never fits", "*:bytes=100", 0, "", "", "event=failed .*status=5.2.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := limited(t, tt.rule, tt.octets)
			p.write("quota-warning", "0\n")
			p.accept(spool.InboxDeliver, "alice@example.net"+tt.params)
			p.stageRun(spool.InboxDeliver, p.stage.Handle)
			if got := p.maildirsize(); !strings.HasPrefix(got, tt.size) {
				t.Errorf("maildirsize has %q", got)
			}
			p.logged(tt.log)
			if stored := strings.HasPrefix(tt.log, "event=delivered"); stored != (strings.Count(p.maildirsize(), "\n") == 3) {
				t.Errorf("maildirsize has %q", p.maildirsize())
			}
		})
	}
}

// What a user's rules store in folders of the mailbox counts as what goes to the inbox does, each
// copy by itself; the trash does not.
func TestQuotaOfCopies(t *testing.T) {
	for _, tt := range []struct{ name, rule, qmail, want string }{
		{"a folder, and it fits", "*:messages=2", "./Maildir/.a/\n", "folder 1"},
		{"a folder, and it is full", "*:messages=1", "./Maildir/.a/\n", "deferred 1"},
		{"two folders where one fits", "*:messages=2", "./Maildir/.a/\n./Maildir/.b/\n", "deferred 1"},
		{"a folder and the inbox where one fits", "*:messages=2", "./Maildir/.a/\n./Maildir/\n", "deferred 1"},
		{"a folder and the inbox, and they fit", "*:messages=3", "./Maildir/.a/\n./Maildir/\n", "inbox 1 folder 1"},
		{"a Maildir beside the mailbox", "*:messages=1", "./Other/\n", ""},
		{"the trash", "*:messages=1", "./Maildir/.Trash/\n", "folder 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := limited(t, tt.rule, 10)
			p.write("quota-warning", "0\n")
			p.ownHome(map[string]string{".qmail": tt.qmail})
			p.accept(spool.InboxDeliver, "alice@example.net")
			p.stageRun(spool.InboxDeliver, p.stage.Handle)
			if got := p.places(); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, p.log.String())
			}
		})
	}
}

// TestFullForADay: deferred on the first day, and then returned. Reports of ours fit.
func TestFullForADay(t *testing.T) {
	p := limited(t, "*:bytes=1200", 1100)
	p.write("retry", "attempts: 1\n")
	p.accept(spool.InboxDeliver, "alice@example.net")
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	p.logged("event=deferred .*the mailbox is full")
	if err := p.stage.Full.Refusal("alice@example.net", p.time); err == nil {
		t.Error("no mark for RCPT")
	}
	p.time = p.time.Add(25 * time.Hour)
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	p.logged("event=failed .*status=5.2.2")
	p.with = spool.WithBounce
	p.accept(spool.InboxDeliver, "alice@example.net")
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	p.logged("event=delivered .*to=alice@example.net")
}

// TestQuotaWarning: one letter, when the message is stored that crosses the threshold.
func TestQuotaWarning(t *testing.T) {
	p := limited(t, "*:bytes=100000", 89900)
	p.text = "Subject: x\n\n" + strings.Repeat("x", 200) + "\n"
	for range 3 {
		p.accept(spool.InboxDeliver, "alice@example.net")
		p.run()
	}
	if got := strings.Count(p.log.String(), "event=reported"); got != 1 {
		t.Errorf("%d letters:\n%s", got, p.log.String())
	}
	p.logged("event=reported .*what=quota to=alice@example.net")
	found := false
	files, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/alice/Maildir/new/*"))
	p.check(err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		p.check(err)
		found = found || strings.Contains(string(text), "\nSubject: Your mailbox is nearly full\n")
	}
	if !found || len(files) != 4 {
		t.Errorf("%d messages, the letter is there: %v", len(files), found)
	}
}

// TestMDAQuotaWarning: with -d the letter lies in the mailbox, once, beside what filled it.
func TestMDAQuotaWarning(t *testing.T) {
	for _, rules := range []string{"", "./Maildir/\n"} {
		p := limited(t, "*:bytes=100000", 89900)
		if rules != "" {
			p.check(os.WriteFile(filepath.Join(p.home, "mail/example.net/alice/.qmail"), []byte(rules), 0o600))
		}
		for range 3 {
			text := "Subject: x\n\n" + strings.Repeat("x", 200) + "\n"
			p.check(p.mda().Deliver(context.Background(), "alice@example.net", nil, strings.NewReader(text)))
		}
		files, err := filepath.Glob(filepath.Join(p.home, "mail/example.net/alice/Maildir/new/*"))
		p.check(err)
		letters := 0
		for _, f := range files {
			text, err := os.ReadFile(f)
			p.check(err)
			if strings.HasPrefix(string(text), "Return-Path: <>\n") && strings.Contains(string(text), "\nSubject: Your mailbox is nearly full\n") {
				letters++
			}
		}
		if letters != 1 || len(files) != 4 {
			t.Errorf("rules %q: %d letters in %d messages\n%s", rules, letters, len(files), p.log.String())
		}
	}
}

// TestMDAQuota: the calling mail system hears of it.
func TestMDAQuota(t *testing.T) {
	p := limited(t, "*:bytes=1200", 1100)
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{0, "the mailbox is full"}, {25 * time.Hour, "the mailbox is full since"}} {
		p.time = p.time.Add(tt.after)
		err := p.mda().Deliver(context.Background(), "alice@example.net", nil, strings.NewReader("Subject: x\n\n"+strings.Repeat("x", 100)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v", err)
		}
	}
	p.check(p.mda().Deliver(context.Background(), "alice@example.net", nil, strings.NewReader("S: x\n\nx")))
	if got := strings.Count(p.maildirsize(), "\n"); got != 3 {
		t.Errorf("maildirsize has %q", p.maildirsize())
	}
}

// logged wants an event that this pattern matches.
func (p *fixture) logged(pattern string) {
	p.t.Helper()
	if !regexp.MustCompile(pattern).MatchString(p.log.String()) {
		p.t.Errorf("no %s in\n%s", pattern, p.log.String())
	}
}
