package oracle

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	moxdns "github.com/mjl-/mox/dns"
	"github.com/mjl-/mox/smtp"
	mox "github.com/mjl-/mox/spf"
	"pgregory.net/rapid"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/spf"
)

// net of both: names without a dot at the end for us, with one for mox.
type zone struct {
	txt  map[string][]string
	a    map[string][]string
	mx   map[string][]string
	ptr  map[string][]string
	fail map[string]bool // "txt name"
}

func (z zone) find(kind, name string, m map[string][]string) ([]string, error) {
	name, err := dns.ASCII(name)
	switch {
	case err != nil:
		return nil, err
	case z.fail[kind+" "+name]:
		return nil, &dns.Error{Kind: dns.ErrTemporary, Name: name, Type: kind}
	case m[name] == nil:
		return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: kind}
	}
	return m[name], nil
}

// TXT implements spf.Resolver.
func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	return z.find("txt", name, z.txt)
}

// MX implements spf.Resolver.
func (z zone) MX(_ context.Context, name string) (list []dns.MX, err error) {
	hosts, err := z.find("mx", name, z.mx)
	for _, host := range hosts {
		list = append(list, dns.MX{Host: host})
	}
	return list, err
}

// Addrs implements spf.Resolver.
func (z zone) Addrs(_ context.Context, name string) (list []netip.Addr, err error) {
	texts, err := z.find("ip", name, z.a)
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list, err
}

// PTR implements spf.Resolver.
func (z zone) PTR(_ context.Context, ip netip.Addr) ([]string, error) {
	if list := z.ptr[ip.String()]; list != nil {
		return list, nil
	}
	return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: ip.String(), Type: "PTR"}
}

// mox returns the same zone for mox.
func (z zone) mox() moxdns.MockResolver {
	m := moxdns.MockResolver{TXT: map[string][]string{}, A: map[string][]string{}, AAAA: map[string][]string{},
		MX: map[string][]*net.MX{}, PTR: map[string][]string{}}
	for name, list := range z.txt {
		m.TXT[name+"."] = list
	}
	for name, list := range z.a {
		for _, ip := range list {
			if strings.Contains(ip, ":") {
				m.AAAA[name+"."] = append(m.AAAA[name+"."], ip)
			} else {
				m.A[name+"."] = append(m.A[name+"."], ip)
			}
		}
	}
	for name, list := range z.mx {
		for _, host := range list {
			m.MX[name+"."] = append(m.MX[name+"."], &net.MX{Host: host + "."})
		}
	}
	for ip, list := range z.ptr {
		for _, name := range list {
			m.PTR[ip] = append(m.PTR[ip], name+".")
		}
	}
	for key := range z.fail {
		m.Fail = append(m.Fail, key+".")
	}
	return m
}

var (
	spfDomains = []string{"a.example", "b.example", "c.example", "d.example"}
	spfHosts   = []string{"m.example", "n.example", "o.a.example"}
	spfIPs     = []string{"192.0.2.1", "192.0.2.77", "198.51.100.9", "2001:db8::1", "2001:db8:1::7"}
)

// spfTerm draws a term; some are not valid.
func spfTerm(t *rapid.T) string {
	pick := func(list ...string) string { return rapid.SampledFrom(list).Draw(t, "pick") }
	name := func() string {
		return pick(append(append([]string{"%{d}", "%{o}", "x.%{d2}", "%{ir}.%{v}.rev.example", "%{l}.users.example", "%{h}", "nothing.example",
			"%{d1r}.example", "%{l1r-}.users.example", "%{i}.ip.example"}, spfDomains...), spfHosts...)...)
	}
	cidr := func() string { return pick("", "", "", "/24", "/32", "/0", "//64", "/24//48", "/33", "//129") }
	return pick("", "", "+", "-", "~", "?") + func() string {
		switch rapid.IntRange(0, 13).Draw(t, "kind") {
		case 0:
			return "all"
		case 1:
			return "a" + cidr()
		case 2:
			return "a:" + name() + cidr()
		case 3:
			return "mx" + cidr()
		case 4:
			return "mx:" + name() + cidr()
		case 5:
			return "ip4:" + pick("192.0.2.1", "192.0.2.0/24", "198.51.100.0/25", "0.0.0.0/0", "192.0.2.300", "192.0.2.1/33", "2001:db8::1")
		case 6:
			return "ip6:" + pick("2001:db8::1", "2001:db8::/32", "::/0", "2001:db8::1/129", "192.0.2.1")
		case 7:
			return "include:" + name()
		case 8:
			return "exists:" + name()
		case 9:
			return "ptr"
		case 10:
			return "ptr:" + name()
		case 11:
			return pick("ALL", "A", "Mx", "IP4:192.0.2.1", "all:x.example", "include", "exists:", "a:", "ip4:", "moo", "a:example", "a:192.0.2.1",
				"include:%{x}.example", "a:%{d0}.example", "exists:%", "a:b_.example", "mx:-.example", "all/24", "ip4")
		case 12:
			return "exists:" + pick("yes.example", "no.example")
		}
		return "a:" + pick(spfHosts...)
	}()
}

// spfModifier draws a modifier for the record of the i-th domain. It redirects only to later
// ones: mox does not count redirects, and follows a circle of them until its stack is full.
func spfModifier(t *rapid.T, i int) string {
	list := []string{"", "", "", "", "redirect=nothing.example", "exp=e.example", "x=y", "x-1.z=%{d}", "redirect=", "exp=%{x}.example",
		"-x=y", "r=%{c}"}
	for _, name := range spfDomains[i+1:] {
		list = append(list, "redirect="+name, "redirect="+name+" redirect="+name)
	}
	return rapid.SampledFrom(list).Draw(t, "modifier")
}

func spfZone(t *rapid.T) zone {
	z := zone{txt: map[string][]string{}, mx: map[string][]string{}, ptr: map[string][]string{}, fail: map[string]bool{},
		a: map[string][]string{"yes.example": {"127.0.0.2"}, "u.users.example": {"127.0.0.2"}}}
	ips := func() []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(spfIPs), 0, 3, rapid.ID).Draw(t, "ips")
	}
	for _, name := range append(append([]string{}, spfDomains...), spfHosts...) {
		if list := ips(); len(list) > 0 {
			z.a[name] = list
		}
		if rapid.Bool().Draw(t, "mx") {
			z.mx[name] = rapid.SliceOfN(rapid.SampledFrom(append([]string{"nothing.example"}, spfHosts...)), 1, 3).Draw(t, "hosts")
		}
	}
	for i, name := range spfDomains {
		terms := rapid.SliceOfN(rapid.Custom(spfTerm), 0, 4).Draw(t, "terms")
		terms = append(terms, spfModifier(t, i), rapid.SampledFrom([]string{"", "-all", "~all"}).Draw(t, "all"))
		record := "v=spf1 " + strings.Join(terms, " ")
		switch rapid.IntRange(0, 15).Draw(t, "records") {
		case 0:
			z.txt[name] = []string{record, "v=spf1 -all"}
		case 1:
			z.txt[name] = []string{"other", record}
		case 2:
			z.txt[name] = []string{"v=spf10 -all"}
		case 3:
			z.txt[name] = []string{"v=spf1"}
		default:
			z.txt[name] = []string{strings.TrimRight(record, " ")}
		}
	}
	for _, ip := range spfIPs {
		if rapid.Bool().Draw(t, "ptr") {
			z.ptr[ip] = rapid.SliceOfNDistinct(rapid.SampledFrom(append(spfHosts, spfDomains...)), 1, 2, rapid.ID).Draw(t, "names")
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "broken") == 0 {
		kind := rapid.SampledFrom([]string{"txt", "ip", "mx"}).Draw(t, "type")
		z.fail[kind+" "+rapid.SampledFrom(append(spfHosts, spfDomains...)).Draw(t, "name")] = true
	}
	return z
}

// Random records in random zones have the same result by both.
func TestSPF(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	saw := map[spf.Status]int{}
	known := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		z := spfZone(t)
		ip := netip.MustParseAddr(rapid.SampledFrom(spfIPs).Draw(t, "ip"))
		domain := rapid.SampledFrom(spfDomains).Draw(t, "domain")
		helo := rapid.SampledFrom([]string{"m.example", "a.example"}).Draw(t, "helo")
		args := mox.Args{RemoteIP: ip.AsSlice(), HelloDomain: moxdns.IPDomain{Domain: moxdns.Domain{ASCII: helo}},
			LocalIP: net.ParseIP("203.0.113.1"), LocalHostname: moxdns.Domain{ASCII: "mx.example.net"}}
		from := addr.Address{}
		if rapid.IntRange(0, 3).Draw(t, "null") > 0 {
			local := rapid.SampledFrom([]string{"u", "strong-bad"}).Draw(t, "local")
			from = addr.Address{Local: local, Domain: domain}
			args.MailFromLocalpart, args.MailFromDomain = smtp.Localpart(local), moxdns.Domain{ASCII: domain}
		}
		got := spf.CheckMailFrom(context.Background(), z, ip, helo, from)
		theirs, _, _, _, err := mox.Verify(context.Background(), log, z.mox(), args)
		saw[got.Status]++
		if string(got.Status) == string(theirs.Result) {
			return
		}
		reason := knownSPFDifference(got, ip.Is4(), string(theirs.Result), err)
		if reason == "" {
			t.Fatalf("ours: %s (%s), mox: %s (%v); %s from %s %s in %v", got.Status, got.Reason, theirs.Result, err,
				from, ip, helo, dump(z, got))
		}
		known[reason]++
	})
	for _, s := range []spf.Status{spf.Pass, spf.Fail, spf.SoftFail, spf.Neutral, spf.PermError, spf.TempError} {
		if saw[s] == 0 {
			t.Errorf("no case of %s", s)
		}
	}
	t.Log(saw, known)
}

func dump(z zone, r spf.Result) string {
	return fmt.Sprintf("txt %q a %v mx %v ptr %v fail %v; asked %v", z.txt, z.a, z.mx, z.ptr, z.fail, r.Queries)
}
