package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/status"
)

// fixture is a home whose control files the test writes. Files are an hour old unless
// the test says otherwise; sleeping advances the clock.
type fixture struct {
	*Control
	t     *testing.T
	clock time.Time
	slept time.Duration
	awake func() // called after each sleep
}

func newFixture(t *testing.T, files map[string]string) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: time.Now().Add(time.Hour)}
	f.Control = Open(t.TempDir(), func() time.Time { return f.clock })
	f.sleep = func(d time.Duration) {
		f.slept += d
		f.clock = f.clock.Add(d)
		if f.awake != nil {
			f.awake()
		}
	}
	if err := os.Mkdir(f.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		f.write(name, text)
	}
	return f
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// touch sets the age of a file.
func (f *fixture) touch(name string, age time.Duration) {
	f.t.Helper()
	at := f.clock.Add(-age)
	if err := os.Chtimes(f.path(name), at, at); err != nil {
		f.t.Fatal(err)
	}
}

// wantError checks that err is temporary, contains text, and that peers do not see
// it.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want %q in it", err, text)
	}
	if status.Exit(err) != status.TempFail {
		t.Errorf("%v: exit %d, want 75", err, status.Exit(err))
	}
	if _, _, reply := status.Reply(err); strings.Contains(reply, "control") {
		t.Errorf("the reply %q tells the peer about the file", reply)
	}
}

func TestBrokenFiles(t *testing.T) {
	host := func(c *Control) error { _, err := c.Hostname(); return err }
	domains := func(c *Control) error { return c.checkTable("domains") }
	users := func(c *Control) error { return c.checkTable("users") }
	alias := func(c *Control) error { return c.checkTable("aliases") }
	route := func(c *Control) error { return c.checkTable("routes") }
	senderRoute := func(c *Control) error { return c.checkTable("sender-routes") }
	mime := func(c *Control) error { return c.checkTable("mime") }
	sizes := func(c *Control) error { return c.checkTable("sizes") }
	dnsbl := func(c *Control) error { return c.checkTable("dnsbl") }
	filters := func(c *Control) error { return c.checkTable("filters") }
	destinations := func(c *Control) error { return c.checkTable("destinations") }
	checks := func(c *Control) error { return c.checkTable("checks") }
	source := func(c *Control) error { return c.checkTable("source") }
	policy := func(c *Control) error { return c.checkTable("tls-policy") }
	roots := func(c *Control) error { _, err := c.TLSRoots(); return err }
	senders := func(c *Control) error { return c.checkTable("senders") }
	retry := func(c *Control) error { _, err := c.Retry(); return err }
	services := func(c *Control) error { return c.checkTable("services") }
	relay := func(c *Control) error { return c.checkTable("relayfrom") }
	limits := func(c *Control) error { _, err := c.Limit("hops"); return err }
	rates := func(c *Control) error { _, err := c.Rate("user-messages"); return err }
	tests := []struct {
		name, text string
		ask        func(*Control) error
		want       string
	}{
		{"hostname", "a.example\nb.example\n", host, "control/hostname:2: a second value"},
		{"hostname", "# nothing\n", host, "control/hostname: the file is empty"},
		{"hostname", "a..example\n", host, `control/hostname:1: "a..example" has an empty label`},
		{"hostname", "mx.example # ours\n", host, "control/hostname:1:"},
		{"domains", "a.example\r\n", domains, "control/domains:1: the line ends with CR LF"},
		{"domains", "# x\n\na.example\nb example\n", domains, `control/domains:4: domain "b example"`},
		{"domains", "\xff\n", domains, "control/domains:1: the line is not UTF-8"},
		{"domains", "a\x00b\n", domains, "control/domains:1: control character"},
		{"domains", "[192.0.2.300]\n", domains, "control/domains:1:"},
		{"domains", strings.Repeat("a", 300) + "\n", domains, "control/domains:1:"},
		{"domains", strings.Repeat("x", maxLine+1), domains, "control/domains:1: the line is too long"},
		{"users", "bob\n", users, "control/users:1: no colon"},
		{"users", "bob:{PLAIN}x\n", users, `control/users:1: address "bob" has no @domain`},
		{"users", "a@b.example:x\nA@B.example:y\n", users, `control/users:2: "a@b.example" is already in line 1`},
		{"users", "a@b.example:{PLAIN\n", users, "control/users:1: no }"},
		{"users", "a@b.example::x:\n", users, `control/users:1: uid "x" is not a number`},
		{"users", "a@b.example::1:-1\n", users, `control/users:1: gid "-1" is not a number`},
		{"users", "a@b.example:::::../x\n", users, "has a .. in it"},
		{"users", "a@b.example:::::/var/../x\n", users, "has a .. in it"},
		{"users", "a@b.example:::::./\n", users, "is the Paperpath home itself"},
		{"users", "a/b@b.example:x\n", users, "the row needs a home field"},
		{"users", ".a@b.example:x\n", users, "the row needs a home field"},
		{"users", "a@b.example:::::::k=1 k=2\n", users, "control/users:1: extra field"},
		{"users", "exec:true\n", users, "control/users:1: the program needs an absolute path"},
		{"aliases", "x y\n", alias, "control/aliases:1: no colon"},
		{"aliases", " x: y\n", alias, "control/aliases:1: the first line begins with a blank"},
		{"aliases", "x:\n", alias, `control/aliases:1: target "" is empty`},
		{"aliases", "x: a,\n# c\n b,,c\n", alias, `control/aliases:1: target "" is empty`},
		{"aliases", "x: a\ny: b\nX: c\n", alias, `control/aliases:3: "x" is already in line 1`},
		{"aliases", "x: |\n", alias, `target "|" names no program`},
		{"aliases", "x: \"|a\"b\n", alias, "has text outside its quotes"},
		{"aliases", "x: :include:etc/x\n", alias, "is not the absolute path of a file"},
		{"aliases", "x: :include:\n", alias, "is not the absolute path of a file"},
		{"aliases", "x: :exclude:/x\n", alias, "is no list"},
		{"aliases", "x: /dir/\n", alias, "is not the absolute path of a file"},
		{"aliases", "x: @y.example\n", alias, "only a whole domain can stand for another"},
		{"aliases", "x: a, @y.example\n", alias, "is a whole domain"},
		{"aliases", "@x.example: @y.example, a\n", alias, "has no other target"},
		{"aliases", "@x.example: @X.example\n", alias, "stands for itself"},
		{"aliases", "@x..example: a\n", alias, `domain "x..example"`},
		{"aliases", "x: error:\n", alias, "error: without a text"},
		{"aliases", "x: \"a\n", alias, "control/aliases:1: a quote is not closed"},
		{"aliases", "x: a b\n", alias, "has a character that must be quoted"},
		{"aliases", "x: a@b@c d\n", alias, "control/aliases:1: target"},
		{"aliases", "x: ,\n", alias, `control/aliases:1: target "" is empty`},
		{"aliases", "x: \\\n", alias, `control/aliases:1: target "\\" is empty`},
		{"aliases", "x: \"\\|prog\"\n", alias, "has a backslash before a program or a file"},
		{"aliases", "x: \"a b@c@d e\"\n", alias, "control/aliases:1: target"},
		{"aliases", "x@: a\n", alias, `name "x@" has no @domain`},
		{"aliases", ": a\n", alias, `name "" is empty`},
		{"tls-policy", "example.org\n", policy, "control/tls-policy:1: no colon"},
		{"tls-policy", "a.example: must\n", policy, `control/tls-policy:1: "must" is not a level`},
		{"tls-policy", "a.example: may min=1.3\n", policy, `control/tls-policy:1: "min=1.3" has no meaning with the level may`},
		{"tls-policy", "a.example: none always\n", policy, `"always" has no meaning with the level none`},
		{"tls-policy", "a.example: encrypt name=x.example\n", policy, `"name=x.example" has no meaning with the level encrypt`},
		{"tls-policy", "a.example: encrypt min=1.0\n", policy, "min=1.0 is not a version"},
		{"tls-policy", "a.example: encrypt x\n", policy, `"x" is not an option`},
		{"tls-policy", "a.example: verify name=\n", policy, "name="},
		{"tls-policy", "a.example: verify name=a.example,\n", policy, "name=a.example,"},
		{"tls-policy", "a.example: verify name=a.example name=b.example\n", policy, "name= is there twice"},
		{"tls-policy", "a.example: fingerprint\n", policy, "no fingerprint after the level"},
		{"tls-policy", "a.example: fingerprint 0a0b\n", policy, `"0a0b" is not a SHA-256 fingerprint`},
		{"tls-policy", "a example: may\n", policy, "control/tls-policy:1: domain"},
		{"tls-roots", "/nowhere/ca.pem\n", func(c *Control) error { return c.temporary(c.checkRoots()) }, "control/tls-roots: open /nowhere/ca.pem"},
		{"tls-roots", "/dev/null\n", func(c *Control) error { return c.temporary(c.checkRoots()) }, "control/tls-roots: /dev/null has no certificate"},
		{"tls-roots", "ca.pem\n", roots, "is neither system nor a path"},
		{"routes", "example.org\n", route, "control/routes:1: no colon"},
		{"routes", "example.org:\n", route, "control/routes:1: no value"},
		{"routes", "example.org: x:0\n", route, "control/routes:1:"},
		{"routes", "example.org: x:99999\n", route, "control/routes:1:"},
		{"routes", "example.org: a <b>\n", route, `control/routes:1: "<b>" is not a host`},
		{"routes", "a.example: lmpt:/run/lmtp\n", route, `control/routes:1: "lmpt:/run/lmtp" is not a target (did you mean lmtp?)`},
		{"routes", "a.example: smtp:mx.example\n", route, "(leave out smtp:)"},
		{"routes", "a.example: lmtp:h.example\n", route, "has no port (lmtp:HOST:PORT, lmtp:/PATH)"},
		{"routes", "a.example: lmtp:/" + strings.Repeat("x", 107) + "\n", route, "is longer than the 107 octets"},
		{"routes", "a.example: tls:h.example:0\n", route, "has no port between 1 and 65535"},
		{"routes", "a.example: program:uux -\n", route, "does not begin with / (program:/usr/bin/uux ARG ...)"},
		{"routes", "a.example: program:/bin/cat 'x\n", route, "a quote is not closed"},
		{"routes", "a.example: mx program:/bin/cat x\n", route, "program is not the only target (it stands alone)"},
		{"routes", "a.example: mx hold\n", route, "hold is not the only target (it stands alone)"},
		{"routes", "a.example: local mx\n", route, "local is not the only target (it stands alone)"},
		{"routes", "a.example: inflight=4\n", route, "no target, only options"},
		{"routes", "a.example: h inflight=0\n", route, "inflight=0 is not a number between 1 and 16"},
		{"routes", "a.example: h inflight=2 inflight=3\n", route, "inflight= is there twice"},
		{"routes", "a.example: h inflgiht=2\n", route, `unknown option "inflgiht" (did you mean inflight?)`},
		{"routes", "a.example: h tls=no\n", route, "(the options are inflight, recipients, time)"},
		{"routes", "a.example: hold inflight=2\n", route, "inflight= is not for hold"},
		{"routes", "a.example: h recipients=2\n", route, "recipients= is for program: alone"},
		{"routes", "a.example: error:\n", route, "error: without a text"},
		{"routes", "a.example: error: 4.7.1 later\n", route, "the status code 4.7.1 is not that of a refusal"},
		{"routes", "a.example: error: gr\u00fc\u00dfe\n", route, "is not ASCII"},
		{"routes", "a.example: " + strings.Repeat("h ", 17) + "\n", route, "more than 16 targets"},
		{"routes", "a@a.example: h\n", route, `control/routes:1: domain "a@a.example"`},
		{"sender-routes", "a b@a.example: h\n", senderRoute, `control/sender-routes:1: sender "a b@a.example"`},
		{"sender-routes", ".: h\n", senderRoute, "a row for every sender (that is the row `.` of control/routes)"},
		{"sender-routes", "a@a.example: local\n", senderRoute, "local is for control/routes"},
		{"sender-routes", "@A.example: h\na.Example: x\n", senderRoute, "is already in line 1"},
		{"destinations", "a.example: sessions=0\n", destinations, "control/destinations:1: sessions: \"0\""},
		{"destinations", "a.example: rate=5\n", destinations, "rate: \"5\" is not a rate"},
		{"destinations", "a.example: delay=2m\n", destinations, "more than a minute"},
		{"destinations", "a.example: delay=1s delay=2s\n", destinations, "delay= is there twice"},
		{"destinations", "a.example: 5\n", destinations, "\"5\" (the options are sessions=, rate= and delay=)"},
		{"mime", "exe: refuse\n", mime, "control/mime:1: \"exe\" is neither an ending nor a type"},
		{"mime", "*.exe: refuse\n", mime, "\"*.exe\" begins with * (write the ending alone: .exe)"},
		{"mime", ".exe: reject\n", mime, "\"reject\" is not an action"},
		{"mime", ".exe: off\n", mime, "off is not an action here"},
		{"mime", ".exe: answer\n", mime, "answer"},
		{"mime", ".exe: refuse gr\u00fc\u00dfe\n", mime, "is not ASCII"},
		{"mime", ".EXE: refuse\n.exe: tag\n", mime, "is already in line 1"},
		{"mime", "a/b/c: refuse\n", mime, "is neither an ending nor a type"},
		{"sizes", "alice: 5\n", sizes, "control/sizes:1: \"alice\" is not an address"},
		{"sizes", "@a_b..c: 5\n", sizes, "is not an address"},
		{"sizes", "@a.example: 5M\n", sizes, "\"5M\" is not a whole number"},
		{"sizes", "@a.example: 0\n", sizes, "less than 1"},
		{"sizes", "@A.example: 5\n@a.example: 6\n", sizes, "is already in line 1"},
		{"dnsbl", "a.example\n", dnsbl, "no colon"},
		{"dnsbl", "a.example: 0\n", dnsbl, "\"0\" is not a weight"},
		{"dnsbl", "a.example: 101\n", dnsbl, "is not a weight"},
		{"dnsbl", "a.example: 2 3\n", dnsbl, "is not a weight"},
		{"dnsbl", "a b: 2\n", dnsbl, "the zone \"a b\""},
		{"dnsbl", "a.example=127.0.0: 2\n", dnsbl, "are not four numbers"},
		{"dnsbl", "a.example=127.0.0.2.3: 2\n", dnsbl, "instead of a number"},
		{"dnsbl", "a.example=127.0.0.256: 2\n", dnsbl, "\"256\" instead of a number"},
		{"dnsbl", "a.example=127.0.0.[2-4]: 2\n", dnsbl, "\"2-4\" instead of a number"},
		{"dnsbl", "a.example=127.0.0.[2..4: 2\n", dnsbl, "no closing bracket"},
		{"dnsbl", "a.example=127.0.0.[2]3: 2\n", dnsbl, "\"3\" behind the last bracket"},
		{"dnsbl", "a.example=127.0.0.[4..2]: 2\n", dnsbl, "end is before its beginning"},
		{"dnsbl", "a.example=10.0.0.2: 2\n", dnsbl, "do not begin with 127"},
		{"dnsbl", "a.example=*.0.0.2: 2\n", dnsbl, "do not begin with 127"},
		{"filters", "A: program:/x\n", filters, "control/filters:1: the name \"A\""},
		{"filters", "a: /x\n", filters, "\"/x\" is not a filter"},
		{"filters", "a: away=tag\n", filters, "no filter, only options"},
		{"filters", "a: program:x\n", filters, "does not begin with /"},
		{"filters", "a: milter:inet:localhost\n", filters, "\"localhost\" has no port"},
		{"filters", "a: milter:unix:run/x\n", filters, "does not begin with /"},
		{"filters", "a: milter:local:/x\n", filters, "is not a socket"},
		{"filters", "a: milter:unix:/x milter:unix:/y\n", filters, "a second filter in a row"},
		{"filters", "a: milter:unix:/x program:/y\n", filters, "a second filter in a row"},
		{"filters", "a: away=never program:/x\n", filters, "away=never is unknown (tempfail, accept, tag)"},
		{"filters", "a: tyme=5s program:/x\n", filters, "unknown option \"tyme\" (did you mean time?)"},
		{"filters", "a: time=1h program:/x\n", filters, "time=1h is not between 1s and 4m"},
		{"filters", "a: memory=1 program:/x\n", filters, "memory=1 is less than 16777216"},
		{"filters", "a: memory=99999999 milter:unix:/x\n", filters, "memory= is for programs alone"},
		{"filters", "a: junk=X program:/x\n", filters, "junk=X is not a field"},
		{"filters", "a: junk=X:y program:/x\n", filters, "junk= are for milters alone"},
		{"filters", "a: connections=0 milter:unix:/x\n", filters, "connections=0"},
		{"filters", "a: end=1h milter:unix:/x\n", filters, "end=1h is not between 1s and 4m"},
		{"filters", "a: connect=1s connect=2s milter:unix:/x\n", filters, "connect= is there twice"},
		{"filters", "a: program:/x\na: program:/y\n", filters, "is already in line 1"},
		{"checks", "form: tag\n", checks, "control/checks:1: \"form\" is not a check (did you mean from?)"},
		{"checks", "from: tagg\n", checks, "from: \"tagg\" is not an action (off, accept, tag, junk, hold, defer, refuse, discard)"},
		{"checks", "from: answer\n", checks, "from: \"answer\" cannot be the action of this check"},
		{"checks", "size: off\n", checks, "size: \"off\" cannot be the action of this check (defer, refuse, discard)"},
		{"checks", "header: hold\n", checks, "header: \"hold\" cannot be the action of this check (defer, refuse, discard)"},
		{"checks", "hops: tag\n", checks, "hops: \"tag\" cannot be the action of this check (hold, defer, refuse, discard)"},
		{"checks", "size: refuse temporary=accept\n", checks, "temporary: \"accept\" is not possible, this check must be made"},
		{"checks", "from: tag temporary=refuse\n", checks, "temporary: \"refuse\" is not an action for trouble"},
		{"checks", "from: tag time=0\n", checks, "time: \"0\" is not between 1s and 4m"},
		{"checks", "from: tag time=2s time=3s\n", checks, "time= is there twice"},
		{"checks", "from: tag x=1\n", checks, "from: \"x=\" is not an option (temporary=, time=)"},
		{"checks", "from: tag junk\n", checks, "from: \"junk\" is not an option"},
		{"checks", "from: tag\nfrom: junk\n", checks, "\"from\" is already in line 1"},
		{"source", "a.example: 192.0.2.1\n", source, "control/source:1: \"192.0.2.1\""},
		{"source", "a.example: ip=x\n", source, "\"ip=x\" is not an address of a host"},
		{"source", "a.example: ip=fe80::1%eth0\n", source, "is not an address of a host"},
		{"source", "a.example: ip=0.0.0.0\n", source, "is not an address of a host"},
		{"source", "a.example: ip=192.0.2.1 ip=::ffff:192.0.2.2\n", source, "the second address of its family"},
		{"source", "a.example: helo=-x\n", source, "helo \"-x\""},
		{"source", "a.example: helo=x helo=y\n", source, "the second helo="},
		{"source", "a.example: ip=::1 name=x\n", source, "\"name=x\" (the options are ip= and helo=)"},
		{"source", "@: ip=::1\n", source, "sender \"@\""},
		{"source", "@a.example: ip=::1\n@A.example: ip=::2\n", source, "is already in line 1"},
		{"routes", "ex ample: a\n", route, "control/routes:1: domain"},
		{"routes", ".: ::1\n", route, "control/routes:1:"},
		{"routes", "a.example: x\nA.example: y\n", route, "is already in line 1"},
		{"senders", "x: alice\n", senders, `control/senders:1: sender "alice" has no @domain`},
		{"senders", "x: @-a\n", senders, "control/senders:1:"},
		{"retry", "step: 1m\n", retry, "control/retry:1: unknown key \"step\" (steps, lifetime, attempts, delay-warning)"},
		{"retry", "steps: 1m 0\n", retry, "below a second"},
		{"retry", "lifetime: 5\n", retry, "is not a time span"},
		{"retry", "attempts: 0\n", retry, "is less than 1"},
		{"services", "\"a b\n", services, "control/services:1: a quote is not closed"},
		{"services", "-x\n", services, "control/services:1: the line begins with no program"},
		{"relayfrom", "192.0.2.1/24\n", relay, "(192.0.2.0/24?)"},
		{"relayfrom", "localhost\n", relay, "control/relayfrom:1:"},
		{"relayfrom", "192.0.2.1 *\n", relay, `control/relayfrom:1: reverse path "*" names nobody`},
		{"relayfrom", "192.0.2.1 a@b@\n", relay, `control/relayfrom:1: reverse path "a@b@" has`},
		{"relayfrom", "192.0.2.1 -x-\n", relay, `control/relayfrom:1: reverse path "-x-" has a label with a hyphen`},
		{"holdbytes", "1G\n", func(c *Control) error { _, err := c.Holdbytes(); return err }, "control/holdbytes:1:"},
		{"holdcount", "-1\n", func(c *Control) error { _, err := c.Holdcount(); return err }, "control/holdcount:1:"},
		{"proxyfrom", "10.0.0.0/33\n", func(c *Control) error { return c.checkTable("proxyfrom") }, "control/proxyfrom:1:"},
		{"xclientfrom", "all\n", func(c *Control) error { return c.checkTable("xclientfrom") }, "control/xclientfrom:1:"},
		{"rates", "client: 1/1m\n", rates, `control/rates:1: unknown key "client"`},
		{"rates", "user-messages: 100\n", rates, "is not a rate"},
		{"rates", "user-messages: 0/1h\n", rates, "is not a rate"},
		{"rates", "user-messages: 5/0\n", rates, "is not a rate"},
		{"hideclient", "true\n", func(c *Control) error { _, err := c.HideClient(); return err }, "is neither yes nor no"},
		{"junk", "folder .Junk\n", func(c *Control) error { _, err := c.Junk(); return err }, "has no name of a folder"},
		{"junk", "inbox\n", func(c *Control) error { _, err := c.Junk(); return err }, "is none of folder, folder NAME, header, hold"},
		{"greetpause", "2m\n", func(c *Control) error { _, err := c.GreetPause(); return err }, "is more than 1m"},
		{"greetpause", "5\n", func(c *Control) error { _, err := c.GreetPause(); return err }, "is not a time span"},
		{"limits", "hop: 1\n", limits, `control/limits:1: unknown key "hop"`},
		{"limits", "hops: many\n", limits, `control/limits:1: hops: "many" is not a whole number`},
		{"limits", "hops: 0\n", limits, "is less than 1"},
		{"databytes", "25MB\n", func(c *Control) error { _, err := c.Databytes(); return err }, "control/databytes:1:"},
		{"reserve", "1 2 3\n", func(c *Control) error { _, _, err := c.Reserve(); return err }, "control/reserve:1:"},
		{"resolver", "localhost:53\n", func(c *Control) error { _, _, err := c.Resolver(); return err }, "control/resolver:1:"},
		{"resolver", "127.0.0.1 trustad\n", func(c *Control) error { _, _, err := c.Resolver(); return err }, "and the word trust-ad"},
		{"resolver", "127.0.0.1 trust-ad x\n", func(c *Control) error { _, _, err := c.Resolver(); return err }, "and the word trust-ad"},
		{"log", "none\n", func(c *Control) error { _, err := c.Log(); return err }, "control/log:1:"},
		{"runtime", "1h2h\n", func(c *Control) error { _, err := c.Runtime(); return err }, "control/runtime:1:"},
		{"runtime", "999999999d\n", func(c *Control) error { _, err := c.Runtime(); return err }, "control/runtime:1:"},
		{"postmaster", "root\n", func(c *Control) error { _, err := c.Postmaster(); return err }, "control/postmaster:1:"},
	}
	for _, tt := range tests {
		f := newFixture(t, map[string]string{tt.name: tt.text})
		wantError(t, tt.ask(f.Control), tt.want)
	}
}

func TestAbsentFiles(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.Hostname()
	wantError(t, err, "control/hostname: the file is missing")
	_, err = f.Domains()
	wantError(t, err, "control/domains: the file is missing")
	_, _, err = f.IsLocal("example.org")
	wantError(t, err, "control/domains: the file is missing")
	_, err = f.User("a@example.org")
	wantError(t, err, "control/users: the file is missing")
	_, err = f.Postmaster()
	wantError(t, err, "control/users: the file is missing")
}

func TestDefaults(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "", "domains": ""})
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", what, got, err, want)
		}
	}
	n, err := f.Databytes()
	check("databytes", n, int64(26214400), err)
	b, i, err := f.Reserve()
	check("reserve", b, int64(16<<20), err)
	check("reserve inodes", i, int64(100), err)
	d, err := f.Runtime()
	check("runtime", d, 50*time.Minute, err)
	d, err = f.Holdtime()
	check("holdtime", d, 30*24*time.Hour, err)
	n, err = f.Holdbytes()
	check("holdbytes", n, int64(1<<30), err)
	n, err = f.Holdcount()
	check("holdcount", n, int64(10000), err)
	j, err := f.Junk()
	check("junk", j, Junk{Folder: "Junk"}, err)
	d, err = f.Undelete()
	check("undelete", d, time.Duration(0), err)
	d, err = f.LoginDelay()
	check("logindelay", d, time.Duration(0), err)
	expire, err := f.Expire()
	check("expire", expire, "NEVER", err)
	s, err := f.Log()
	check("log", s, "file", err)
	s, trusted, err := f.Resolver()
	check("resolver", s, "", err)
	check("trust-ad", trusted, false, err)
	s, err = f.Postmaster()
	check("postmaster", s, "", err)
	c, err := f.Concurrency("mailrelay")
	check("concurrency", c, 100, err)
	n, err = f.Limit("recipients")
	check("limit", n, int64(1000), err)
	r, err := f.Retry()
	check("attempts", r.Attempts, 10, err)
	check("lifetime", r.Lifetime, 120*time.Hour, err)
	v, err := f.Services()
	check("services", len(v), 0, err)
	a, err := f.Alias("x@example.org")
	check("alias", a, (*Alias)(nil), err)
	u, err := f.User("x@example.org")
	check("user", u, (*User)(nil), err)
	ro, err := f.Route("example.org")
	check("route", ro, (*Route)(nil), err)
	p, source, err := f.Senders("x")
	check("senders", len(p), 0, err)
	check("senders", source, "", err)
	nets, err := f.RelayFrom()
	check("relayfrom", len(nets), 0, err)
}

func TestScalars(t *testing.T) {
	f := newFixture(t, map[string]string{
		"hostname": "# ours\n MX.Example.org \n", "databytes": "1000", "reserve": "5 6\n",
		"runtime": "1h30m\n", "holdtime": "4w\n", "log": "syslog\n", "resolver": "127.0.0.1:5353\ttrust-ad\n",
		"junk": "folder Spam\n", "undelete": "14d\n", "logindelay": "90s\n", "expire": "030\n",
		"postmaster": "p@example.org\n", "concurrency": "mailrelay: 3\n", "limits": "hops:7\n",
	})
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", what, got, err, want)
		}
	}
	s, err := f.Hostname()
	check("hostname", s, "mx.example.org", err)
	n, err := f.Databytes()
	check("databytes", n, int64(1000), err)
	b, i, err := f.Reserve()
	check("reserve", b, int64(5), err)
	check("reserve", i, int64(6), err)
	d, err := f.Runtime()
	check("runtime", d, 90*time.Minute, err)
	d, err = f.Holdtime()
	check("holdtime", d, 28*24*time.Hour, err)
	j, err := f.Junk()
	check("junk", j, Junk{Folder: "Spam"}, err)
	d, err = f.Undelete()
	check("undelete", d, 14*24*time.Hour, err)
	d, err = f.LoginDelay()
	check("logindelay", d, 90*time.Second, err)
	expire, err := f.Expire()
	check("expire", expire, "30", err)
	s, err = f.Log()
	check("log", s, "syslog", err)
	s, trusted, err := f.Resolver()
	check("resolver", s, "127.0.0.1:5353", err)
	check("trust-ad", trusted, true, err)
	s, err = f.Postmaster()
	check("postmaster", s, "p@example.org", err)
	c, err := f.Concurrency("mailrelay")
	check("concurrency", c, 3, err)
	n, err = f.Limit("hops")
	check("limit", n, int64(7), err)
	_, err = f.Limit("hopps")
	wantError(t, err, "the program asks")
}

func TestPostmasterIsFirstUser(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "# x\nfirst@example.org:*\nb@example.org:*\n"})
	if got, err := f.Postmaster(); got != "first@example.org" || err != nil {
		t.Errorf("postmaster %q, %v", got, err)
	}
}

func TestLinkedControl(t *testing.T) {
	home, etc := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(etc, "hostname"), []byte("mx.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(etc, filepath.Join(home, "control")); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(home, time.Now).Hostname(); got != "mx.example" || err != nil {
		t.Errorf("hostname %q, %v", got, err)
	}
}

// An alias that no address can match is reported to people; mail is not held up.
func TestAliasesThatNeverMatch(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "a.example\n", "aliases": "*: x\nok: x\nx@b.example: y\n*@a.example: x\n" +
		"a+b: x\n\"a..b\"@A.example: x\n"})
	err := f.CheckAliases()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	want := []string{
		"control/aliases:1: alias \"*\" can never match (there are no wildcards, but see @domain in control(5))",
		"control/aliases:3: alias \"x@b.example\" can never match (b.example is not in control/domains)",
		"control/aliases:4: alias \"*@a.example\" can never match (there are no wildcards, but see @domain in control(5))",
	}
	if d := cmp.Diff(want, got); d != "" || status.Exit(err) != status.Refused {
		t.Error(d, status.Exit(err))
	}
	if a, err := f.Alias("ok@a.example"); a == nil || err != nil {
		t.Errorf("mail waits: %v, %v", a, err)
	}
	if a, err := f.Alias(`"a..b"@a.example`); a == nil || err != nil {
		t.Errorf("quotes that are needed: %v, %v", a, err)
	}
}
