package control

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"paperpath/internal/addr"
)

// Route is a row of control/routes: mail for the domain goes to this host, without an
// MX lookup.
type Route struct {
	Host  string // a name or an IP address without brackets
	Port  string
	Where string // "control/routes:2"
}

func routesTable() table[Route] {
	return table[Route]{
		name: "routes",
		form: "a row is `domain: host` or `domain: host:port`",
		key: func(text string) string {
			text = strings.TrimLeft(text, " \t")
			end := keyEnd(text)
			if end < 0 {
				return ""
			}
			key := strings.TrimRight(text[:end], " \t")
			if key == "" || checkRouteKey(key) != nil {
				return ""
			}
			return addr.FoldDomain(key)
		},
		parse: parseRoute,
	}
}

func routesFile(c *Control) file[contents[Route]] { return routesTable().file(c) }

func parseRoute(where, text string) ([]entry[Route], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	if err := checkRouteKey(key); err != nil {
		return nil, fmt.Errorf("domain %q %w", key, err)
	}
	host, port, wrong := hostPort(value, "25")
	if wrong != "" {
		return nil, fmt.Errorf("%q %s", value, wrong)
	}
	return []entry[Route]{{addr.FoldDomain(key), Route{Host: host, Port: port, Where: where}}}, nil
}

// checkRouteKey refuses anything but `domain`, `.domain` and `.`.
func checkRouteKey(key string) error {
	if key == "." {
		return nil
	}
	return addr.CheckDomain(strings.TrimPrefix(key, "."))
}

// hostPort parses `host`, `host:port`, `IP:port`, `[IP]` and `[IP]:port`.
func hostPort(s, defPort string) (host, port, wrong string) {
	const form = "is not a host or host:port (mx.example.org:25, 127.0.0.1:2525, [::1]:25)"
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
	if addr.CheckDomain(host) != nil || strings.HasPrefix(host, "[") {
		return "", "", form
	}
	return addr.FoldDomain(host), port, ""
}

// Route returns where mail for domain goes: the domain's own row, else that of the
// nearest `.parent`, else `.`. nil without an error means: look up its MX.
func (c *Control) Route(domain string) (*Route, error) {
	domain = addr.FoldDomain(domain)
	keys := []string{domain}
	if !strings.HasPrefix(domain, "[") {
		for i := range len(domain) {
			if domain[i] == '.' {
				keys = append(keys, domain[i:])
			}
		}
	}
	f := routesFile(c)
	r, at, err := find[Route](c, f, append(keys, ".")...)
	if err == nil && at > 0 {
		err = hiddenIn[Route](c, f)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}
