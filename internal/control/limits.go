package control

import (
	"slices"
	"strings"
)

// concurrencyNames are the keys of control/concurrency.
func concurrencyNames() []string {
	return []string{
		"mailsubmit", "mailcheck", "mailroute", "maildeliver", "mailrelay", "pop3d",
		"destination", // sessions to one destination
		"client",      // sessions from one address
		"user",        // POP3 sessions of one user
		"passwords",   // checked by all programs
	}
}

// limitNames are the keys of control/limits.
func limitNames() []string {
	return []string{
		"recipients",  // of one message
		"copybytes",   // that copies for its recipients may take, of one message
		"headerbytes", // of one message
		"fields",      // header fields of one message
		"hops",        // Received fields of one message
		"errors",      // of one session
		"junk",        // commands of one session that bring no mail forward
		"unknown",     // recipients of one session, before it is slowed down
		"session",     // seconds from the greeting to the end
		"bounces",     // an hour

		"passwordbytes", // of memory for checking passwords
	}
}

// Concurrency returns how many of name there may be at a time: of a
// program its workers or sessions. def is the caller's default.
func (c *Control) Concurrency(name string, def int) (int, error) {
	n, err := c.numberOf("concurrency", name, int64(def), concurrencyNames())
	return int(min(n, 1<<20)), err
}

// Limit returns the limit name. def is the caller's default.
func (c *Control) Limit(name string, def int64) (int64, error) {
	return c.numberOf("limits", name, def, limitNames())
}

func (c *Control) numberOf(table, name string, def int64, known []string) (int64, error) {
	if !slices.Contains(known, name) {
		return def, failFile(table, "the program asks for %q, which the file cannot have", name)
	}
	t, _, err := load(c, numbersFile(table, known))
	if err != nil {
		return def, err
	}
	if n, ok := t[name]; ok {
		return n, nil
	}
	return def, nil
}

func numbersFile(table string, known []string) file[map[string]int64] {
	return file[map[string]int64]{name: table, max: maxScalar,
		parse: func(name string, data []byte) (map[string]int64, error) {
			return parseNumbers(name, data, known)
		}}
}

func parseNumbers(name string, data []byte, known []string) (map[string]int64, error) {
	rs, err := rows(name, data)
	if err != nil {
		return nil, err
	}
	t := make(map[string]int64, len(rs))
	for _, r := range rs {
		if !slices.Contains(known, r.key) {
			return nil, fail(name, r.n, "unknown key %q (%s)", r.key, strings.Join(known, ", "))
		}
		n, wrong := number(r.value, 1)
		if wrong != "" {
			return nil, fail(name, r.n, "%s: %q %s", r.key, r.value, wrong)
		}
		t[r.key] = n
	}
	return t, nil
}
