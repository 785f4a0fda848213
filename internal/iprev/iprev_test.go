package iprev

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
)

type at string

func (a at) Resolver() (string, bool, error) { return string(a), false, nil }

func TestLook(t *testing.T) {
	zone := `1.2.0.192.in-addr.arpa PTR mx.example.org
mx.example.org A 192.0.2.1
2.2.0.192.in-addr.arpa PTR other.example.org
other.example.org A 192.0.2.9
3.2.0.192.in-addr.arpa PTR gone.example.org
4.2.0.192.in-addr.arpa PTR away.example.org
away.example.org !servfail
5.2.0.192.in-addr.arpa !servfail
6.2.0.192.in-addr.arpa PTR other.example.org
6.2.0.192.in-addr.arpa PTR six.example.org
six.example.org A 192.0.2.6
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR v6.example.org
v6.example.org AAAA 2001:db8::1`
	r := dns.New(at(dnstest.New(t, zone).Addr))
	for _, x := range []struct{ ip, claimed, want, name string }{
		{"192.0.2.1", "", "pass", "mx.example.org"},
		{"::ffff:192.0.2.1", "", "pass", "mx.example.org"},
		{"2001:db8::1", "", "pass", "v6.example.org"},
		{"192.0.2.2", "", "fail", ""},
		{"192.0.2.3", "", "fail", ""},
		{"192.0.2.4", "", "temperror", ""},
		{"192.0.2.5", "", "temperror", ""},
		{"192.0.2.6", "", "pass", "six.example.org"},
		{"192.0.2.7", "", "permerror", ""},
		{"192.0.2.7", "mx.example.org", "fail", ""},
		{"192.0.2.1", "mx.example.org.", "pass", "mx.example.org"},
		{"192.0.2.1", "no name", "fail", ""},
	} {
		got := Look(context.Background(), r, netip.MustParseAddr(x.ip), x.claimed)
		if string(got.Status) != x.want || got.Name != x.name || (got.Reason == "") != (got.Status == Pass) {
			t.Errorf("%s %s: %+v, want %s %s", x.ip, x.claimed, got, x.want, x.name)
		}
	}
}

// An address with very many names costs few queries.
func TestManyNames(t *testing.T) {
	s := dnstest.New(t, strings.Repeat("1.2.0.192.in-addr.arpa PTR a.example.org\n1.2.0.192.in-addr.arpa PTR b.example.org\n"+
		"1.2.0.192.in-addr.arpa PTR c.example.org\n1.2.0.192.in-addr.arpa PTR d.example.org\n", 5))
	got := Look(context.Background(), dns.New(at(s.Addr)), netip.MustParseAddr("192.0.2.1"), "")
	if got.Status != Fail || len(s.Asked()) > 1+2*maxNames {
		t.Errorf("%+v, %d questions", got, len(s.Asked()))
	}
}
