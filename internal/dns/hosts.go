package dns

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
)

// maxHosts bounds the lines of a hosts file that are read.
const maxHosts = 100000

// parseHosts parses a hosts(5) file: the addresses of each name, in lower case.
func parseHosts(path string) (map[string][]netip.Addr, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hosts := map[string][]netip.Addr{}
	sc := bufio.NewScanner(f)
	for n := 0; n < maxHosts && sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		ip, err := netip.ParseAddr(words[0])
		if err != nil || ip.Zone() != "" {
			continue
		}
		for _, name := range words[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			hosts[name] = append(hosts[name], ip.Unmap())
		}
	}
	return hosts, sc.Err()
}

// known returns the addresses of a name that are known without the DNS: those in the
// hosts file, and those of localhost (RFC 6761 6.3).
func (r *Resolver) known(name string) ([]netip.Addr, error) {
	hosts, err := r.hosts.get()
	if err != nil {
		return nil, err
	}
	if list := hosts[name]; len(list) > 0 {
		return append([]netip.Addr(nil), list...), nil
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, nil
	}
	return nil, nil
}
