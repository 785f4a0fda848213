package control

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

// domainRow is a row of control/domains.
type domainRow struct{ name, where string }

// domainsTable has one domain a line.
func domainsTable() table[domainRow] {
	return table[domainRow]{
		name: "domains", required: true, bare: true,
		askable: anyName,
		form:    "a row is a domain, and nothing else",
		key: func(text string) string {
			text = strings.Trim(text, " \t")
			if addr.CheckDomain(text) != nil {
				return ""
			}
			return addr.FoldDomain(text)
		},
		parse: func(where, text string) ([]entry[domainRow], error) {
			text = strings.Trim(text, " \t")
			if err := addr.CheckDomain(text); err != nil {
				return nil, fmt.Errorf("domain %q %w", text, err)
			}
			name := addr.FoldDomain(text)
			return []entry[domainRow]{{name, domainRow{name, where}}}, nil
		},
	}
}

func domainsFile(c *Control) file[contents[domainRow]] { return domainsTable().file(c) }

// Domains returns the local domains in lower case, in the order of the file and
// without those of broken rows. A broken row before the first domain is a temporary
// error, because names without a domain take the first one. There is no default: a
// missing file is a temporary error.
func (c *Control) Domains() ([]string, error) {
	f := domainsFile(c)
	if _, err := firstRow[domainRow](c, f); err != nil {
		return nil, err
	}
	t, _, err := load(c, f)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range t.list() {
		names = append(names, d.name)
	}
	return names, nil
}

// FirstDomain returns the first of Domains, "" if there is none. Where a backend has them, which
// cannot say what is the first, it is the hostname, if that is one of them.
func (c *Control) FirstDomain() (string, error) {
	f := domainsFile(c)
	d, err := firstRow[domainRow](c, f)
	if err != nil {
		return "", err
	}
	if d != nil {
		return d.name, nil
	}
	t, _, err := load(c, f)
	if err != nil || !t.in().asked() {
		return "", err
	}
	host, err := c.Hostname()
	if err != nil {
		return "", err
	}
	if _, local, err := c.IsLocal(host); !local || err != nil {
		return "", err
	}
	return addr.FoldDomain(host), nil
}

// IsLocal reports whether mail for domain is delivered here, and which line of
// control/domains, or row `local` of control/routes, says so.
func (c *Control) IsLocal(domain string) (source string, local bool, err error) {
	f := domainsFile(c)
	d, _, err := find[domainRow](c, f, addr.FoldDomain(domain))
	switch {
	case err != nil:
		return "", false, err
	case d != nil:
		return d.where, true, nil
	}
	if err := hiddenIn[domainRow](c, f); err != nil {
		return "", false, err
	}
	if some, err := mayHave[Route](c, routesFile(c)); err != nil || !some {
		return "", false, err
	}
	r, err := c.Route(domain)
	if r == nil || err != nil || r.Targets[0].Kind != ToLocal {
		return "", false, err
	}
	return r.Where, true, nil
}
