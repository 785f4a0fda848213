package control

import (
	"errors"
	"fmt"
	"slices"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// CheckAliases reads control/aliases for people: beside what does not parse, an
// alias that no address can ever match is an error, with exit status 65. Mail
// goes on beside such a row.
func (c *Control) CheckAliases() error {
	t, _, err := load(c, aliasesFile())
	if err != nil {
		return err
	}
	domains, _, noDomains := load(c, domainsFile()) // whose fault is no fault of an alias
	var errs []error
	for key, a := range t {
		if why := neverMatches(key, domains, noDomains == nil); why != "" {
			text := fmt.Sprintf("%s: alias %q %s", a.Where, key, why)
			errs = append(errs, &status.Error{Exit: status.Refused, Text: text})
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return lineOf(a) - lineOf(b) })
	return errors.Join(errs...)
}

// lineOf is the line that an error names.
func lineOf(err error) (n int) {
	fmt.Sscanf(err.Error(), "control/aliases:%d", &n)
	return n
}

// neverMatches says why no address can match the key, "" where one can.
func neverMatches(key string, domains domainTable, known bool) string {
	local, domain := Split(key)
	if local == "*" {
		return "can never match (there are no wildcards)"
	}
	whole := key
	if domain == "" {
		whole += "@example.org"
	} else if known && domains.line[domain] == 0 {
		return "can never match (" + domain + " is not in control/domains)"
	}
	if a, err := addr.Parse(whole); err != nil || foldAddress(a.String()) != whole {
		return "can never match (no address is written so)"
	}
	return ""
}
