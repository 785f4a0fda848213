package control

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

// relayTo is a row of control/relayto, or all rows with addresses of a domain.
type relayTo struct{ where string }

// addressesOf is the key under which it is known that a domain has rows with addresses.
func addressesOf(domain string) string { return "@" + domain }

// relayToTable has a domain, `.domain` or address a line.
func relayToTable() table[relayTo] {
	return table[relayTo]{
		name: "relayto", bare: true,
		askable: anyName,
		form:    "a row is a domain, `.domain` or address, and nothing else",
		key: func(text string) string {
			text = strings.Trim(text, " \t")
			if checkRelayTo(text) != nil {
				return ""
			}
			return foldRouteKey(text)
		},
		parse: func(where, text string) ([]entry[relayTo], error) {
			text = strings.Trim(text, " \t")
			if err := checkRelayTo(text); err != nil {
				return nil, err
			}
			key := foldRouteKey(text)
			entries := []entry[relayTo]{{key, relayTo{where}}}
			if local, domain := addr.Split(key); local != "" && domain != "" {
				entries = append(entries, entry[relayTo]{addressesOf(domain), relayTo{where}})
			}
			return entries, nil
		},
		merge: func(first, _ relayTo) relayTo { return first },
	}
}

func relayToFile(c *Control) file[contents[relayTo]] { return relayToTable().file(c) }

// checkRelayTo refuses anything but a domain, `.domain` and an address.
func checkRelayTo(text string) error {
	var err error
	switch local, domain := addr.Split(text); {
	case domain == "":
		err = addr.CheckDomain(strings.TrimPrefix(text, "."))
	case local == "":
		return fmt.Errorf("%q is not an address (%s is the whole domain)", text, domain)
	default:
		err = addr.CheckAddress(text)
	}
	if err != nil {
		return fmt.Errorf("%q %w", text, err)
	}
	return nil
}

// RelayTo reports which row of control/relayto lets anybody send to one of the forms of
// an address of a domain. known is false if the domain has rows with addresses, but
// neither one for these forms nor one for the whole domain: such an address does not
// exist there. A domain without a row has where "", and is known.
func (c *Control) RelayTo(domain string, forms ...string) (where string, known bool, err error) {
	var keys []string
	for _, form := range forms {
		keys = append(keys, addr.FoldAddress(form))
	}
	domain = addr.FoldDomain(domain)
	keys = append(append(keys, domainKeys(domain)...), addressesOf(domain))
	f := relayToFile(c)
	r, at, err := find[relayTo](c, f, keys...)
	switch {
	case err != nil:
		return "", false, err
	case at > 0:
		err = hiddenIn[relayTo](c, f)
	}
	if r == nil || err != nil {
		return "", err == nil, err
	}
	return r.where, at < len(keys)-1, nil
}
