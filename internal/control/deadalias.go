package control

import (
	"errors"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// CheckAliases reads control/aliases for people: beside what does not parse, an
// alias that no address can ever match is an error, with exit status 65. Mail
// goes on beside such a row.
func (c *Control) CheckAliases() error {
	faults, errs := c.Faults("aliases")
	for _, f := range faults {
		if !f.Dead {
			errs = append(errs, failRow(f))
			continue
		}
		errs = append(errs, &status.Error{Exit: status.Refused, Text: f.String()})
	}
	return errors.Join(errs...)
}

// neverMatches says why no address can match the key, and how to mend it; ""
// where one can.
func (c *Control) neverMatches(key string) (why, mend string) {
	local, domain := Split(key)
	if local == "*" {
		return "can never match", "there are no wildcards"
	}
	whole := key
	if domain == "" {
		whole += "@example.org"
	} else if _, local, err := c.IsLocal(domain); err == nil && !local { // else it is no fault of the alias
		return "can never match", domain + " is not in control/domains"
	}
	if a, err := addr.Parse(whole); err != nil || FoldAddress(a.String()) != whole {
		return "can never match", "no address is written so"
	}
	return "", ""
}
