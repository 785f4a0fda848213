package relay

import (
	"strings"

	"paperpath/internal/params"
)

// requireTLS reports whether the sender requires verified TLS for the message (RFC
// 8689).
func (m *Message) requireTLS() bool { return params.Has(m.From.Params, "REQUIRETLS") }

// optionalTLS reports whether the sender prefers delivery to secrecy: the header has one
// field TLS-Required, and it says No (RFC 8689 5).
func (m *Message) optionalTLS() bool {
	fields := m.facts().tlsRequired
	return len(fields) == 1 && strings.EqualFold(strings.TrimSpace(fields[0].Value), "No")
}

// bound reports why a message with REQUIRETLS may not go to this host, or "": it needs
// TLS, a certificate for a name that our settings have, and a host that offers REQUIRETLS
// itself (RFC 8689 4.2.1). A name from an MX record proves nothing without DNSSEC or
// MTA-STS: anybody may have put it into the DNS.
func (s *session) bound() string {
	switch {
	case s.cipher == "":
		return "the host does not offer TLS"
	case !s.rule.Named:
		return "the MX record is not authenticated (no DNSSEC or MTA-STS)"
	case s.distrust != nil:
		return s.distrust.Error()
	case !s.offers("REQUIRETLS"):
		return "the host does not offer REQUIRETLS"
	}
	return ""
}
