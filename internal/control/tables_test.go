package control

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/addr"
)

func TestUsers(t *testing.T) {
	f := newFixture(t, map[string]string{"users": "" +
		"# mailboxes\n" +
		"Alice@Example.org:{SHA512-CRYPT}$6$x$y:1000:1001:Alice A:mail/example.org/alice::quota=1G nopassword\n" +
		"bob@example.org:*\n" +
		"carol@example.org::::::/home/carol:/bin/sh:mail=a:b\n" +
		"\"d e\"@example.org:x::::/srv/d\n"})
	want := []User{
		{Address: "Alice@Example.org", Hash: "{SHA512-CRYPT}$6$x$y", UID: 1000, GID: 1001,
			Home:  filepath.Join(f.home, "mail/example.org/alice"),
			Extra: map[string]string{"quota": "1G", "nopassword": ""}, Where: "control/users:2"},
		{Address: "bob@example.org", Hash: "*", UID: -1, GID: -1,
			Home: filepath.Join(f.home, "mail/example.org/bob"), Where: "control/users:3"},
	}
	for _, w := range want {
		got, err := f.User(w.Address)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&w, got); d != "" {
			t.Error(d)
		}
	}
	if u, err := f.User("aLICE@eXAMPLE.org"); u == nil || err != nil {
		t.Error("ASCII letters are not folded", u, err)
	}
	if u, err := f.User("alice+x@example.org"); u != nil || err != nil {
		t.Error("an extension is none of ours", u, err)
	}
	us, err := f.Users()
	if err != nil || len(us) != 4 || us[3].Home != "/srv/d" {
		t.Errorf("%+v %v", us, err)
	}
}

// The order of the fields is Dovecot's: the sixth is the home, the seventh the shell.
func TestUserFields(t *testing.T) {
	u, err := parseUser("/h", "a@b.example:{PLAIN}p:1:2:Gecos: text")
	if err != nil || u.Home != "/h/ text" {
		t.Errorf("%+v %v", u, err)
	}
	u, err = parseUser("/h", "a@b.example:{PLAIN}p:1:2:g:/x//y/:/sh:k=a:b")
	if err != nil || u.Home != "/x/y" || u.Extra["k"] != "a:b" {
		t.Errorf("%+v %v", u, err)
	}
}

func TestDomains(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "\n Example.ORG \n#x\nbücher.example\n[192.0.2.1]\n[IPv6:2001:db8::1]\n"})
	got, err := f.Domains()
	want := []string{"example.org", "xn--bcher-kva.example", "[192.0.2.1]", "[ipv6:2001:db8::1]"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	for domain, line := range map[string]string{
		"EXAMPLE.org": "control/domains:2", "xn--bcher-kva.EXAMPLE": "control/domains:4",
		"BÜCHER.example": "control/domains:4", "[192.0.2.1]": "control/domains:5",
		"sub.example.org": "", "": "", "example.org.": "",
	} {
		if source, local, err := f.IsLocal(domain); source != line || local != (line != "") || err != nil {
			t.Errorf("%s: %q %v %v", domain, source, local, err)
		}
	}
}

func TestAliases(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "example.org\nexample.net\n", "aliases": "" +
		"# who\n" +
		"Postmaster: alice\n" +
		"team:\n" +
		"   alice, bob,\n" +
		"# in between\n" +
		"\tcarol@elsewhere.example , \"d, e\"\n" +
		"info@example.net: x@y.example\n" +
		"info: alice\n" +
		"\"j doe\": alice\n" +
		"\"j doe\"@example.net: bob\n" +
		"\"quoted\": bob\n" +
		"root: \"alice@example.net\"\n" +
		"alice: \\alice, \"\\bob\", \\carol@example.net, \"\\dora@example.net\",\n" +
		"list: alice,\n  bob,\n"})
	tests := []struct {
		address, where string
		targets        []string
	}{
		{"postmaster@example.org", "control/aliases:2", []string{"alice@example.org"}},
		{"POSTMASTER@example.net", "control/aliases:2", []string{"alice@example.net"}},
		{"postmaster", "control/aliases:2", []string{"alice"}},
		{"postmaster@remote.example", "", nil},
		{"team@example.org", "control/aliases:3", []string{"alice@example.org", "bob@example.org", "carol@elsewhere.example", `"d, e"@example.org`}},
		{"info@example.net", "control/aliases:7", []string{"x@y.example"}},
		{"info@example.org", "control/aliases:8", []string{"alice@example.org"}},
		{`"j doe"@example.org`, "control/aliases:9", []string{"alice@example.org"}},
		{`"J doe"@example.net`, "control/aliases:10", []string{"bob@example.net"}},
		{"quoted@example.org", "control/aliases:11", []string{"bob@example.org"}},
		{"root@example.org", "control/aliases:12", []string{"alice@example.net"}},
		{"alice@example.org", "control/aliases:13", []string{`\alice@example.org`, `\bob@example.org`, `\carol@example.net`, `\dora@example.net`}},
		{"list@example.org", "control/aliases:14", []string{"alice@example.org", "bob@example.org"}},
		{"nobody@example.org", "", nil},
	}
	for _, tt := range tests {
		a, err := f.Alias(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		if a == nil {
			a = &Alias{}
		}
		if d := cmp.Diff(&Alias{Name: a.Name, Targets: tt.targets, Where: tt.where}, a); d != "" {
			t.Error(tt.address, d)
		}
		local, _ := addr.Split(addr.FoldAddress(tt.address))
		if tt.where != "" && a.Name != local && a.Name != addr.FoldAddress(tt.address) {
			t.Errorf("%s is alias %q", tt.address, a.Name)
		}
	}
}

func TestRoutes(t *testing.T) {
	f := newFixture(t, map[string]string{"routes": "" +
		"example.org: MX.example.org\n.example.org: 127.0.0.1:2525\n.deep.example.org:[::1]:2526\n" +
		"[192.0.2.1]: [2001:db8::1]\n[IPv6:2001:db8::2]: h\n"})
	tests := map[string]string{
		"EXAMPLE.org": "mx.example.org:25 1", "a.example.org": "127.0.0.1:2525 2",
		"a.b.example.org": "127.0.0.1:2525 2", "deep.example.org": "127.0.0.1:2525 2",
		"x.deep.example.org": "[::1]:2526 3", "[192.0.2.1]": "[2001:db8::1]:25 4",
		"[IPv6:2001:db8::2]": "h:25 5", "other.example": "", "anexample.org": "", "org": "",
	}
	for domain, want := range tests {
		got, err := f.Route(domain)
		if is := routeText(got); is != want || err != nil {
			t.Errorf("%s: %s %v, want %s", domain, is, err, want)
		}
	}
	f.write("routes", ".: smart.example:587\n")
	for _, domain := range []string{"other.example", "org", "[192.0.2.1]"} {
		if r, err := f.Route(domain); routeText(r) != "smart.example:587 1" {
			t.Errorf("%s: %+v %v", domain, r, err)
		}
	}
}

// routeText is a route with the line that it is from.
func routeText(r *Route) string {
	if r == nil {
		return ""
	}
	_, line, _ := strings.Cut(r.Where, ":")
	return r.String() + " " + line
}

func TestSenders(t *testing.T) {
	f := newFixture(t, map[string]string{"senders": "Alice@example.org: boss@example.org @lists.example\nlocal/cron: *\n"})
	p, source, err := f.Senders("alice@EXAMPLE.org")
	if d := cmp.Diff([]string{"boss@example.org", "@lists.example"}, p); d != "" || source != "control/senders:1" || err != nil {
		t.Error(d, source, err)
	}
	if p, source, err = f.Senders("local/cron"); len(p) != 1 || source != "control/senders:2" || err != nil {
		t.Error(p, source, err)
	}
}

func TestSendersOfWildcards(t *testing.T) {
	f := newFixture(t, map[string]string{"senders": "alice@example.org: *@lists.example\n" +
		"*@Example.org: alice bob@example.net local/www-data\n@b.example: alice@example.org\n*: root@example.org local/0\n"})
	for login, want := range map[string]string{
		"alice@example.org": "@lists.example @Example.org @b.example (control/senders:1, control/senders:2, control/senders:3)",
		"bob@example.net":   "@Example.org (control/senders:2)",
		"bob@example.org":   " ()",
		"local/www-data":    "@Example.org (control/senders:2)",
		"root@example.org":  "* (control/senders:4)",
		"local/0":           "* (control/senders:4)",
		"local":             " ()",
	} {
		p, source, err := f.Senders(login)
		if got := strings.Join(p, " ") + " (" + source + ")"; got != want || err != nil {
			t.Errorf("%s: %s, want %s (%v)", login, got, want, err)
		}
	}
	for _, text := range []string{"@-x: alice\n", "*: alice\n", "@example.org: a@b@-\n", "@example.org: @example.org\n", "@: x@example.org y@\n", "alice@example.org: bob\n"} {
		f.write("senders", text)
		if faults, errs := f.Faults("senders"); len(faults) != 1 || len(errs) > 0 {
			t.Errorf("%q was taken: %v %v", text, faults, errs)
		}
	}
}

func TestSource(t *testing.T) {
	f := newFixture(t, map[string]string{"source": "a.example: ip=192.0.2.1\n.example: ip=192.0.2.2 ip=2001:db8::2 helo=Two.example\n" +
		"bob@b.test: ip=192.0.2.3\n@B.test: ip=192.0.2.4\n<>: helo=five.example\n.: ip=192.0.2.6\n"})
	for _, c := range [][3]string{
		{"bob@b.test", "a.example", "ip=192.0.2.1 (control/source:1)"}, // the destination comes first
		{"bob@b.test", "c.A.example", "ip=192.0.2.2 ip=2001:db8::2 helo=two.example (control/source:2)"},
		{"Bob@B.test", "other.test", "ip=192.0.2.3 (control/source:3)"},
		{"ann@b.test", "other.test", "ip=192.0.2.4 (control/source:4)"},
		{"ann@sub.b.test", "other.test", "ip=192.0.2.6 (control/source:6)"},
		{"", "other.test", "helo=five.example (control/source:5)"},
		{"", "[192.0.2.9]", "helo=five.example (control/source:5)"},
	} {
		s, err := f.Source(c[0], c[1])
		if err != nil || s == nil || s.String()+" ("+s.Where+")" != c[2] {
			t.Errorf("%s to %s: %v %v, want %s", c[0], c[1], s, err, c[2])
		}
	}
	two, err := f.Source("", "b.example")
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{"198.51.100.1": "192.0.2.2", "::ffff:198.51.100.1": "192.0.2.2", "2001:db8::9": "2001:db8::2"} {
		if got := two.IP(netip.MustParseAddr(to)); got.String() != want {
			t.Errorf("to %s from %v, want %s", to, got, want)
		}
	}
	one, err := f.Source("", "a.example")
	if err != nil || one.IP(netip.MustParseAddr("2001:db8::9")).IsValid() || (*Source)(nil).IP(netip.MustParseAddr("::1")).IsValid() {
		t.Errorf("an address of another family, %v", err)
	}
}

func TestRelayFrom(t *testing.T) {
	f := newFixture(t, map[string]string{"relayfrom": "192.0.2.0/24\n::1 *@Shop.example  a@b.example\n::ffff:10.0.0.1\tx.example\n"})
	got, err := f.RelayFrom()
	want := Relays{{netip.MustParsePrefix("192.0.2.0/24"), nil}, {netip.MustParsePrefix("::1/128"), []string{"@shop.example", "a@b.example"}},
		{netip.MustParsePrefix("10.0.0.1/32"), []string{"@x.example"}}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error(got, err)
	}
	for ip, want := range map[string]bool{"192.0.2.9": true, "::ffff:192.0.2.9": true, "10.0.0.1": true, "10.0.0.2": false, "::1": true} {
		if got.Has(netip.MustParseAddr(ip)) != want {
			t.Errorf("%s may relay: not %v", ip, want)
		}
	}
}

func TestRates(t *testing.T) {
	f := newFixture(t, map[string]string{"rates": "user-messages: 100/1h\nclient-messages: 5/90s\nclient-connections: none\n"})
	for name, want := range map[string]Rate{
		"user-messages": {100, time.Hour}, "client-messages": {5, 90 * time.Second}, "client-connections": {}, "user-recipients": {},
	} {
		if got, err := f.Rate(name); got != want || err != nil {
			t.Errorf("%s = %v, %v", name, got, err)
		}
	}
	if got, err := newFixture(t, nil).Rate("client-connections"); got != (Rate{300, time.Minute}) || err != nil {
		t.Errorf("default %v, %v", got, err)
	}
	if _, err := f.Rate("messages"); err == nil {
		t.Error("an unknown rate is no error")
	}
}

func TestGreetPause(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 100 * time.Millisecond, "250ms": 250 * time.Millisecond, "5s": 5 * time.Second, "0": 0} {
		files := map[string]string{"greetpause": text + "\n"}
		if text == "" {
			files = nil
		}
		if got, err := newFixture(t, files).GreetPause(); got != want || err != nil {
			t.Errorf("%q = %v, %v", text, got, err)
		}
	}
}

func TestServices(t *testing.T) {
	f := newFixture(t, map[string]string{"services": "# all\nmailroute watch\n  pop3d\t--listen  127.0.0.1:0 'a b' \"\" x\"y z\"\n"})
	got, err := f.Services()
	want := []Service{{[]string{"mailroute", "watch"}, "control/services:2"},
		{[]string{"pop3d", "--listen", "127.0.0.1:0", "a b", "", "xy z"}, "control/services:3"}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	f.write("services", "mailroute watch\n\"pop3d\nmailrelay watch\n-x\nmaildeliver watch")
	got, err = f.Services()
	want = []Service{{[]string{"mailroute", "watch"}, "control/services:1"}, {[]string{"mailrelay", "watch"}, "control/services:3"}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if faults, errs := f.Faults("services"); len(faults) != 3 || len(errs) > 0 {
		t.Error(faults, errs)
	}
}

// A program of ours that exits by itself is no service; of others we know nothing.
func TestServicesStay(t *testing.T) {
	for row, stays := range map[string]bool{
		"mailroute watch": true, "/opt/bin/mailrelay --home /h watch": true, "maildeliver watch --home=/h": true,
		"mailroute wach": false, "mailcheck run": false, "mailrelay": false,
		"mailsubmit smtp --listen 127.0.0.1:25": true, "mailsubmit smtp --role mx --listen-tls=127.0.0.1:465": true,
		"mailsubmit smtp": false, "mailsubmit --listen 127.0.0.1:25": false, "mailsubmit smtp --lissten 127.0.0.1:25": false,
		"pop3d --listen-tls 127.0.0.1:995": true, "pop3d": false, "pop3d --tls": false, "mailctl start": false,
		"mysqld": true, "sh -c 'mailroute wach'": true,
	} {
		f := newFixture(t, map[string]string{"services": row + "\n"})
		got, err := f.Services()
		faults, errs := f.Faults("services")
		if err != nil || len(errs) > 0 || (len(got) == 1) != stays || (len(faults) == 0) != stays {
			t.Errorf("%s: %v %v %v %v", row, got, err, faults, errs)
		}
	}
}

// TestRetrySpreads: what failed together does not fall due together.
func TestRetrySpreads(t *testing.T) {
	const entries, slots = 100000, 75 // of a second each: a quarter of five minutes
	r := defaultRetry()
	var due [slots]int
	for i := range entries {
		key := fmt.Sprintf("1764000000.M%06dR%016x.mx", i%1000000, i)
		due[int((r.Next(0, key)-5*time.Minute)/time.Second)]++
	}
	for s, n := range due {
		if n < entries/slots/2 || n > entries/slots*2 {
			t.Errorf("%d entries are due in second %d", n, s)
		}
	}
}

func TestRetry(t *testing.T) {
	f := newFixture(t, map[string]string{"retry": "steps: 1m 10s 2m\nlifetime: 1d12h\nattempts: 3\n"})
	r, err := f.Retry()
	if err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]time.Duration{
		-time.Hour: time.Minute, 0: time.Minute, 59 * time.Second: time.Minute,
		time.Minute: 10 * time.Second, 69 * time.Second: 10 * time.Second,
		70 * time.Second: 2 * time.Minute, 100 * time.Hour: 2 * time.Minute,
	} {
		got := r.Next(age, "key")
		if got < want || got > want+want/4 || got != r.Next(age, "key") {
			t.Errorf("Next(%v) = %v, want %v and up to a quarter more", age, got, want)
		}
	}
	if r.Longest() != 2*time.Minute+30*time.Second {
		t.Error(r.Longest())
	}
	if r.Expired(36*time.Hour, 99) || r.Expired(37*time.Hour, 2) || !r.Expired(37*time.Hour, 3) {
		t.Error("expiry needs both age and attempts")
	}
}
