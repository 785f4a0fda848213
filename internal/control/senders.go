package control

import "strings"

// senderRow is a row of control/senders.
type senderRow struct {
	patterns []string
	where    string
}

func sendersFile() file[map[string]senderRow] {
	return file[map[string]senderRow]{name: "senders", max: maxTable, parse: parseSenders}
}

func parseSenders(name string, data []byte) (map[string]senderRow, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(map[string]senderRow, len(rs))
	for _, r := range rs {
		patterns := strings.Fields(r.value)
		for _, p := range patterns {
			if err := checkPattern(p); err != nil {
				return nil, fail(name, r.n, "sender %q %v", p, err)
			}
		}
		t[foldAddress(r.key)] = senderRow{patterns, where(name, r.n)}
	}
	return t, nil
}

// checkPattern refuses what is none of `*`, `@domain` and an address.
func checkPattern(p string) error {
	if p == "*" {
		return nil
	}
	if domain, ok := strings.CutPrefix(p, "@"); ok {
		return CheckDomain(domain)
	}
	return CheckAddress(p)
}

// Senders returns which reverse paths and From addresses the submitter login
// may use beside its own: addresses, `@domain` for a whole one, `*` for any.
// The logins `local` and `local/USER` stand for callers on this machine.
// nil patterns without an error say that there is no row.
func (c *Control) Senders(login string) (patterns []string, source string, err error) {
	key := foldAddress(login)
	r, err := query(c, sendersFile(), func(t map[string]senderRow) (senderRow, bool) {
		r, ok := t[key]
		return r, ok
	})
	return append([]string(nil), r.patterns...), r.where, err
}
