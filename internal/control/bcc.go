package control

import (
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// bccRow is a row of control/sender-bcc or control/recipient-bcc.
type bccRow struct{ to []string }

func bccTable(name string) table[bccRow] {
	return table[bccRow]{
		name: name, joined: true,
		askable: anyName,
		form:    "a row is `address: address ...` or `@domain: address ...`",
		key: func(text string) string {
			key := strings.Trim(text[:max(keyEnd(text), 0)], " \t")
			if checkUserKey(key) != nil {
				return ""
			}
			return addr.FoldAddress(key)
		},
		parse: func(_, text string) ([]entry[bccRow], error) {
			key, value, err := keyAndValue(strings.Trim(text, " \t"))
			if err != nil {
				return nil, err
			}
			if err := checkUserKey(key); err != nil {
				return nil, fmt.Errorf("%q %w", key, err)
			}
			to := strings.Fields(value)
			for _, a := range to {
				if err := addr.CheckAddress(a); err != nil {
					return nil, fmt.Errorf("address %q %w", a, err)
				}
			}
			return []entry[bccRow]{{addr.FoldAddress(key), bccRow{to}}}, nil
		},
	}
}

func senderBccFile(c *Control) file[contents[bccRow]]    { return bccTable("sender-bcc").file(c) }
func recipientBccFile(c *Control) file[contents[bccRow]] { return bccTable("recipient-bcc").file(c) }

// parseAlwaysBcc reads addresses, one a line.
func parseAlwaysBcc(name string, data []byte) ([]string, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	var to []string
	for _, l := range ls {
		if err := addr.CheckAddress(l.text); err != nil {
			return nil, fail(name, l.n, "address %q %v", l.text, err)
		}
		to = append(to, l.text)
	}
	return to, nil
}

// Bcc returns the addresses that get a hidden copy of a message: of every message, of those
// of its sender, and of those for its recipients, each address once and none that is a
// recipient already. An error is temporary.
func (c *Control) Bcc(from addr.Address, to []addr.Address) ([]addr.Address, error) {
	f, err := fileOf[[]string](c, "always-bcc")
	if err != nil {
		return nil, err
	}
	list, err := query(c, f, func(all []string) ([]string, bool, error) { return all, len(all) > 0, nil })
	if err != nil {
		return nil, err
	}
	of, err := c.bccOf(senderBccFile(c), from)
	if err != nil {
		return nil, err
	}
	list = append(slices.Clip(list), of...)
	had := map[string]bool{}
	for _, a := range to {
		had[addr.FoldAddress(a.String())] = true
		if of, err = c.bccOf(recipientBccFile(c), a); err != nil {
			return nil, err
		}
		list = append(list, of...)
	}
	var copies []addr.Address
	for _, text := range list {
		a, err := addr.Parse(text)
		if key := addr.FoldAddress(text); err == nil && !had[key] {
			had[key] = true
			copies = append(copies, a)
		}
	}
	return copies, nil
}

// bccOf returns what the rows for an address say: its own, that of its longest shorter name,
// or else that of its domain.
func (c *Control) bccOf(f file[contents[bccRow]], a addr.Address) ([]string, error) {
	some, err := mayHave[bccRow](c, f)
	if err != nil || !some || a.Domain == "" {
		return nil, err
	}
	delimiters, err := c.Delimiters()
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, name := range a.Names(delimiters) {
		keys = append(keys, addr.FoldAddress(name.String()))
	}
	row, at, err := find[bccRow](c, f, append(keys, "@"+addr.FoldDomain(a.Domain))...)
	if err == nil && at > 0 {
		err = hiddenIn[bccRow](c, f)
	}
	if row == nil || err != nil {
		return nil, err
	}
	return row.to, nil
}
