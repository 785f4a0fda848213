package route

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/status"
)

// home makes a home with these control files. The clock of its settings is an
// hour ahead, so that no file looks as if an editor were at work.
func home(t testing.TB, files map[string]string) (string, *control.Control) {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"control", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		write(t, dir, name, text)
	}
	return dir, control.Open(dir, func() time.Time { return time.Now().Add(time.Hour) })
}

func write(t testing.TB, home, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	domains = "example.net\nexample.com\n[192.0.2.1]\n"
	users   = "alice@example.net:\nbob@example.net:\ncarol+x@example.net:\ncarol@example.net:\nalice@example.com:\n" +
		"\"d e\"@example.net:::::mail/de\nzo\u00eb@example.net:\n"
)

func parseOrBare(t *testing.T, s string) addr.Address {
	t.Helper()
	if !strings.Contains(s, "@") {
		return addr.Address{Local: s}
	}
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// lines formats targets for comparison.
func lines(targets []Target) []string {
	var list []string
	for _, t := range targets {
		line := string(t.Kind) + " " + t.Addr.String()
		if t.User != nil && t.User.Address != t.Addr.String() {
			line += " in " + t.User.Address
		}
		list = append(list, line)
	}
	return list
}

func TestResolve(t *testing.T) {
	const swap = "alice: bob\nbob: alice\n"
	tests := []struct{ about, aliases, ask, want string }{
		{"a mailbox", "", "alice@example.net", "local alice@example.net"},
		{"ASCII case is folded, the bytes stay", "", "ALICE@Example.NET", "local ALICE@Example.NET in alice@example.net"},
		{"case beyond ASCII is not folded", "", "ZO\u00cb@example.net", "67"},
		{"UTF-8", "", "ZO\u00eb@example.net", "local ZO\u00eb@example.net in zo\u00eb@example.net"},
		{"quotes that quote", "", `"d e"@example.net`, `local "d e"@example.net`},
		{"quotes that quote nothing", "", `"alice"@example.net`, "local alice@example.net"},
		{"extension", "", "alice+a@example.net", "local alice+a@example.net in alice@example.net"},
		{"first plus cuts", "", "alice+a+b@example.net", "local alice+a+b@example.net in alice@example.net"},
		{"nothing before the plus", "", "+a@example.net", "67"},
		{"a row of its own goes before the base", "", "carol+x@example.net", "local carol+x@example.net"},
		{"other domain, other user", "", "bob@example.com", "67"},
		{"not ours", "", "alice@elsewhere.example", "remote alice@elsewhere.example"},
		{"a subdomain is not ours", "", "alice@sub.example.net", "remote alice@sub.example.net"},
		{"literal", "x: alice@example.net", "x@[192.0.2.1]", "local alice@example.net"},
		{"unknown", "", "nobody@example.net", "67"},
		{"slash in the name", "", "../alice@example.net", "67"},

		{"list", "team: alice, bob, far@elsewhere.example", "team@example.net",
			"local alice@example.net; local bob@example.net; remote far@elsewhere.example"},
		{"alias in any local domain", "info: alice", "info@example.com", "local alice@example.com"},
		{"alias of one domain", "info@example.com: bob@example.net", "info@example.net", "67"},
		{"alias of one domain goes before the bare one", "info: bob\ninfo@example.net: alice", "info@example.net", "local alice@example.net"},
		{"alias goes before the mailbox", "alice: bob", "alice@example.net", "local bob@example.net"},
		{"alias by extension", "alice+a: bob", "alice+a@example.net", "local bob@example.net"},
		{"alias of the base", "team: bob", "team+a@example.net", "local bob@example.net"},
		{"a row goes before the alias of its base", "carol: bob", "carol+x@example.net", "local carol+x@example.net"},
		{"alias in an alias", "a: b\nb: c@example.com\nc@example.com: bob@example.net", "a@example.net", "local bob@example.net"},
		{"duplicates fold", "team: alice, ALICE, b, alice+a\nb: alice@EXAMPLE.net, bob", "team@example.net",
			"local alice@example.net; local bob@example.net; local alice+a@example.net in alice@example.net"},
		{"remote duplicates fold", "t: x@elsewhere.example, x@ELSEWHERE.example", "t@example.net", "remote x@elsewhere.example"},
		{"no alias for other hosts", "x: alice", "x@elsewhere.example", "remote x@elsewhere.example"},

		{"itself is the mailbox", "alice: alice, bob", "alice@example.net", "local alice@example.net; local bob@example.net"},
		{"itself keeps the extension", "alice: alice, bob", "alice+a@example.net",
			"local alice+a@example.net in alice@example.net; local bob@example.net"},
		{"itself with an extension", "alice: alice+all", "alice@example.net", "local alice+all@example.net in alice@example.net"},
		{"itself with an extension, asked with it", "alice: alice+all", "alice+all@example.net", "local alice+all@example.net in alice@example.net"},
		{"itself without a mailbox", "team: team", "team@example.net", "67"},
		{"copies to each other", "alice: alice, bob\nbob: bob, alice", "alice@example.net", "local alice@example.net; local bob@example.net"},
		{"a name below itself", "a: b, alice\nb: a, bob", "a@example.net", "unknown a@example.net; local bob@example.net; local alice@example.net"},
		{"nothing but a loop is the mailbox", swap, "alice@example.net", "local alice@example.net"},
		{"nor is the other one its own", swap, "bob@example.net", "local bob@example.net"},
		{"each is below itself, one way or the other", swap + "team: alice, bob", "team@example.net", "local alice@example.net; local bob@example.net"},
		{"the same the other way round", swap + "team: bob, alice", "team@example.net", "local bob@example.net; local alice@example.net"},
		{"below itself only by way of what stands above", "a: alice\n" + swap, "a@example.net", "local alice@example.net"},
		{"a loop keeps the extension", "alice: team\nteam: alice", "alice+a@example.net", "local alice+a@example.net in alice@example.net"},
		{"a row by extension is another name", "alice: alice+a\nalice+a: bob", "alice@example.net", "local bob@example.net"},
		{"sendmail's backslash", "alice: \\alice, bob\nteam: \\alice, \\bob\nbob: x@x.example", "team@example.net",
			"local alice@example.net; local bob@example.net"},
		{"a backslash before nobody's name", "team: \\nobody, alice\nnobody: bob", "team@example.net", "unknown nobody@example.net; local alice@example.net"},
		{"a dead name beside others", "team: alice, nobody", "team@example.net", "local alice@example.net; unknown nobody@example.net"},
		{"only dead names", "team: nobody, noone", "team@example.net", "67"},

		{"postmaster is the first user", "", "postmaster@example.com", "local alice@example.net"},
		{"postmaster without a domain", "", "PostMaster", "local alice@example.net"},
		{"postmaster by alias", "postmaster: bob", "POSTMASTER@example.net", "local bob@example.net"},
		{"postmaster of one domain", "postmaster@example.com: bob@example.net", "postmaster@example.net", "local alice@example.net"},
		{"daemon goes where postmaster goes", "postmaster: bob", "mailer-daemon@example.net", "local bob@example.net"},
		{"daemon without a domain", "", "MAILER-DAEMON", "local alice@example.net"},
		{"daemon by alias", "mailer-daemon: bob", "MAILER-DAEMON@example.net", "local bob@example.net"},
		{"root is the postmaster", "", "root@example.net", "local alice@example.net"},
		{"root by alias", "root: bob", "ROOT@example.net", "local bob@example.net"},
		{"root goes where postmaster goes", "postmaster: bob", "root@example.net", "local bob@example.net"},
		{"abuse is the postmaster", "", "Abuse@example.com", "local alice@example.net"},
		{"the first user's alias leads to postmaster", "alice: postmaster", "postmaster@example.net", "local alice@example.net"},
		{"postmaster named by itself", "postmaster: postmaster, bob", "postmaster@example.net", "local alice@example.net; local bob@example.net"},
		{"postmaster to a dead name", "postmaster: nobody", "postmaster@example.net", "75 no mailbox"},
		{"postmaster elsewhere", "", "postmaster@elsewhere.example", "remote postmaster@elsewhere.example"},
		{"no other name without a domain", "", "alice", "75 without a domain"},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			_, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": tt.aliases + "\n"})
			targets, err := Resolve(c, "", parseOrBare(t, tt.ask), nil)
			got := strings.Join(lines(targets), "; ")
			if err != nil {
				got = fmt.Sprint(status.Exit(err))
				if _, text, ok := strings.Cut(tt.want, " "); ok && strings.Contains(err.Error(), text) {
					got += " " + text
				}
			}
			if got != tt.want {
				t.Errorf("%s is %q (%v), want %q", tt.ask, got, err, tt.want)
			}
		})
	}
}

func TestUnknownIsAPositiveAnswer(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users})
	_, err := Resolve(c, "", parseOrBare(t, "nob\u00f6dy@example.net"), nil)
	code, enhanced, text := status.Reply(err)
	if code != 550 || enhanced != "5.1.1" || text != `no such mailbox: nob\u{f6}dy@example.net` {
		t.Errorf("reply %d %s %s", code, enhanced, text)
	}
}

// If the tables cannot answer, the error is temporary for every name. A broken row
// harms the names that it may be about, and no others.
func TestBrokenTablesAreTemporary(t *testing.T) {
	everybody := []string{"alice@example.net", "nobody@example.net", "postmaster@example.net", "postmaster"}
	for about, tt := range map[string]struct {
		files map[string]string
		whom  []string // it harms
		not   []string
	}{
		"no users":   {map[string]string{"domains": domains}, everybody, nil},
		"no domains": {map[string]string{"users": users}, everybody, nil},
		"unreadable user": {map[string]string{"domains": domains, "users": "alice@example.net:\nbob\n"},
			[]string{"nobody@example.net", "alice+x@example.net", "postmaster@example.net", "root@example.net"}, []string{"alice@example.net"}},
		"unreadable alias": {map[string]string{"domains": domains, "users": users, "aliases": "a b\ninfo: alice\n"},
			[]string{"nobody@example.net", "alice+x@example.net", "postmaster", "abuse@example.net"}, []string{"alice@example.net", "info@example.net"}},
		"broken alias": {map[string]string{"domains": domains, "users": users, "aliases": "alice: a b\nroot: ,\npostmaster: alice@example.net\n"},
			[]string{"alice@example.net", "root@example.net", "postmaster"}, []string{"bob@example.net", "bob+x@example.net"}},
		"broken user": {map[string]string{"domains": domains, "users": "bob@example.net:\nalice@example.net:{\n", "aliases": "info: alice\n"},
			[]string{"alice@example.net", "alice+x@example.net", "info@example.net"}, []string{"bob@example.net", "root@example.net"}},
		"broken first user": {map[string]string{"domains": domains, "users": "bob@example.net:{\nalice@example.net:\n"},
			[]string{"postmaster@example.net", "root@example.net"}, []string{"alice@example.net"}},
	} {
		t.Run(about, func(t *testing.T) {
			_, c := home(t, tt.files)
			for _, ask := range tt.whom {
				if targets, err := Resolve(c, "", parseOrBare(t, ask), nil); !status.IsTemporary(err) {
					t.Errorf("%s: %q, %v", ask, lines(targets), err)
				}
			}
			for _, ask := range tt.not {
				if _, err := Resolve(c, "", parseOrBare(t, ask), nil); err != nil {
					t.Errorf("%s: %v", ask, err)
				}
			}
		})
	}
	_, c := home(t, map[string]string{"domains": domains, "users": "\n"})
	if _, err := Resolve(c, "", addr.Address{Local: "postmaster"}, nil); !status.IsTemporary(err) {
		t.Errorf("postmaster without any user: %v", err)
	}
}

// An editor has written half of the users when the query comes: the answer waits for
// the rest.
func TestHalfWrittenUsersAreWaitedFor(t *testing.T) {
	dir, _ := home(t, map[string]string{"domains": domains, "users": "alice@example.net:\nbo"})
	var once sync.Once
	isRead := make(chan struct{})
	c := control.Open(dir, func() time.Time {
		if _, err := os.Stat(filepath.Join(dir, "asked")); err == nil {
			once.Do(func() { close(isRead) })
		}
		return time.Now()
	})
	if _, local, err := c.IsLocal("example.net"); err != nil || !local {
		t.Fatal(local, err)
	}
	write(t, dir, "../asked", "")
	answer := make(chan error)
	go func() {
		_, err := Resolve(c, "", addr.Address{Local: "bob", Domain: "example.net"}, nil)
		answer <- err
	}()
	<-isRead // half of the file; the whole is found without asking again
	select {
	case err := <-answer:
		t.Fatalf("answered from half of the file: %v", err)
	default:
	}
	write(t, dir, "users", "alice@example.net:\nbob@example.net:\n")
	if err := <-answer; err != nil {
		t.Errorf("bob: %v", err)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	var deep, bush strings.Builder
	for i := range 30 {
		fmt.Fprintf(&deep, "d%d: d%d\n", i, i+1)
		fmt.Fprintf(&bush, "d%d: d%d, d%d+a, d%d+b, alice\n", i, i+1, i+1, i+1)
	}
	for about, tt := range map[string]struct{ aliases, ask string }{
		"deep": {deep.String(), "d0@example.net"},
		"bush": {bush.String(), "d0@example.net"},
	} {
		_, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": tt.aliases})
		_, err := Resolve(c, "", parseOrBare(t, tt.ask), nil)
		if !status.IsTemporary(err) || !strings.Contains(err.Error(), "cannot be expanded") {
			t.Errorf("%s: %v", about, err)
		}
	}
	_, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": deep.String()})
	if _, err := Resolve(c, "", parseOrBare(t, "d20@example.net"), nil); status.Exit(err) != status.NoMailbox {
		t.Errorf("ten aliases deep: %v", err)
	}
}

// maildeliver asks again for every address that mailroute gave it: what
// Resolve calls a mailbox must be among that address's own targets.
func TestAMailboxIsItsOwnTarget(t *testing.T) {
	for _, aliases := range []string{
		"", "alice: alice, bob\n", "alice: alice+all\n", "alice: bob\nbob: alice, carol\n",
		"alice: alice+a\nalice+a: bob\n", "alice: alice+a\nalice+a: alice\n", "bob: alice\nalice: bob, alice\n",
		"postmaster: alice+p\nalice: alice+a, alice+b\n", "carol: carol+x, carol+y\ncarol+x: carol\n",
		"alice: mailer-daemon\nmailer-daemon: mailer-daemon\n", "carol+x: carol+x+y\n",
	} {
		_, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": aliases})
		for _, ask := range []string{"alice", "alice+a", "alice+z", "bob", "carol", "carol+x", "carol+x+y", "carol+y", "postmaster", "mailer-daemon"} {
			targets, _ := Resolve(c, "", parseOrBare(t, ask+"@example.net"), nil)
			for _, target := range targets {
				if target.Kind != Local {
					continue
				}
				again, err := Resolve(c, "", target.Addr, nil)
				if !cmp.Equal(contains(again, target.Addr), true) {
					t.Errorf("%q: %s leads to %s, and that to %q (%v)", aliases, ask, target.Addr, lines(again), err)
				}
			}
		}
	}
}

func contains(targets []Target, a addr.Address) bool {
	for _, t := range targets {
		if t.Kind == Local && key(t.Addr) == key(a) {
			return true
		}
	}
	return false
}

func TestTrailNamesTheRows(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": "# staff\nteam: bob, x@elsewhere.example\n"})
	var trail explain.Trail
	targets, err := Resolve(c, "", parseOrBare(t, "team@example.net"), &trail)
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for _, target := range targets {
		where = append(where, target.Where)
	}
	if diff := cmp.Diff([]string{"control/aliases:2, control/users:2", "control/aliases:2"}, where); diff != "" {
		t.Error(diff)
	}
	want := []explain.Step{
		{Decision: "domain example.net", Value: "local", Source: "control/domains:1"},
		{Decision: "alias team@example.net", Value: "bob@example.net, x@elsewhere.example", Source: "control/aliases:2"},
		{Decision: "domain example.net", Value: "local", Source: "control/domains:1"},
		{Decision: "mailbox bob@example.net", Value: filepath.Join(c.Home(), "mail/example.net/bob"), Source: "control/users:2"},
		{Decision: "domain elsewhere.example", Value: "remote", Source: "not in control/domains"},
	}
	if diff := cmp.Diff(want, trail.Steps); diff != "" {
		t.Error(diff)
	}
}
