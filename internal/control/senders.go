package control

import "strings"

// senderRow is a row of control/senders.
type senderRow struct {
	patterns []string
	where    string
}

func sendersFile() file[senderTable] {
	return file[senderTable]{name: "senders", max: maxTable, parse: parseSenders}
}

func parseSenders(name string, data []byte) (senderTable, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(senderTable, len(rs))
	for _, r := range rs {
		if err := t.row(name, r); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// senderTable has what each login may use.
type senderTable map[string]senderRow

// row takes `login: pattern ...` or `wildcard: login ...`.
func (t senderTable) row(name string, r row) error {
	wild, domain := wildcard(r.key)
	if domain != "" {
		if err := CheckDomain(domain); err != nil {
			return fail(name, r.n, "%q %v", r.key, err)
		}
	}
	for _, word := range strings.Fields(r.value) {
		login, pattern, err := r.key, atDomain(word), checkPattern(word)
		if wild != "" {
			pattern = wild
			login, err = senderLogin(word, domain)
		}
		if err != nil {
			return fail(name, r.n, "sender %q %v", word, err)
		}
		t.add(login, pattern, where(name, r.n))
	}
	return nil
}

func (t senderTable) add(login, pattern, where string) {
	login = FoldAddress(login)
	r := t[login]
	r.patterns = append(r.patterns, pattern)
	if !strings.HasSuffix(r.where, where) {
		r.where = strings.TrimPrefix(r.where+", "+where, ", ")
	}
	t[login] = r
}

// wildcard returns the pattern that a row's key is, `*` or `@domain`, and its
// domain; "" where the key is a login.
func wildcard(key string) (pattern, domain string) {
	if key == "*" {
		return key, ""
	}
	pattern = atDomain(key)
	if domain, ok := strings.CutPrefix(pattern, "@"); ok && domain != "" {
		return pattern, domain
	}
	return "", ""
}

// atDomain writes `*@domain` as `@domain`.
func atDomain(pattern string) string {
	if strings.HasPrefix(pattern, "*@") {
		return pattern[1:]
	}
	return pattern
}

// senderLogin reads who may use a wildcard: a login, which takes the domain
// of the wildcard where it has none, `local` or `local/USER`.
func senderLogin(word, domain string) (string, error) {
	if word == "local" || strings.HasPrefix(word, "local/") {
		return word, nil
	}
	if domain != "" && !strings.Contains(word, "@") {
		word += "@" + domain
	}
	return word, CheckAddress(word)
}

// checkPattern refuses what is none of `*`, `@domain` and an address.
func checkPattern(p string) error {
	if p == "*" {
		return nil
	}
	if domain, ok := strings.CutPrefix(atDomain(p), "@"); ok {
		return CheckDomain(domain)
	}
	return CheckAddress(p)
}

// Senders returns which reverse paths and From addresses the submitter login
// may use beside its own: addresses, `@domain` for a whole one, `*` for any.
// The logins `local`, `local/USER` and `local/UID` stand for callers on this
// machine.
// nil patterns without an error say that there is no row.
func (c *Control) Senders(login string) (patterns []string, source string, err error) {
	key := FoldAddress(login)
	r, err := query(c, sendersFile(), func(t senderTable) (senderRow, bool) {
		r, ok := t[key]
		return r, ok
	})
	return append([]string(nil), r.patterns...), r.where, err
}
