package route

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// listed makes a home with lists: @NAME in aliases and lists is the path of one.
func listed(t *testing.T, aliases string, lists map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range lists {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"domains": domains, "users": users, "aliases": strings.ReplaceAll(aliases, "DIR", dir) + "\n"}
}

func TestExpandLists(t *testing.T) {
	tests := []struct {
		about, aliases string
		lists          map[string]string
		ask, want      string
	}{
		{"a list", "l: :include:DIR/l", map[string]string{"l": "alice, bob\nfar@far.example\n"}, "l@example.net",
			"local alice@example.net; local bob@example.net; remote far@far.example"},
		{"bare members are in the domain of the alias", "l: :include:DIR/l", map[string]string{"l": "alice\n"}, "l@example.com", "local alice@example.com"},
		{"members are aliases", "l: :include:DIR/l\nteam: alice, bob", map[string]string{"l": "team\n\\bob\n"}, "l@example.net",
			"local alice@example.net; local bob@example.net"},
		{"nested, in a circle", "l: :include:DIR/l", map[string]string{"l": ":include:DIR/m\nalice\n", "m": "bob\n:include:DIR/l\n"}, "l@example.net",
			"local bob@example.net; local alice@example.net"},
		{"a list with its own alias", "l: :include:DIR/l, alice", map[string]string{"l": "l\nbob\n"}, "l@example.net",
			"unknown l@example.net; local bob@example.net; local alice@example.net"},
		{"a list that is not there", "l: alice, :include:DIR/none", nil, "l@example.net", "75"},
		{"nobody else is harmed", "l: :include:DIR/none", nil, "alice@example.net", "local alice@example.net"},
		{"an empty list", "l: :include:DIR/l", map[string]string{"l": "# nobody\n"}, "l@example.net", "67"},
		{"a program", "p: |/bin/cat", nil, "p+x@example.net", "piped p+x@example.net"},
		{"a mailbox and a program and a file", "alice: \\alice, |/bin/cat, /var/log/x", nil, "alice@example.net",
			"local alice@example.net; piped alice@example.net; piped alice@example.net"},
		{"a program twice", "a: b, |/bin/cat\nb: |/bin/cat, |/bin/cat", nil, "a@example.net", "piped b@example.net; piped a@example.net"},
		{"what a stranger writes is no program", "", nil, "|/bin/cat@example.net", "67"},
		{"nor is what a domain alias makes of it", "@example.com: @example.net", nil, "|/bin/cat@example.com", "67"},
	}
	for _, tt := range tests {
		if got := ask(t, listed(t, tt.aliases, tt.lists), tt.ask); got != tt.want {
			t.Errorf("%s: %s\n is %s\nwant %s", tt.about, tt.ask, got, tt.want)
		}
	}
	files := listed(t, "", nil)
	files["masquerade"] = "far.example\n"
	if got := ask(t, files, "|id@example.net"); got != "remote |id@far.example" {
		t.Errorf("what stands for a stranger's address is %s", got)
	}
}

// The queue names a command by its hash: what the row has no longer is not run.
func TestCommandFor(t *testing.T) {
	dir, c := home(t, map[string]string{"domains": domains, "users": users, "aliases": "alice: \\alice, |/bin/a x, /var/b\n@example.com: |/bin/c\n"})
	for address, want := range map[string]string{"alice+x@example.net": "|/bin/a x;/var/b", "any@example.com": "|/bin/c"} {
		targets, err := Resolve(c, "", parseOrBare(t, address), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, target := range targets {
			r := forCommand(spool.Recipient{Addr: target.Addr.String(), Params: "NOTIFY=NEVER"}, target)
			command, err := CommandFor(c, r)
			if err != nil {
				t.Error(err)
			}
			if command == nil != (target.Kind == Local) {
				t.Errorf("%+v is %+v", r, command)
			}
			if command != nil {
				got = append(got, command.String())
			}
		}
		if is := strings.Join(got, ";"); is != want {
			t.Errorf("%s: %s, want %s", address, is, want)
		}
	}
	r := spool.Recipient{Addr: "alice@example.net", Params: params.Alias + "=" + "0123456789abcdef"}
	if command, err := CommandFor(c, r); status.Exit(err) != status.NoMailbox {
		t.Errorf("%+v %v", command, err)
	}
	write(t, dir, "aliases", "alice: a b\n")
	if _, err := CommandFor(c, r); !status.IsTemporary(err) {
		t.Errorf("of a broken row: %v", err)
	}
}

// What a list sends on has the address of its owner as reverse path, if that exists; of
// lists in lists, that of the inner one. What has no reverse path gets none.
func TestOwners(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users,
		"aliases": "l: alice, m, far@far.example\nm: bob\nowner-l: alice\nowner-m: bob\nowner-owner-l: bob\nplain: bob\n"})
	for _, tt := range []struct{ from, ask, want string }{
		{"s@s.example", "l@example.net", "alice@example.net owner-l@example.net; bob@example.net owner-m@example.net; far@far.example owner-l@example.net"},
		{"s@s.example", "plain@example.net", "bob@example.net "},
		{"s@s.example", "alice@example.net", "alice@example.net "},
		{"s@s.example", "owner-l@example.net", "alice@example.net "},
		{"", "m@example.net", "bob@example.net "},
	} {
		targets, err := Resolve(c, tt.from, parseOrBare(t, tt.ask), nil)
		var got []string
		for _, target := range targets {
			got = append(got, target.Addr.String()+" "+target.Owner)
		}
		if is := strings.Join(got, "; "); is != tt.want || err != nil {
			t.Errorf("%s from %s: %s (%v)\nwant %s", tt.ask, tt.from, is, err, tt.want)
		}
	}
}
