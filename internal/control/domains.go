package control

// domainTable is control/domains.
type domainTable struct {
	names []string
	line  map[string]int
}

func domainsFile() file[domainTable] {
	return file[domainTable]{name: "domains", max: maxTable, required: true, parse: parseDomains}
}

func parseDomains(name string, data []byte) (domainTable, error) {
	t := domainTable{line: map[string]int{}}
	ls, err := items(name, data)
	if err != nil {
		return t, err
	}
	for _, l := range ls {
		if err := CheckDomain(l.text); err != nil {
			return t, fail(name, l.n, "domain %q %v", l.text, err)
		}
		domain := FoldDomain(l.text)
		if err := once(name, t.line, domain, l.n); err != nil {
			return t, err
		}
		t.names = append(t.names, domain)
	}
	return t, nil
}

// Domains returns the local domains in lower case, in the order of the file.
// It has no default: no file is a temporary error.
func (c *Control) Domains() ([]string, error) {
	return query(c, domainsFile(), func(t domainTable) ([]string, bool) {
		return append([]string(nil), t.names...), len(t.names) > 0
	})
}

// IsLocal reports whether mail for domain is delivered here, and which line
// of control/domains says so.
func (c *Control) IsLocal(domain string) (source string, local bool, err error) {
	domain = FoldDomain(domain)
	n, err := query(c, domainsFile(), func(t domainTable) (int, bool) {
		n, ok := t.line[domain]
		return n, ok
	})
	if err != nil || n == 0 {
		return "", false, err
	}
	return where("domains", n), true, nil
}
