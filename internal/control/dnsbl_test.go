package control

import (
	"net/netip"
	"strings"
	"testing"
)

// Rows are lists with weights; a broken one harms itself alone.
func TestDNSLists(t *testing.T) {
	c := newFixture(t, map[string]string{"dnsbl": "# lists\nBL.example.org: 2\nbl.example.org=127.0.0.[4..7;10]: 3\n" +
		"broken.example.org: much\nwl.example.org=127.0.*.[1..3]: -4\n"})
	got, err := c.DNSLists()
	if err != nil || len(got) != 3 {
		t.Fatalf("%v %v", got, err)
	}
	for i, want := range []DNSList{{Zone: "bl.example.org", Weight: 2, Where: "control/dnsbl:2"},
		{Zone: "bl.example.org", Weight: 3, Where: "control/dnsbl:3"}, {Zone: "wl.example.org", Weight: -4, Where: "control/dnsbl:5"}} {
		if g := got[i]; g.Zone != want.Zone || g.Weight != want.Weight || g.Where != want.Where || (g.Codes == nil) != (i == 0) {
			t.Errorf("%+v, want %+v", g, want)
		}
	}
	if s := got[1].Codes.String(); s != "127.0.0.[4..7;10]" {
		t.Error(s)
	}
	for answer, want := range map[string]string{"127.0.0.4": "bl", "127.0.0.7": "bl", "127.0.0.10": "bl", "127.0.0.8": "",
		"127.0.1.4": "", "127.0.9.1": "wl", "127.0.9.4": "", "::4": "", "128.0.0.4": ""} {
		a, in := netip.MustParseAddr(answer), ""
		if got[1].Codes.Match(a) {
			in += "bl"
		}
		if got[2].Codes.Match(a) {
			in += "wl"
		}
		if in != want {
			t.Errorf("%s: %q, want %q", answer, in, want)
		}
	}
	faults, _ := c.Faults("dnsbl")
	if len(faults) != 1 || !strings.Contains(faults[0].String(), "control/dnsbl:4") {
		t.Error(faults)
	}
}
