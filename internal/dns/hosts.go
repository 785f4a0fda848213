package dns

import (
	"bufio"
	"net/netip"
	"os"
	"slices"
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
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		if list, err := r.inHosts(name); len(list) > 0 || err != nil {
			return list, err
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, nil
	}
	return r.inHosts(name)
}

// inHosts returns the addresses that the hosts file has for a name.
func (r *Resolver) inHosts(name string) ([]netip.Addr, error) {
	if r.replayed != nil {
		return r.replayed.hosts(name), nil
	}
	hosts, err := r.hosts.get()
	if err != nil {
		return nil, err
	}
	list := slices.Clone(hosts[name])
	r.recorded.addHosts(name, list)
	return list, nil
}
