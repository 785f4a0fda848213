package control

import (
	"net/netip"
	"testing"
)

func TestTrustedForwarder(t *testing.T) {
	f := newFixture(t, map[string]string{"trusted-forwarders": "# who we know\n192.0.2.0/24\n2001:db8::1\nLists.Example.org\n.fwd.example\nb\u00fccher.example\n"})
	for _, c := range []struct {
		ip     string
		proved []string
		want   string
	}{
		{"192.0.2.7", nil, "control/trusted-forwarders:2"},
		{"::ffff:192.0.2.7", nil, "control/trusted-forwarders:2"},
		{"2001:db8::1", nil, "control/trusted-forwarders:3"},
		{"2001:db8::2", []string{"x.example"}, ""},
		{"198.51.100.1", []string{"x.example", "LISTS.example.org"}, "control/trusted-forwarders:4"},
		{"198.51.100.1", []string{"a.lists.example.org"}, ""},
		{"198.51.100.1", []string{"a.b.fwd.example"}, "control/trusted-forwarders:5"},
		{"198.51.100.1", []string{"fwd.example"}, ""},
		{"", []string{"xn--bcher-kva.example"}, "control/trusted-forwarders:6"},
	} {
		ip, _ := netip.ParseAddr(c.ip)
		if got, err := f.TrustedForwarder(ip, c.proved); got != c.want || err != nil {
			t.Errorf("%s %q: %q, %v, want %q", c.ip, c.proved, got, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"192.0.2.1/24\n": `control/trusted-forwarders:1: "192.0.2.1/24" has bits set beyond its prefix length`,
		"a b\n":          `control/trusted-forwarders:1: "a b"`,
		"a@b.example\n":  `control/trusted-forwarders:1: "a@b.example"`,
		"300.1.1.1\n":    `control/trusted-forwarders:1: "300.1.1.1" is neither an address nor a domain`,
		".\n":            `control/trusted-forwarders:1: "."`,
	} {
		f.write("trusted-forwarders", text)
		wantError(t, f.checkTable("trusted-forwarders"), want)
		if where, err := f.TrustedForwarder(netip.MustParseAddr("192.0.2.7"), nil); where != "" || err == nil {
			t.Errorf("%q: %q, %v: mail would be refused", text, where, err)
		}
	}
}
