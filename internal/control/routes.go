package control

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Route is a row of control/routes: mail for the domain goes to this host,
// without a lookup of its MX.
type Route struct {
	Host  string // a name or an IP address without brackets
	Port  string
	Where string // "control/routes:2"
}

type routeTable map[string]Route

func routesFile() file[routeTable] {
	return file[routeTable]{name: "routes", max: maxTable, parse: parseRoutes}
}

func parseRoutes(name string, data []byte) (routeTable, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(routeTable, len(rs))
	for _, r := range rs {
		if key := strings.TrimPrefix(r.key, "."); key != "" || r.key == "" {
			if err := CheckDomain(key); err != nil {
				return nil, fail(name, r.n, "domain %q %v", r.key, err)
			}
		}
		host, port, wrong := hostPort(r.value, "25")
		if wrong != "" {
			return nil, fail(name, r.n, "%q %s", r.value, wrong)
		}
		t[FoldDomain(r.key)] = Route{Host: host, Port: port, Where: where(name, r.n)}
	}
	return t, nil
}

// hostPort reads `host`, `host:port`, `IP:port`, `[IP]` and `[IP]:port`.
func hostPort(s, defPort string) (host, port, wrong string) {
	const form = "is no host or host:port (mx.example.org:25, 127.0.0.1:2525, [::1]:25)"
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(s, "]") {
		s = net.JoinHostPort(strings.TrimSuffix(inner, "]"), defPort)
	} else if !strings.Contains(s, ":") {
		s = net.JoinHostPort(s, defPort)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", "", form
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", "has no port between 1 and 65535"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), port, ""
	}
	if CheckDomain(host) != nil || strings.HasPrefix(host, "[") {
		return "", "", form
	}
	return FoldDomain(host), port, ""
}

// Route returns where mail for domain goes: the domain's own row, else that of
// the nearest `.parent`, else `.`. nil without an error says: look up its MX.
func (c *Control) Route(domain string) (*Route, error) {
	domain = FoldDomain(domain)
	return query(c, routesFile(), func(t routeTable) (*Route, bool) {
		r, ok := t[domain]
		for rest := domain; !ok; {
			i := strings.IndexByte(rest, '.')
			if i < 0 || strings.HasPrefix(domain, "[") {
				r, ok = t["."]
				break
			}
			rest = rest[i+1:]
			r, ok = t["."+rest]
		}
		if !ok {
			return nil, false
		}
		return &r, true
	})
}
