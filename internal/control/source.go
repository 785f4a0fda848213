package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// Source is a row of control/source: the addresses that connections to other hosts come
// from, and the name that they are given in EHLO.
type Source struct {
	IPs   []netip.Addr // at most one of each family
	Helo  string       // "": control/hostname
	Where string       // "control/source:2"
}

// IP is the address for connections to one of the family of to; the zero address leaves
// the choice to the system.
func (s *Source) IP(to netip.Addr) netip.Addr {
	if s == nil {
		return netip.Addr{}
	}
	i := slices.IndexFunc(s.IPs, func(ip netip.Addr) bool { return ip.Is4() == to.Unmap().Is4() })
	if i < 0 {
		return netip.Addr{}
	}
	return s.IPs[i]
}

// String is the row's value as it is in force.
func (s *Source) String() string {
	var words []string
	for _, ip := range s.IPs {
		words = append(words, "ip="+ip.String())
	}
	if s.Helo != "" {
		words = append(words, "helo="+s.Helo)
	}
	return strings.Join(words, " ")
}

func sourceTable() table[Source] {
	return table[Source]{
		name:    "source",
		askable: anyName,
		form:    "a row is `example.org: ip=192.0.2.1 helo=mail.example.net`; a sender's key has an @",
		key: func(text string) string {
			text = strings.TrimLeft(text, " \t")
			key := strings.TrimRight(text[:max(keyEnd(text), 0)], " \t")
			if key == "" || checkSourceKey(key) != nil {
				return ""
			}
			return foldSourceKey(key)
		},
		parse: parseSource,
	}
}

func sourceFile(c *Control) file[contents[Source]] { return sourceTable().file(c) }

// foldSourceKey is the spelling under which a row is found. A sender's domain keeps its
// @, without which it is a destination.
func foldSourceKey(key string) string {
	if domain, ok := strings.CutPrefix(key, "@"); ok {
		return "@" + addr.FoldDomain(domain)
	}
	return foldRouteKey(key)
}

// checkSourceKey refuses anything but a sender with an @, `<>`, and what may be the key
// of a route.
func checkSourceKey(key string) error {
	if key == "<>" || strings.Contains(key, "@") {
		return checkSenderKey(key)
	}
	return checkRouteKey(key)
}

func parseSource(where, text string) ([]entry[Source], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err == nil {
		err = checkSourceKey(key)
	}
	if err != nil {
		return nil, err
	}
	s := Source{Where: where}
	for _, word := range strings.Fields(value) {
		if err := s.option(word); err != nil {
			return nil, err
		}
	}
	return []entry[Source]{{foldSourceKey(key), s}}, nil
}

func (s *Source) option(word string) error {
	name, value, _ := strings.Cut(word, "=")
	switch {
	case name == "ip":
		ip, err := netip.ParseAddr(value)
		if ip = ip.Unmap(); err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return fmt.Errorf("%q is not an address of a host (such as ip=192.0.2.1)", word)
		}
		if s.IP(ip).IsValid() {
			return fmt.Errorf("%q is the second address of its family (one IPv4 and one IPv6 address)", word)
		}
		s.IPs = append(s.IPs, ip)
		return nil
	case name != "helo":
		return fmt.Errorf("%q (the options are ip= and helo=)", word)
	case s.Helo != "":
		return fmt.Errorf("%q is the second helo=", word)
	}
	if err := addr.CheckDomain(value); err != nil {
		return fmt.Errorf("helo %q %w", value, err)
	}
	s.Helo = addr.FoldDomain(value)
	return nil
}

// Source returns where connections for mail of a sender to domain come from: by the row
// for the domain or its nearest `.parent`, else by that of the sender or the sender's
// `@domain`, else by the row `.`. nil without an error means: the system chooses.
func (c *Control) Source(sender, domain string) (*Source, error) {
	keys := domainKeys(domain)
	switch _, from := addr.Split(sender); {
	case from != "":
		keys = append(keys, addr.FoldAddress(sender), "@"+addr.FoldDomain(from))
	case sender == "":
		keys = append(keys, "<>")
	}
	s, at, err := find[Source](c, sourceFile(c), append(keys, ".")...)
	if err == nil && at > 0 {
		err = hiddenIn[Source](c, sourceFile(c))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}
