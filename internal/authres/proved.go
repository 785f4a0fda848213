package authres

import (
	"slices"

	"paperpath/internal/addr"
)

// Proved returns the domains that answer for a message: those for which SPF, of the reverse
// path or of HELO, or DKIM passed.
func Proved(methods []Method) []string {
	return domains(methods, "pass", "smtp.mailfrom", "smtp.helo", "header.d")
}

// Unknown returns the domains that may answer for a message, as far as anybody can tell
// now: the DNS did not say.
func Unknown(methods []Method) []string {
	return domains(methods, "temperror", "smtp.mailfrom", "smtp.helo", "header.d")
}

// ProvedPath is Proved for who the reverse path says the sender is: a pass for the name in
// HELO proves nothing about that.
func ProvedPath(methods []Method) []string {
	return domains(methods, "pass", "smtp.mailfrom", "header.d")
}

// domains returns those that SPF and DKIM looked at with that result.
func domains(methods []Method, result string, names ...string) (list []string) {
	for _, m := range methods {
		if m.Result != result || m.Name != "spf" && m.Name != "dkim" {
			continue
		}
		for _, p := range m.Properties {
			_, domain := addr.Split("@" + p.Value) // an address, or a domain alone
			domain = addr.FoldDomain(domain)
			if domain != "" && slices.Contains(names, p.Name) && !slices.Contains(list, domain) {
				list = append(list, domain)
			}
		}
	}
	return list
}
