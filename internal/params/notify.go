package params

import (
	"errors"
	"slices"
	"strings"
)

// ParseNotify parses the value of NOTIFY (RFC 3461 4.1): NEVER alone, or a list of
// SUCCESS, FAILURE and DELAY without repeats. It returns the keywords in capitals.
func ParseNotify(value string) ([]string, error) {
	list := strings.Split(strings.ToUpper(value), ",")
	for i, word := range list {
		switch word {
		case "SUCCESS", "FAILURE", "DELAY":
			if slices.Contains(list[:i], word) {
				return nil, errors.New("duplicate NOTIFY keyword")
			}
		case "NEVER":
			if len(list) == 1 {
				continue
			}
			fallthrough
		default:
			return nil, errors.New("NOTIFY is NEVER or a list of SUCCESS, FAILURE and DELAY")
		}
	}
	return list, nil
}

// Notify returns the keywords of NOTIFY in params. An invalid NOTIFY counts as missing:
// the sender gets the default.
func Notify(params string) []string {
	list, err := ParseNotify(Get(params, "NOTIFY"))
	if err != nil {
		return nil
	}
	return list
}
