package control

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNetworks(t *testing.T) {
	f := newFixture(t, map[string]string{"proxyfrom": "192.0.2.0/24\n\n  2001:db8::/32 \n192.0.2.0/24\n"})
	for ip, want := range map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.3.7": false, "2001:db8:1::1": true, "::1": false} {
		if got, err := has(f, netip.MustParseAddr(ip)); got != want || err != nil {
			t.Errorf("%s: not %v, %v", ip, want, err)
		}
	}
	if got, err := has(f, netip.Addr{}); got || err != nil {
		t.Error("no address is in a network", err)
	}
}

// has looks up ip in control/proxyfrom.
func has(f *fixture, ip netip.Addr) (bool, error) {
	n, err := f.ProxyFrom()
	if err != nil {
		return false, err
	}
	return n.Has(ip)
}

// A broken row of proxyfrom does not mean "no": a proxy that is taken for a client
// would give all hosts behind it its own rights.
func TestABrokenNetwork(t *testing.T) {
	f := newFixture(t, map[string]string{"proxyfrom": "192.0.2.0/24\n198.51.100.7\r\n", "relayfrom": "203.0.113.7\n"})
	ask := func(ip, want string) {
		t.Helper()
		got := "no"
		switch is, err := has(f, netip.MustParseAddr(ip)); {
		case is:
			got = "yes"
		case err != nil:
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
	for range 2 {
		ask("192.0.2.7", "yes")
		ask("198.51.100.7", "control/proxyfrom:2: ")
		ask("203.0.113.1", "no")
		f.clock = f.clock.Add(hiding)
	}
	f.write("proxyfrom", "192.0.2.0/24\nlocalhost\n")
	ask("192.0.2.7", "yes")
	ask("203.0.113.1", "control/proxyfrom:2: ")
	f.clock = f.clock.Add(hiding)
	ask("203.0.113.1", "no")
	ask("203.0.113.7", "control/proxyfrom:2: ") // it may relay
	ask("127.0.0.1", "control/proxyfrom:2: ")
	ask("::ffff:127.0.0.1", "control/proxyfrom:2: ")
}
