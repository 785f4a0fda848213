package control

import (
	"slices"
	"strings"
	"testing"
)

// brokenFile is a control file that is not as it should be, and the begin of a part of what is
// said about it.
type brokenFile struct{ name, text, want string }

func TestBrokenFiles(t *testing.T) {
	for _, b := range slices.Concat(brokenUsers(), brokenAliases(), brokenRoutes(), brokenChecks(), brokenFilters(), brokenRelay(), brokenServers()) {
		f := newFixture(t, map[string]string{b.name: b.text})
		ask := askBroken()[b.name]
		if ask == nil {
			ask = func(c *Control) error { return c.checkTable(b.name) }
		}
		wantError(t, ask(f.Control), b.want)
	}
}

// askBroken has what reads the files that are no tables, or not asked as one.
func askBroken() map[string]func(*Control) error {
	return map[string]func(*Control) error{
		"srs-secrets": func(c *Control) error { _, err := c.SRS(); return err },
		"databytes":   func(c *Control) error { _, err := c.Databytes(); return err },
		"greetpause":  func(c *Control) error { _, err := c.GreetPause(); return err },
		"hideclient":  func(c *Control) error { _, err := c.HideClient(); return err },
		"holdbytes":   func(c *Control) error { _, err := c.Holdbytes(); return err },
		"holdcount":   func(c *Control) error { _, err := c.Holdcount(); return err },
		"hostname":    func(c *Control) error { _, err := c.Hostname(); return err },
		"junk":        func(c *Control) error { _, err := c.Junk(); return err },
		"limits":      func(c *Control) error { _, err := c.Limit("hops"); return err },
		"log":         func(c *Control) error { _, err := c.Log(); return err },
		"postmaster":  func(c *Control) error { _, err := c.Postmaster(); return err },
		"rates":       func(c *Control) error { _, err := c.Rate("user-messages"); return err },
		"reserve":     func(c *Control) error { _, _, err := c.Reserve(); return err },
		"resolver":    func(c *Control) error { _, _, err := c.Resolver(); return err },
		"results":     func(c *Control) error { _, err := c.Results(); return err },
		"retry":       func(c *Control) error { _, err := c.Retry(); return err },
		"runtime":     func(c *Control) error { _, err := c.Runtime(); return err },
		"tls-roots":   func(c *Control) error { return c.temporary(c.checkRoots()) },
	}
}

// brokenUsers are files about who has a mailbox, and may send as whom.
func brokenUsers() []brokenFile {
	return []brokenFile{
		{"hostname", "a.example\nb.example\n", "control/hostname:2: a second value"},
		{"hostname", "# nothing\n", "control/hostname: the file is empty"},
		{"hostname", "a..example\n", `control/hostname:1: "a..example" has an empty label`},
		{"hostname", "mx.example # ours\n", "control/hostname:1:"},
		{"domains", "a.example\r\n", "control/domains:1: the line ends with CR LF"},
		{"domains", "# x\n\na.example\nb example\n", `control/domains:4: domain "b example"`},
		{"domains", "\xff\n", "control/domains:1: the line is not UTF-8"},
		{"domains", "a\x00b\n", "control/domains:1: control character"},
		{"domains", "[192.0.2.300]\n", "control/domains:1:"},
		{"domains", strings.Repeat("a", 300) + "\n", "control/domains:1:"},
		{"domains", strings.Repeat("x", maxLine+1), "control/domains:1: the line is too long"},
		{"users", "bob\n", "control/users:1: no colon"},
		{"users", "bob:{PLAIN}x\n", `control/users:1: address "bob" has no @domain`},
		{"users", "a@b.example:x\nA@B.example:y\n", `control/users:2: "a@b.example" is already in line 1`},
		{"users", "a@b.example:{PLAIN\n", "control/users:1: no }"},
		{"users", "a@b.example::x:\n", `control/users:1: uid "x" is not a number`},
		{"users", "a@b.example::1:-1\n", `control/users:1: gid "-1" is not a number`},
		{"users", "a@b.example:::::../x\n", "has a .. in it"},
		{"users", "a@b.example:::::/var/../x\n", "has a .. in it"},
		{"users", "a@b.example:::::./\n", "is the Paperpath home itself"},
		{"users", "a/b@b.example:x\n", "the row needs a home field"},
		{"users", ".a@b.example:x\n", "the row needs a home field"},
		{"users", "a@b.example:::::::k=1 k=2\n", "control/users:1: extra field"},
		{"users", "exec:true\n", "control/users:1: the program needs an absolute path"},
		{"postmaster", "root\n", "control/postmaster:1:"},
		{"senders", "x: alice\n", `control/senders:1: sender "alice" has no @domain`},
		{"senders", "x: @-a\n", "control/senders:1:"},
	}
}

// brokenAliases are files about what an address leads to.
func brokenAliases() []brokenFile {
	return []brokenFile{
		{"aliases", "x y\n", "control/aliases:1: no colon"},
		{"aliases", " x: y\n", "control/aliases:1: the first line begins with a blank"},
		{"aliases", "x:\n", `control/aliases:1: target "" is empty`},
		{"aliases", "x: a,\n# c\n b,,c\n", `control/aliases:1: target "" is empty`},
		{"aliases", "x: a\ny: b\nX: c\n", `control/aliases:3: "x" is already in line 1`},
		{"aliases", "x: |\n", `target "|" names no program`},
		{"aliases", "x: \"|a\"b\n", "has text outside its quotes"},
		{"aliases", "x: :include:etc/x\n", "is not the absolute path of a file"},
		{"aliases", "x: :include:\n", "is not the absolute path of a file"},
		{"aliases", "x: :exclude:/x\n", "is no list"},
		{"aliases", "x: /dir/\n", "is not the absolute path of a file"},
		{"aliases", "x: @y.example\n", "only a whole domain can stand for another"},
		{"aliases", "x: a, @y.example\n", "is a whole domain"},
		{"aliases", "@x.example: @y.example, a\n", "has no other target"},
		{"aliases", "@x.example: @X.example\n", "stands for itself"},
		{"aliases", "@x..example: a\n", `domain "x..example"`},
		{"aliases", "x: error:\n", "error: without a text"},
		{"aliases", "x: \"a\n", "control/aliases:1: a quote is not closed"},
		{"aliases", "x: a b\n", "has a character that must be quoted"},
		{"aliases", "x: a@b@c d\n", "control/aliases:1: target"},
		{"aliases", "x: ,\n", `control/aliases:1: target "" is empty`},
		{"aliases", "x: \\\n", `control/aliases:1: target "\\" is empty`},
		{"aliases", "x: \"\\|prog\"\n", "has a backslash before a program or a file"},
		{"aliases", "x: \"a b@c@d e\"\n", "control/aliases:1: target"},
		{"aliases", "x@: a\n", `name "x@" has no @domain`},
		{"aliases", ": a\n", `name "" is empty`},
	}
}

// brokenRoutes are files about where mail goes.
func brokenRoutes() []brokenFile {
	return []brokenFile{
		{"routes", "example.org\n", "control/routes:1: no colon"},
		{"routes", "example.org:\n", "control/routes:1: no value"},
		{"routes", "example.org: x:0\n", "control/routes:1:"},
		{"routes", "example.org: x:99999\n", "control/routes:1:"},
		{"routes", "example.org: a <b>\n", `control/routes:1: "<b>" is not a host`},
		{"routes", "a.example: lmpt:/run/lmtp\n", `control/routes:1: "lmpt:/run/lmtp" is not a target (did you mean lmtp?)`},
		{"routes", "a.example: smtp:mx.example\n", "(leave out smtp:)"},
		{"routes", "a.example: lmtp:h.example\n", "has no port (lmtp:HOST:PORT, lmtp:/PATH)"},
		{"routes", "a.example: lmtp:/" + strings.Repeat("x", 107) + "\n", "is longer than the 107 octets"},
		{"routes", "a.example: tls:h.example:0\n", "has no port between 1 and 65535"},
		{"routes", "a.example: program:uux -\n", "does not begin with / (program:/usr/bin/uux ARG ...)"},
		{"routes", "a.example: program:/bin/cat 'x\n", "a quote is not closed"},
		{"routes", "a.example: mx program:/bin/cat x\n", "program is not the only target (it stands alone)"},
		{"routes", "a.example: mx hold\n", "hold is not the only target (it stands alone)"},
		{"routes", "a.example: local mx\n", "local is not the only target (it stands alone)"},
		{"routes", "a.example: inflight=4\n", "no target, only options"},
		{"routes", "a.example: h inflight=0\n", "inflight=0 is not a number between 1 and 16"},
		{"routes", "a.example: h inflight=2 inflight=3\n", "inflight= is there twice"},
		{"routes", "a.example: h inflgiht=2\n", `unknown option "inflgiht" (did you mean inflight?)`},
		{"routes", "a.example: h tls=no\n", "(the options are inflight, recipients, time)"},
		{"routes", "a.example: hold inflight=2\n", "inflight= is not for hold"},
		{"routes", "a.example: mx inflight=2\n", "inflight= is not for mx"},
		{"routes", "a.example: inflight=2 b.example mx\n", "inflight= is not for mx"},
		{"routes", "a.example: h recipients=2\n", "recipients= is for program: alone"},
		{"routes", "a.example: error:\n", "error: without a text"},
		{"routes", "a.example: error: 4.7.1 later\n", "the status code 4.7.1 is not that of a refusal"},
		{"routes", "a.example: error: gr\u00fc\u00dfe\n", "is not ASCII"},
		{"routes", "a.example: " + strings.Repeat("h ", 17) + "\n", "more than 16 targets"},
		{"routes", "a@a.example: h\n", `control/routes:1: domain "a@a.example"`},
		{"routes", "ex ample: a\n", "control/routes:1: domain"},
		{"routes", ".: ::1\n", "control/routes:1:"},
		{"routes", "a.example: x\nA.example: y\n", "is already in line 1"},
		{"sender-routes", "a b@a.example: h\n", `control/sender-routes:1: sender "a b@a.example"`},
		{"sender-routes", ".: h\n", "a row for every sender (that is the row `.` of control/routes)"},
		{"sender-routes", "a@a.example: local\n", "local is for control/routes"},
		{"sender-routes", "@A.example: h\na.Example: x\n", "is already in line 1"},
	}
}

// brokenChecks are files about what is checked.
func brokenChecks() []brokenFile {
	return []brokenFile{
		{"srs-secrets", "", "control/srs-secrets: no secret is in it"},
		{"srs-secrets", "# soon\n\n", "control/srs-secrets: no secret is in it"},
		{"checks", "form: tag\n", "control/checks:1: \"form\" is not a check (did you mean from?)"},
		{"checks", "from: tagg\n", "from: \"tagg\" is not an action (off, accept, tag, junk, hold, defer, refuse, discard)"},
		{"checks", "from: answer\n", "from: \"answer\" cannot be the action of this check"},
		{"checks", "size: off\n", "size: \"off\" cannot be the action of this check (defer, refuse, discard)"},
		{"checks", "header: hold\n", "header: \"hold\" cannot be the action of this check (defer, refuse, discard)"},
		{"checks", "hops: tag\n", "hops: \"tag\" cannot be the action of this check (hold, defer, refuse, discard)"},
		{"checks", "size: refuse temporary=accept\n", "temporary: \"accept\" is not possible, this check must be made"},
		{"checks", "from: tag temporary=refuse\n", "temporary: \"refuse\" is not an action for trouble"},
		{"checks", "from: tag time=0\n", "time: \"0\" is not between 1s and 4m"},
		{"checks", "from: tag time=2s time=3s\n", "time= is there twice"},
		{"checks", "from: tag x=1\n", "from: \"x=\" is not an option (temporary=, time=)"},
		{"checks", "from: tag junk\n", "from: \"junk\" is not an option"},
		{"checks", "from: tag\nfrom: junk\n", "\"from\" is already in line 1"},
		{"dnsbl", "a.example\n", "no colon"},
		{"dnsbl", "a.example: 0\n", "\"0\" is not a weight"},
		{"dnsbl", "a.example: 101\n", "is not a weight"},
		{"dnsbl", "a.example: 2 3\n", "is not a weight"},
		{"dnsbl", "a b: 2\n", "the zone \"a b\""},
		{"dnsbl", "a.example=127.0.0: 2\n", "are not four numbers"},
		{"dnsbl", "a.example=127.0.0.2.3: 2\n", "instead of a number"},
		{"dnsbl", "a.example=127.0.0.256: 2\n", "\"256\" instead of a number"},
		{"dnsbl", "a.example=127.0.0.[2-4]: 2\n", "\"2-4\" instead of a number"},
		{"dnsbl", "a.example=127.0.0.[2..4: 2\n", "no closing bracket"},
		{"dnsbl", "a.example=127.0.0.[2]3: 2\n", "\"3\" behind the last bracket"},
		{"dnsbl", "a.example=127.0.0.[4..2]: 2\n", "end is before its beginning"},
		{"dnsbl", "a.example=10.0.0.2: 2\n", "do not begin with 127"},
		{"dnsbl", "a.example=*.0.0.2: 2\n", "do not begin with 127"},
		{"holdrules", "from=a@b\n", "control/holdrules:1: no colon"},
		{"holdrules", ": all\n", "no condition before the colon (to=* is all mail)"},
		{"holdrules", "from=a: x\n", "from: \"a\" has no @"},
		{"holdrules", "to=<>: x\n", "to: \"<>\" has no @"},
		{"holdrules", "from=a@b from=c@d: x\n", "from= is there twice"},
		{"holdrules", "larger=5k: x\n", "larger: \"5k\""},
		{"holdrules", "sender=a@b: x\n", "\"sender=\" is none of from=, to=, larger="},
		{"holdrules", "a@b: x\n", "\"a@b\" is none of"},
		{"mime", "exe: refuse\n", "control/mime:1: \"exe\" is neither an ending nor a type"},
		{"mime", "*.exe: refuse\n", "\"*.exe\" begins with * (write the ending alone: .exe)"},
		{"mime", ".exe: reject\n", "\"reject\" is not an action"},
		{"mime", ".exe: off\n", "off is not an action here"},
		{"mime", ".exe: answer\n", "answer"},
		{"mime", ".exe: refuse gr\u00fc\u00dfe\n", "is not ASCII"},
		{"mime", ".EXE: refuse\n.exe: tag\n", "is already in line 1"},
		{"mime", "a/b/c: refuse\n", "is neither an ending nor a type"},
		{"sizes", "alice: 5\n", "control/sizes:1: \"alice\" is not an address"},
		{"sizes", "@a_b..c: 5\n", "is not an address"},
		{"sizes", "@a.example: 5M\n", "\"5M\" is not a whole number"},
		{"sizes", "@a.example: 0\n", "less than 1"},
		{"sizes", "@A.example: 5\n@a.example: 6\n", "is already in line 1"},
		{"junk", "folder .Junk\n", "has no name of a folder"},
		{"results", "auth spf\n", "is neither none nor made of auth, login and received-spf"},
		{"results", "login login\n", "names login twice"},
		{"junk", "inbox\n", "is none of folder, folder NAME, header, hold"},
	}
}

// brokenFilters are files about other people's filters.
func brokenFilters() []brokenFile {
	return []brokenFile{
		{"filters", "A: program:/x\n", "control/filters:1: the name \"A\""},
		{"filters", "a: /x\n", "\"/x\" is not a filter"},
		{"filters", "a: away=tag\n", "no filter, only options"},
		{"filters", "a: program:x\n", "does not begin with /"},
		{"filters", "a: milter:inet:localhost\n", "\"localhost\" has no port"},
		{"filters", "a: milter:unix:run/x\n", "does not begin with /"},
		{"filters", "a: milter:local:/x\n", "is not a socket"},
		{"filters", "a: milter:unix:/x milter:unix:/y\n", "a second filter in a row"},
		{"filters", "a: milter:unix:/x program:/y\n", "a second filter in a row"},
		{"filters", "a: away=never program:/x\n", "away=never is unknown (tempfail, accept, tag)"},
		{"filters", "a: tyme=5s program:/x\n", "unknown option \"tyme\" (did you mean time?)"},
		{"filters", "a: time=1h program:/x\n", "time=1h is not between 1s and 4m"},
		{"filters", "a: memory=1 program:/x\n", "memory=1 is less than 16777216"},
		{"filters", "a: memory=99999999 milter:unix:/x\n", "memory= is for programs alone"},
		{"filters", "a: junk=X program:/x\n", "junk=X is not a field"},
		{"filters", "a: junk=X:y program:/x\n", "junk= are for milters alone"},
		{"filters", "a: connections=0 milter:unix:/x\n", "connections=0"},
		{"filters", "a: end=1h milter:unix:/x\n", "end=1h is not between 1s and 4m"},
		{"filters", "a: connect=1s connect=2s milter:unix:/x\n", "connect= is there twice"},
		{"filters", "a: program:/x\na: program:/y\n", "is already in line 1"},
	}
}

// brokenRelay are files about how mail leaves.
func brokenRelay() []brokenFile {
	return []brokenFile{
		{"destinations", "a.example: sessions=0\n", "control/destinations:1: sessions: \"0\""},
		{"destinations", "a.example: rate=5\n", "rate: \"5\" is not a rate"},
		{"destinations", "a.example: delay=2m\n", "more than a minute"},
		{"destinations", "a.example: delay=1s delay=2s\n", "delay= is there twice"},
		{"destinations", "a.example: 5\n", "\"5\" (the options are sessions=, rate= and delay=)"},
		{"source", "a.example: 192.0.2.1\n", "control/source:1: \"192.0.2.1\""},
		{"source", "a.example: ip=x\n", "\"ip=x\" is not an address of a host"},
		{"source", "a.example: ip=fe80::1%eth0\n", "is not an address of a host"},
		{"source", "a.example: ip=0.0.0.0\n", "is not an address of a host"},
		{"source", "a.example: ip=192.0.2.1 ip=::ffff:192.0.2.2\n", "the second address of its family"},
		{"source", "a.example: helo=-x\n", "helo \"-x\""},
		{"source", "a.example: helo=x helo=y\n", "the second helo="},
		{"source", "a.example: ip=::1 name=x\n", "\"name=x\" (the options are ip= and helo=)"},
		{"source", "@: ip=::1\n", "sender \"@\""},
		{"source", "@a.example: ip=::1\n@A.example: ip=::2\n", "is already in line 1"},
		{"tls-policy", "example.org\n", "control/tls-policy:1: no colon"},
		{"tls-policy", "a.example: must\n", `control/tls-policy:1: "must" is not a level`},
		{"tls-policy", "a.example: may min=1.3\n", `control/tls-policy:1: "min=1.3" has no meaning with the level may`},
		{"tls-policy", "a.example: none always\n", `"always" has no meaning with the level none`},
		{"tls-policy", "a.example: encrypt name=x.example\n", `"name=x.example" has no meaning with the level encrypt`},
		{"tls-policy", "a.example: encrypt min=1.0\n", "min=1.0 is not a version"},
		{"tls-policy", "a.example: encrypt x\n", `"x" is not an option`},
		{"tls-policy", "a.example: verify name=\n", "name="},
		{"tls-policy", "a.example: verify name=a.example,\n", "name=a.example,"},
		{"tls-policy", "a.example: verify name=a.example name=b.example\n", "name= is there twice"},
		{"tls-policy", "a.example: fingerprint\n", "no fingerprint after the level"},
		{"tls-policy", "a.example: fingerprint 0a0b\n", `"0a0b" is not a SHA-256 fingerprint`},
		{"tls-policy", "a example: may\n", "control/tls-policy:1: domain"},
		{"tls-roots", "/nowhere/ca.pem\n", "control/tls-roots: open /nowhere/ca.pem"},
		{"tls-roots", "/dev/null\n", "control/tls-roots: /dev/null has no certificate"},
		{"tls-roots", "ca.pem\n", "is neither system nor a path"},
		{"retry", "step: 1m\n", "control/retry:1: unknown key \"step\" (steps, lifetime, attempts, delay-warning)"},
		{"retry", "steps: 1m 0\n", "below a second"},
		{"retry", "lifetime: 5\n", "is not a time span"},
		{"retry", "attempts: 0\n", "is less than 1"},
	}
}

// brokenServers are files about servers, limits and the queue.
func brokenServers() []brokenFile {
	return []brokenFile{
		{"services", "\"a b\n", "control/services:1: a quote is not closed"},
		{"services", "-x\n", "control/services:1: the line begins with no program"},
		{"relayfrom", "192.0.2.1/24\n", "(192.0.2.0/24?)"},
		{"relayfrom", "localhost\n", "control/relayfrom:1:"},
		{"relayfrom", "192.0.2.1 *\n", `control/relayfrom:1: reverse path "*" names nobody`},
		{"relayfrom", "192.0.2.1 a@b@\n", `control/relayfrom:1: reverse path "a@b@" has`},
		{"relayfrom", "192.0.2.1 -x-\n", `control/relayfrom:1: reverse path "-x-" has a label with a hyphen`},
		{"xclientfrom", "all\n", "control/xclientfrom:1:"},
		{"proxyfrom", "10.0.0.0/33\n", "control/proxyfrom:1:"},
		{"limits", "hop: 1\n", `control/limits:1: unknown key "hop"`},
		{"limits", "hops: many\n", `control/limits:1: hops: "many" is not a whole number`},
		{"limits", "hops: 0\n", "is less than 1"},
		{"rates", "client: 1/1m\n", `control/rates:1: unknown key "client"`},
		{"rates", "user-messages: 100\n", "is not a rate"},
		{"rates", "user-messages: 0/1h\n", "is not a rate"},
		{"rates", "user-messages: 5/0\n", "is not a rate"},
		{"resolver", "localhost:53\n", "control/resolver:1:"},
		{"resolver", "127.0.0.1 trustad\n", "and the word trust-ad"},
		{"resolver", "127.0.0.1 trust-ad x\n", "and the word trust-ad"},
		{"databytes", "25MB\n", "control/databytes:1:"},
		{"greetpause", "2m\n", "is more than 1m"},
		{"greetpause", "5\n", "is not a time span"},
		{"hideclient", "true\n", "is neither yes nor no"},
		{"holdbytes", "1G\n", "control/holdbytes:1:"},
		{"holdcount", "-1\n", "control/holdcount:1:"},
		{"reserve", "1 2 3\n", "control/reserve:1:"},
		{"runtime", "1h2h\n", "control/runtime:1:"},
		{"runtime", "999999999d\n", "control/runtime:1:"},
		{"log", "none\n", "control/log:1:"},
	}
}
