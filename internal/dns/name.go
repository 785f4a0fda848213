package dns

import (
	"errors"
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

const (
	maxName  = 253 // octets of a name without the trailing dot (RFC 1035 2.3.4)
	maxLabel = 63
)

// ASCII returns a domain name in the form of the DNS: A-labels (RFC 5891), in lower
// case, without a trailing dot.
func ASCII(domain string) (string, error) {
	name, err := addr.ToASCII(strings.TrimSuffix(domain, "."))
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		return "", &Error{Kind: ErrBadName, Name: fmt.Sprintf("%+q", bounded(domain)), Type: "name", Err: err}
	}
	return addr.Fold(name), nil
}

func bounded(s string) string {
	if len(s) > 300 {
		return s[:300]
	}
	return s
}

// checkName refuses names that no mail domain or host can have: names go into logs,
// reports and commands to other servers.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("length of %d octets", len(name))
	}
	label := 0 // octets of it so far
	for i := 0; i <= len(name); i++ {
		switch {
		case i == len(name) || name[i] == '.':
			if label == 0 || label > maxLabel {
				return errors.New("empty or too long label")
			}
			label = 0
		case !nameByte(name[i]):
			return fmt.Errorf("byte %+q in a name", name[i:i+1])
		default:
			label++
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
