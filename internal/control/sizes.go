package control

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
)

// SizeLimit is a row of control/sizes: the largest message of a user or a domain.
type SizeLimit struct {
	Octets int64
	Where  string // "control/sizes:2"
}

func sizesTable() table[SizeLimit] {
	return table[SizeLimit]{
		name:    "sizes",
		askable: anyName,
		form:    "a row is `address: bytes`, `@domain: bytes` or `.: bytes`",
		key: func(text string) string {
			key := strings.Trim(text[:max(keyEnd(text), 0)], " \t")
			if checkSizeKey(key) != nil {
				return ""
			}
			return foldSizeKey(key)
		},
		parse: parseSize,
	}
}

func sizesFile(c *Control) file[contents[SizeLimit]] { return sizesTable().file(c) }

// checkSizeKey refuses anything but an address, `@domain` and `.`.
func checkSizeKey(key string) error {
	if key == "." {
		return nil
	}
	local, domain := addr.Split(key)
	err := addr.CheckDomain(domain)
	if local != "" {
		err = addr.CheckAddress(key)
	}
	if err != nil || domain == "" {
		return fmt.Errorf("%q is not an address, a domain after @, or a dot", key)
	}
	return nil
}

func foldSizeKey(key string) string {
	if local, domain := addr.Split(key); local == "" && domain != "" {
		return "@" + addr.FoldDomain(domain)
	}
	return addr.FoldAddress(key)
}

func parseSize(where, text string) ([]entry[SizeLimit], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	if err := checkSizeKey(key); err != nil {
		return nil, err
	}
	n, wrong := number(value, 1)
	if wrong != "" {
		return nil, fmt.Errorf("%q %s", value, wrong)
	}
	return []entry[SizeLimit]{{foldSizeKey(key), SizeLimit{n, where}}}, nil
}

// SizeLimit returns how large a message from or to an address may be: by the row of its
// first form that has one, by that of its domain, or by the row `.`; never more than
// control/databytes.
func (c *Control) SizeLimit(domain string, forms ...string) (SizeLimit, error) {
	most, err := c.Databytes()
	limit := SizeLimit{most, "control/databytes"}
	if err != nil {
		return limit, err
	}
	f := sizesFile(c)
	if some, err := mayHave[SizeLimit](c, f); err != nil || !some {
		return limit, err
	}
	var keys []string
	for _, form := range forms {
		keys = append(keys, addr.FoldAddress(form))
	}
	r, at, err := find[SizeLimit](c, f, append(keys, "@"+addr.FoldDomain(domain), ".")...)
	if err == nil && at > 0 {
		err = hiddenIn[SizeLimit](c, f)
	}
	if err != nil || r == nil || r.Octets > most {
		return limit, err
	}
	return *r, nil
}
