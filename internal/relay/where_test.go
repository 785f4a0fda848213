package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/status"
)

// atlas is a DNS server and a network in which each address is noted that is dialled.
type atlas struct {
	*lab
	mu     sync.Mutex
	dialed []string
	peers  map[string]*peer // by address
}

// zone has lines of dnstest.
type zone []string

// newAtlas gives a lab a DNS, asked through our resolver.
func newAtlas(t *testing.T, z zone) *atlas {
	t.Helper()
	s := dnstest.New(t, strings.Join(z, "\n"))
	a := &atlas{lab: newLab(t), peers: map[string]*peer{}}
	a.set("resolver", s.Addr)
	a.DNS = dns.New(a.Control)
	a.Dial = a.dial
	a.local = func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.ParseIP("127.0.0.1"), Mask: net.CIDRMask(8, 32)},
			&net.IPNet{IP: net.ParseIP("192.0.2.99"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2001:db8::99"), Mask: net.CIDRMask(64, 128)}}, nil
	}
	return a
}

// dial connects to the peer of an address; where there is none, the connection is refused.
func (a *atlas) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "25" {
		return nil, errors.New("not a host of this test: " + address)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dialed = append(a.dialed, host)
	if p := a.peers[host]; p != nil {
		return new(net.Dialer).DialContext(ctx, network, p.addr)
	}
	return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errors.New("connection refused"))}
}

// TestWhereByDNS: which addresses are tried, in which order, and what becomes of mail, as
// our resolver reads the answers of a DNS server.
func TestWhereByDNS(t *testing.T) {
	const a, b, c, us, us6 = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.99", "2001:db8::99"
	for name, k := range map[string]struct {
		zone   zone
		domain string
		up     string // addresses where a host takes mail
		dialed string // in this order
		want   string // enhanced status; "": the mail is taken
	}{
		"MX in order": {zone{"x.example MX 20 b.example.", "x.example MX 10 a.example.", "x.example MX 30 c.example.",
			"a.example A " + a, "b.example A " + b, "c.example A " + c}, "x.example", b, a + " " + b, ""},
		"both families of each": {zone{"x.example MX 10 a.example.", "x.example MX 20 b.example.", "a.example A " + a,
			"a.example A " + c, "a.example AAAA 2001:db8::1", "b.example A " + b},
			"x.example", b, "2001:db8::1 " + a + " " + c + " " + b, ""},
		"no MX": {zone{"x.example A " + a, "x.example AAAA 2001:db8::1"}, "x.example", a, "2001:db8::1 " + a, ""},
		"an MX that is an alias": {zone{"x.example MX 10 a.example.", "a.example CNAME b.example.",
			"b.example A " + b}, "x.example", b, b, ""},
		"a domain that is an alias": {zone{"x.example CNAME y.example.", "y.example MX 10 a.example.",
			"a.example A " + a}, "x.example", a, a, ""},
		"a chain of aliases": {zone{"x.example CNAME y.example.", "y.example CNAME z.example.",
			"z.example MX 10 a.example.", "a.example A " + a}, "x.example", a, a, ""},
		"an alias without MX":   {zone{"x.example CNAME y.example.", "y.example A " + a}, "x.example", a, a, ""},
		"an alias with null MX": {zone{"x.example CNAME y.example.", "y.example MX 0 ."}, "x.example", a, "", "5.1.10"},
		"an alias of nothing":   {zone{"x.example CNAME y.example."}, "x.example", "", "", "5.1.2"},
		"no domain":             {nil, "x.example", "", "", "5.1.2"},
		"no address":            {zone{"x.example TXT hello"}, "x.example", "", "", "5.4.4"},
		"null MX":               {zone{"x.example MX 0 .", "x.example A " + a}, "x.example", a, "", "5.1.10"},
		"null MX beside others": {zone{"x.example MX 10 a.example.", "x.example MX 0 .", "a.example A " + a}, "x.example", a, a, ""},
		"the DNS fails":         {zone{"x.example !servfail"}, "x.example", "", "", "4.4.3"},
		"one host's DNS fails": {zone{"x.example MX 10 a.example.", "x.example MX 20 b.example.", "a.example !servfail",
			"b.example A " + b}, "x.example", b, b, ""},
		"an equal's DNS fails": {zone{"x.example MX 10 a.example.", "x.example MX 10 b.example.", "a.example !servfail",
			"b.example A " + b}, "x.example", b, b, ""},
		"MX without address": {zone{"x.example MX 10 a.example.", "x.example MX 20 b.example.", "b.example A " + b},
			"x.example", b, b, ""},
		"MX is an address":        {zone{"x.example MX 10 192.0.2.1."}, "x.example", a, a, ""},
		"U-labels":                {zone{"xn--bcher-kva.example MX 10 a.example.", "a.example A " + a}, "bücher.example", a, a, ""},
		"literal":                 {nil, "[192.0.2.1]", a, a, ""},
		"literal, IPv6":           {nil, "[IPv6:2001:db8::1]", "2001:db8::1", "2001:db8::1", ""},
		"literal, mapped":         {nil, "[IPv6:::ffff:192.0.2.99]", us, "", "4.4.4"},
		"literal of this machine": {nil, "[IPv6:2001:db8::99]", us6, "", "4.4.4"},

		"we are among equals, by another name": {zone{"x.example MX 10 a.example.", "x.example MX 10 me-too.example.",
			"x.example MX 20 c.example.", "a.example A " + a, "me-too.example A " + us, "c.example A " + c},
			"x.example", a + " " + c, "", "4.4.4"},
		"we are second, by another name": {zone{"x.example MX 5 a.example.", "x.example MX 10 me-too.example.",
			"x.example MX 10 b.example.", "x.example MX 20 c.example.", "a.example A " + a, "me-too.example A 192.0.2.50",
			"me-too.example AAAA " + us6, "b.example A " + b, "c.example A " + c}, "x.example", b + " " + c, a, "4.4.4"},
		"we are second, and the first is up": {zone{"x.example MX 5 a.example.", "x.example MX 10 me-too.example.",
			"a.example A " + a, "me-too.example A " + us}, "x.example", a, a, ""},
		"we are first, by another name": {zone{"x.example MX 5 me-too.example.", "x.example MX 10 b.example.",
			"me-too.example A " + us, "b.example A " + b}, "x.example", b, "", "4.4.4"},
		"we are first, by an alias": {zone{"x.example MX 5 me-too.example.", "x.example MX 10 b.example.",
			"me-too.example CNAME me.example.", "me.example A " + us, "b.example A " + b}, "x.example", b, "", "4.4.4"},
		"no MX, and we are it": {zone{"x.example AAAA " + us6}, "x.example", us6, "", "4.4.4"},
		"loopback is no host": {zone{"x.example MX 5 lo.example.", "x.example MX 10 b.example.", "lo.example A 127.0.0.1",
			"lo.example AAAA ::1", "b.example A " + b}, "x.example", b, b, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newAtlas(t, k.zone)
			p := newPeer(t, kind)
			for _, ip := range strings.Fields(k.up) {
				w.peers[ip] = p
			}
			err := w.send("user@" + k.domain)[0].Err
			if got := status.Enhanced(err); err != nil && got != k.want || (err == nil) != (k.want == "") {
				t.Errorf("%v, want %q", err, k.want)
			}
			if d := cmp.Diff(k.dialed, strings.Join(w.dialed, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

// A host behind an address translation that has our own name is this machine: hosts that
// are not preferred to it are left out. One that a row names may have any name.
func TestOurOwnName(t *testing.T) {
	w := newAtlas(t, zone{"x.example MX 10 outside.example.", "x.example MX 20 b.example.",
		"outside.example A 198.51.100.1", "b.example A 192.0.2.2"})
	us := newPeer(t, func(_ int, command string) string {
		if strings.HasPrefix(command, "EHLO") {
			return "250-MX.Example.NET greets you\r\n250 SIZE 1000000"
		}
		return ""
	})
	w.peers["198.51.100.1"], w.peers["192.0.2.2"] = us, newPeer(t, kind)
	err := w.send("user@x.example")[0].Err
	if status.Exit(err) != 75 || status.Enhanced(err) != "4.4.6" || !strings.Contains(err.Error(), "outside.example [198.51.100.1]:25 calls itself mx.example.net") {
		t.Error(err)
	}
	if us.count("MAIL") != 0 || strings.Join(w.dialed, " ") != "198.51.100.1" {
		t.Errorf("dialed %v", w.dialed)
	}
	w.set("routes", "x.example: outside.example")
	if err := w.send("user@x.example")[0].Err; err != nil {
		t.Error(err)
	}
}

// Hosts of one preference are looked up together, and each result is the host's own; a
// panic in one look-up is the trouble of that host.
func TestEqualsAreLookedUpTogether(t *testing.T) {
	l := newLab(t)
	var list []dns.MX
	for _, name := range []string{"a", "b", "c", "boom"} {
		list = append(list, dns.MX{Host: name + ".example", Pref: 10})
	}
	l.w.mx["elsewhere.example"] = list
	p := newPeer(t, kind)
	l.host("c.example", "192.0.2.3", p)
	together := &gathering{world: l.w, want: 4, all: make(chan struct{})}
	l.DNS = together
	if err := l.send(far)[0].Err; err != nil {
		t.Error(err)
	}
}

// gathering answers once all look-ups that it waits for have come.
type gathering struct {
	*world
	mu   sync.Mutex
	want int
	all  chan struct{}
}

func (g *gathering) Addrs(ctx context.Context, name string) ([]netip.Addr, error) {
	g.mu.Lock()
	if g.want--; g.want == 0 {
		close(g.all)
	}
	g.mu.Unlock()
	select {
	case <-g.all:
	case <-ctx.Done():
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: "A", Err: errors.New("it came alone")}
	}
	if name == "boom.example" {
		panic("boom")
	}
	return g.world.Addrs(ctx, name)
}

// A host that accepts no mail at all (RFC 7504) fails mail for good if there is no other.
func TestNoMailThere(t *testing.T) {
	for _, greeting := range []string{"521 5.3.2 no mail here", "521 no"} {
		l := newLab(t)
		p := newPeer(t, always("", greeting))
		l.w.mx["elsewhere.example"] = []dns.MX{{Host: "a.example"}}
		l.host("a.example", "192.0.2.1", p)
		if err := l.send(far)[0].Err; status.Exit(err) != 69 || !strings.Contains(err.Error(), greeting) {
			t.Error(err)
		}
	}
}
