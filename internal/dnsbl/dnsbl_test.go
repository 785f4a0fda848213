package dnsbl

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
)

// good is a list that works.
const good = `
	bl.example SOA ns.example h.example 1 2 3 4 60
	2.0.0.127.bl.example A 127.0.0.2
	9.2.0.192.bl.example A 127.0.0.2
	9.2.0.192.bl.example A 127.0.0.10
	9.2.0.192.bl.example TXT "see https://bl.example/192.0.2.9"
	1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.2
	wl.example SOA ns.example h.example 1 2 3 4 60
	2.0.0.127.wl.example A 127.0.0.2
	7.2.0.192.wl.example A 127.0.5.3
`

// lists returns the rows and a resolver.
func lists(t *testing.T, rows, zone string) ([]control.DNSList, *dns.Resolver, *dnstest.Server) {
	t.Helper()
	s := dnstest.New(t, zone)
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"dnsbl": rows, "resolver": s.Addr + "\n"} {
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := control.Open(home, time.Now)
	list, err := c.DNSLists()
	if err != nil {
		t.Fatal(err)
	}
	return list, dns.New(c), s
}

// said is the answers in short.
func said(answers []Answer) string {
	var all []string
	for _, a := range answers {
		text := fmt.Sprintf("%s %d", a.Zone, a.Weight())
		if a.Useless != "" {
			text += " useless: " + a.Useless
		}
		if a.Err != nil {
			text += " no answer"
		}
		if a.Text != "" {
			text += " " + a.Text
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// What lists say of an address, and which answers mean nothing.
func TestAsk(t *testing.T) {
	const both = "bl.example: 2\nwl.example=127.0.*.[1..3]: -3\n"
	for name, c := range map[string]struct{ rows, zone, client, want string }{
		"listed":        {both, good, "192.0.2.9", "bl.example 2 see https://bl.example/192.0.2.9; wl.example 0"},
		"mapped":        {both, good, "::ffff:192.0.2.9", "bl.example 2 see https://bl.example/192.0.2.9; wl.example 0"},
		"not listed":    {both, good, "192.0.2.1", "bl.example 0; wl.example 0"},
		"IPv6":          {both, good, "2001:db8::1", "bl.example 2; wl.example 0"},
		"IPv6 not":      {both, good, "2001:db8::2", "bl.example 0; wl.example 0"},
		"a good one":    {both, good, "192.0.2.7", "bl.example 0; wl.example -3"},
		"rows of codes": {"bl.example=127.0.0.[3..11]: 5\nbl.example=127.0.0.2: 1\nbl.example=127.0.0.4: 9\n", good, "192.0.2.9", "bl.example 6 see https://bl.example/192.0.2.9"},
		"no such codes": {"bl.example=127.0.1.*: 5\n", good, "192.0.2.9", "bl.example 0"},

		"the resolver is refused": {"bl.example: 2\n", good + "1.2.0.192.bl.example A 127.255.255.254", "192.0.2.1",
			"bl.example 0 useless: it answers 127.255.255.254: it refuses our resolver"},
		"a code that looks like a refusal": {"bl.example: 2\n", good + "1.2.0.192.bl.example A 127.255.0.2\n1.2.0.192.bl.example A 127.0.255.2", "192.0.2.1",
			"bl.example 2"},
		"it is refused whatever a row says": {"bl.example=127.*.*.*: 2\n", good + "1.2.0.192.bl.example A 127.255.255.252", "192.0.2.1",
			"bl.example 0 useless: it answers 127.255.255.252: it refuses our resolver"},
		"refused by 127.0.0.1": {"bl.example: 2\n", good + "1.2.0.192.bl.example A 127.0.0.1", "192.0.2.1",
			"bl.example 0 useless: it answers 127.0.0.1: it refuses our resolver"},
		"refused by 127.0.0.255": {"bl.example: -2\n", good + "1.2.0.192.bl.example A 127.0.0.255", "192.0.2.1",
			"bl.example 0 useless: it answers 127.0.0.255: it refuses our resolver"},
		"127.0.0.1 that a row names": {"bl.example=127.0.0.1: -2\n", good + "1.2.0.192.bl.example A 127.0.0.1", "192.0.2.1", "bl.example -2"},

		"the whole world": {"bl.example: 2\n", "*.bl.example A 127.0.0.2", "192.0.2.1",
			"bl.example 0 useless: it has 127.0.0.1 on it (127.0.0.2), so it may have every address"},
		"the whole world of IPv6": {"bl.example: 2\n", "*.ip6.bl.example A 127.0.0.2\n2.0.0.127.ip6.bl.example A 127.0.0.2\n" +
			"127.ip6.bl.example TXT x", "2001:db8::1", "bl.example 0 useless: it lacks 127.0.0.2, so it is out of order"},
		"a zone that was sold": {"bl.example: 2\n", "*.bl.example A 203.0.113.7", "192.0.2.1",
			"bl.example 0 useless: it lacks 127.0.0.2, so it is out of order"},
		"a zone that is gone":            {"bl.example: 2\n", "", "192.0.2.1", "bl.example 0 useless: it lacks 127.0.0.2, so it is out of order"},
		"answers elsewhere do not count": {"bl.example: 2\n", good + "1.2.0.192.bl.example A 10.0.0.2", "192.0.2.1", "bl.example 0"},
		"the DNS fails":                  {"bl.example: 2\n", good + "1.2.0.192.bl.example !servfail", "192.0.2.1", "bl.example 0 no answer"},
		"the DNS fails for the tests":    {"bl.example: 2\n", good + "2.0.0.127.bl.example !servfail", "192.0.2.9", "bl.example 2 see https://bl.example/192.0.2.9"},
		"the text is hostile": {"bl.example: 2\n", good + `1.2.0.192.bl.example A 127.0.0.2
			1.2.0.192.bl.example TXT "a\010b\027[2J" "` + strings.Repeat("x", 250) + `"`, "192.0.2.1",
			`bl.example 2 a b\x1b[2J` + strings.Repeat("x", maxText-10-3) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			rows, r, _ := lists(t, c.rows, c.zone)
			if got := said(Ask(t.Context(), r, rows, netip.MustParseAddr(c.client))); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// A list of IPv6 alone has its own test addresses.
func TestSixAlone(t *testing.T) {
	const two = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example A 127.0.0.2\n"
	one := "1" + two[1:]
	const listed = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.2\n"
	for zone, want := range map[string]string{
		two + listed:       "bl.example 2",
		one + two + listed: "bl.example 0 useless: it has 127.0.0.1 on it (127.0.0.2), so it may have every address",
	} {
		rows, r, _ := lists(t, "bl.example: 2\n", zone)
		if got := said(Ask(t.Context(), r, rows, netip.MustParseAddr("2001:db8::1"))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Lists are asked side by side: a silent one takes no time from the others, and none after
// the deadline.
func TestSilentList(t *testing.T) {
	const want = "dead.example 0 useless: it lacks 127.0.0.2, so it is out of order no answer; bl.example 2 see https://bl.example/192.0.2.9"
	var got string
	var took time.Duration
	// A machine that is busy takes longer for the list that answers. Without a deadline the
	// resolver waits for ten seconds.
	for _, wait := range []time.Duration{300 * time.Millisecond, 3 * time.Second, 5 * time.Second} {
		rows, r, _ := lists(t, "dead.example: 9\nbl.example: 2\n", good+"1.2.0.192.dead.example !silent\n9.2.0.192.dead.example !silent")
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		began := time.Now()
		got = said(Ask(ctx, r, rows, netip.MustParseAddr("192.0.2.9")))
		if took = time.Since(began); got == want && took < wait+3*time.Second {
			return
		}
	}
	t.Errorf("%s\nwant %s, it took %v", got, want, took)
}

// The addresses that show whether a list works are not asked for with every client.
func TestTestsAreRemembered(t *testing.T) {
	rows, r, s := lists(t, "bl.example: 2\n", good)
	for i := range 10 {
		Ask(t.Context(), r, rows, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	if n := s.Count(""); n != 12 {
		t.Errorf("%d questions about 10 clients, want 12", n)
	}
}
