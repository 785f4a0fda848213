package authres

import (
	"slices"

	"paperpath/internal/addr"
)

// Proved returns the domains that answer for a message: those for which SPF, of the reverse
// path or of HELO, or DKIM passed.
func Proved(methods []Method) []string {
	return proved(methods, "smtp.mailfrom", "smtp.helo", "header.d")
}

// ProvedPath is Proved for who the reverse path says the sender is: a pass for the name in
// HELO proves nothing about that.
func ProvedPath(methods []Method) []string { return proved(methods, "smtp.mailfrom", "header.d") }

func proved(methods []Method, names ...string) (domains []string) {
	for _, m := range methods {
		if m.Result != "pass" || m.Name != "spf" && m.Name != "dkim" {
			continue
		}
		for _, p := range m.Properties {
			_, domain := addr.Split("@" + p.Value) // an address, or a domain alone
			domain = addr.FoldDomain(domain)
			if domain != "" && slices.Contains(names, p.Name) && !slices.Contains(domains, domain) {
				domains = append(domains, domain)
			}
		}
	}
	return domains
}
