package control

import (
	"strings"

	"paperpath/internal/addr"
)

// Mask stands for the addresses of this machine elsewhere, where they mean nothing.
type Mask struct {
	local  string // "": each keeps its own
	domain string
}

func parseMask(s string) (m Mask, wrong string) {
	if !strings.Contains(s, "@") {
		return Mask{domain: addr.FoldDomain(s)}, reason(addr.CheckDomain(s))
	}
	local, domain := addr.Split(s)
	return Mask{local: local, domain: addr.FoldDomain(domain)}, reason(addr.CheckAddress(s))
}

// Masquerade returns what stands for the addresses of this machine; the zero Mask
// replaces none.
func (c *Control) Masquerade() (Mask, error) { return one[Mask](c, "masquerade") }

// Set reports whether there is a mask at all.
func (m Mask) Set() bool { return m.domain != "" }

// Of returns what stands for the address a of this machine; ok is false if that is a
// itself, or nothing.
func (m Mask) Of(a addr.Address) (masked addr.Address, ok bool) {
	masked = addr.Address{Local: m.local, Domain: m.domain}
	if m.local == "" {
		masked.Local = a.Local
	}
	return masked, m.Set() && a.Domain != "" && masked.Key() != a.Key()
}
