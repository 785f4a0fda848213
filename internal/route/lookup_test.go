package route

import (
	"fmt"
	"strings"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/control/machinetest"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// ask resolves an address and returns its targets, or the exit status.
func ask(t *testing.T, files map[string]string, address string) string {
	t.Helper()
	_, c := home(t, files)
	targets, err := Resolve(c, "", parseOrBare(t, address), nil)
	if err != nil {
		return fmt.Sprint(status.Exit(err))
	}
	return strings.Join(lines(targets), "; ")
}

// The order in which a local address is looked up: the longest name first, of each its
// alias before its mailbox; then the domain alias, the names that every domain has, the
// catch-all.
func TestLookupOrder(t *testing.T) {
	const domains = "example.net\nold.example\n"
	const users = "alice@example.net:\ninfo@example.net:\nmary@example.net:\nmary-ann@example.net:\nx@old.example:\n"
	tests := []struct{ about, delimiters, aliases, ask, want string }{
		{"each shorter name", "", "alice+a: info", "alice+a+b@example.net", "local info@example.net"},
		{"the longest of them", "", "alice+a: info\nalice: mary", "alice+a+b@example.net", "local info@example.net"},
		{"a longer mailbox before a shorter alias", "+-", "mary: alice", "mary-ann-x@example.net", "local mary-ann-x@example.net in mary-ann@example.net"},
		{"a shorter alias", "+-", "mary: alice", "mary-bob@example.net", "local alice@example.net"},
		{"two delimiters", "+-", "", "mary-ann+x@example.net", "local mary-ann+x@example.net in mary-ann@example.net"},
		{"minus is no delimiter by itself", "", "", "mary-bob@example.net", "67"},
		{"no delimiter", "none", "", "alice+a@example.net", "67"},

		{"domain alias", "", "@old.example: @example.net", "alice@old.example", "local alice@example.net"},
		{"domain alias keeps the extension", "", "@old.example: @example.net", "Alice+a@old.example", "local Alice+a@example.net in alice@example.net"},
		{"domain alias and an alias there", "", "@old.example: @example.net\nteam@example.net: alice, mary", "team@old.example", "local alice@example.net; local mary@example.net"},
		{"a mailbox comes before the domain alias", "", "@old.example: @example.net", "x+y@old.example", "local x+y@old.example in x@old.example"},
		{"an alias comes before the domain alias", "", "@old.example: @example.net\nalice@old.example: mary@example.net", "alice@old.example", "local mary@example.net"},
		{"unknown there", "", "@old.example: @example.net", "nobody@old.example", "67"},
		{"once", "", "@old.example: @example.net\n@example.net: @old.example", "y@old.example", "67"},
		{"once, and back to a mailbox", "", "@old.example: @example.net\n@example.net: @old.example", "x@example.net", "local x@old.example"},
		{"the catch-all of the new domain", "", "@old.example: @example.net\n@example.net: info", "nobody@old.example", "local info@example.net"},
		{"to another host", "", "@old.example: @far.example", "nobody@old.example", "remote nobody@far.example"},
		{"postmaster by the domain alias", "", "@old.example: @example.net\npostmaster@example.net: mary", "postmaster@old.example", "local mary@example.net"},

		{"catch-all", "", "@example.net: info", "nobody+x@example.net", "local info@example.net"},
		{"catch-all of one domain", "", "@example.net: info", "nobody@old.example", "67"},
		{"a mailbox is no business of the catch-all", "", "@example.net: info", "alice@example.net", "local alice@example.net"},
		{"nor is an alias", "", "@example.net: info\nteam: mary", "team@example.net", "local mary@example.net"},
		{"nor is postmaster", "", "@example.net: info", "postmaster@example.net", "local alice@example.net"},
		{"nor is abuse", "", "@example.net: info", "abuse@example.net", "local alice@example.net"},
		{"an exception", "", "@example.net: info\nspam@example.net: error: 5.1.6 gone", "spam+x@example.net", "69"},
		{"several targets", "", "@example.net: info, far@far.example", "nobody@example.net", "local info@example.net; remote far@far.example"},
		{"a catch-all that nothing is behind", "", "@example.net: nobody", "x@example.net", "67"},
		{"a list with two that the catch-all takes", "", "@example.net: info\nl: a, b, mary", "l@example.net", "local info@example.net; local mary@example.net"},
	}
	for _, tt := range tests {
		files := map[string]string{"domains": domains, "users": users, "aliases": tt.aliases + "\n"}
		if tt.delimiters != "" {
			files["delimiters"] = tt.delimiters + "\n"
		}
		if got := ask(t, files, tt.ask); got != tt.want {
			t.Errorf("%s: %s\n is %s\nwant %s", tt.about, tt.ask, got, tt.want)
		}
	}
}

// A broken row hides every less specific one: for its own name, if that can be read.
func TestBrokenRowHidesTheDomain(t *testing.T) {
	for aliases, want := range map[string]string{
		"@example.net: info\nnobody: a b\n":                    "75", // hides the catch-all
		"@old.example: @example.net\nalice@old.example: a b\n": "75", // hides the domain alias
		"@example.net: info\nother: a b\n":                     "local info@example.net",
		"@example.net: a b\n":                                  "75",
		"@old.example: @exa mple\n":                            "67",
		"@example.net: info\nno colon\n":                       "75", // may be for anybody
	} {
		files := map[string]string{"domains": "example.net\nold.example\n", "users": "info@example.net:\n", "aliases": aliases}
		asked := "nobody@example.net"
		if strings.Contains(aliases, "alice@old") {
			asked = "alice@old.example"
		}
		if got := ask(t, files, asked); got != want {
			t.Errorf("%q: %s is %s, want %s", aliases, asked, got, want)
		}
		if got := ask(t, files, "info@example.net"); got != "local info@example.net" {
			t.Errorf("%q: a mailbox is %s", aliases, got)
		}
	}
}

// What a catch-all and a domain alias did is said with their lines.
func TestLookupIsExplained(t *testing.T) {
	_, c := home(t, map[string]string{"domains": "example.net\nold.example\n", "users": "info@example.net:\n",
		"aliases": "@old.example: @example.net\n@example.net: info\n"})
	var trail explain.Trail
	answer, err := Ask(c, "", "nobody@old.example", &trail)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, s := range trail.Steps {
		steps = append(steps, s.Decision+": "+s.Value+" ("+s.Source+")")
	}
	text := strings.Join(steps, "\n")
	for _, want := range []string{
		"domain alias @old.example: nobody@example.net (control/aliases:1)",
		"catch-all @example.net: info@example.net (control/aliases:2)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not said: %s\n%s", want, text)
		}
	}
	if w := answer.Destinations[0].Where; w != "control/aliases:1, control/aliases:2, control/users:1" {
		t.Error(w)
	}
}

// A message that has been forwarded by the catch-all for any extension of a name is not
// forwarded for that name again: otherwise a growing extension would be a loop.
func TestCatchAllOnce(t *testing.T) {
	_, c := home(t, map[string]string{"domains": "example.net\n", "users": "",
		"aliases": "@example.net: a@far.example\n"})
	h, err := message.Read(strings.NewReader("Delivered-To: x+a@example.net\n\n"), 1000, 10)
	if err != nil {
		t.Fatal(err)
	}
	passed := PassedOf(h, "+")
	for to, want := range map[string]int{"x+a+b@example.net": status.NoMailbox, "x@example.net": status.NoMailbox, "y@example.net": 0} {
		r := newResolver(c, "", func(row addr.Address) (bool, error) { return passed.Expanded(row), nil }, nil)
		targets, err := r.resolve(parseOrBare(t, to), r.recipient)
		if status.Exit(err) != want {
			t.Errorf("%s: %v %v", to, lines(targets), err)
		}
	}
}

// The machine's users, where control/accounts has the domain: behind aliases and rows, before
// the domain alias and the catch-all. Daemons have no mailbox.
func TestAccountsInLookup(t *testing.T) {
	machinetest.Users(t, "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"+
		"mary:x:1002:1002::/home/mary:/bin/sh\n", "")
	for _, tt := range []struct{ about, aliases, ask, want string }{
		{"an account", "", "bob@example.net", "local bob@example.net"},
		{"with an extension", "", "Bob+x@example.net", "local Bob+x@example.net in bob@example.net"},
		{"a row stands before it", "", "mary@example.net", "local mary@example.net"},
		{"an alias stands before it", "bob: mary", "bob+x@example.net", "local mary@example.net"},
		{"itself", "bob: \\bob, far@far.example", "bob@example.net", "local bob@example.net; remote far@far.example"},
		{"another domain", "", "bob@old.example", "67"},
		{"before the catch-all", "@example.net: mary", "bob@example.net", "local bob@example.net"},
		{"nobody", "", "nosuch@example.net", "67"},
		{"behind it the catch-all", "@example.net: mary", "nosuch@example.net", "local mary@example.net"},
		{"a daemon", "", "www-data@example.net", "local alice@example.net"},
		{"a daemon is no business of the catch-all", "@example.net: mary", "www-data@example.net", "local alice@example.net"},
		{"a daemon with an alias", "www-data: mary", "www-data@example.net", "local mary@example.net"},
		{"a daemon whose mail is refused", "www-data: error: 5.1.6 no", "www-data@example.net", "69"},
		{"a daemon elsewhere", "", "www-data@old.example", "67"},
		{"root", "", "root@example.net", "local alice@example.net"},
		{"a domain alias leads to accounts", "@old.example: @example.net", "bob@old.example", "local bob@example.net"},
	} {
		files := map[string]string{"domains": "example.net\nold.example\n", "users": "alice@example.net:\nmary@example.net:\n",
			"accounts": "example.net\n", "aliases": tt.aliases + "\n"}
		if got := ask(t, files, tt.ask); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.about, got, tt.want)
		}
	}
}
