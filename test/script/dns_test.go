package script

import (
	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/internal/dns/dnstest"
)

// nameserverT is the key of a script's DNS servers among its values, by name.
type nameserverT struct{}

// cmdNameserver starts a DNS server with lines of dnstest, and has the home ask it.
func cmdNameserver(ts *testscript.TestScript, args []string) {
	s, err := dnstest.Start(ts.ReadFile(args[1]))
	ts.Check(err)
	ts.Defer(s.Close)
	nameservers(ts)[args[0]] = s
	ts.Setenv(args[0], s.Addr)
	cmdControl(ts, []string{"resolver", s.Addr})
}

// cmdDownDNS ends it.
func cmdDownDNS(ts *testscript.TestScript, args []string) {
	s := nameservers(ts)[args[0]]
	if s == nil {
		ts.Fatalf("no nameserver %s", args[0])
	}
	s.Close()
}

// nameservers are those of the script.
func nameservers(ts *testscript.TestScript) map[string]*dnstest.Server {
	return ts.Value(nameserverT{}).(map[string]*dnstest.Server)
}
