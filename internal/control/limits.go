package control

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// concurrencyKeys are the rows of control/concurrency.
func concurrencyKeys() []Key {
	return []Key{
		{Name: "mailsubmit", Default: "200"},
		{Name: "mailcheck", Default: "4"},
		{Name: "mailroute", Default: "4"},
		{Name: "maildeliver", Default: "4"},
		{Name: "mailrelay", Default: "100"}, // sessions with other hosts
		{Name: "pop3d", Default: "200"},
		{Name: "destination", Default: "20"}, // sessions of mailrelay to one destination
		{Name: "host", Default: "20"},        // sessions of mailrelay with one address
		{Name: "connecting", Default: "500"}, // sessions of mailrelay that wait for a host, or that are slow
		{Name: "client", Default: "50"},      // sessions from one address
		{Name: "user", Default: "10"},        // POP3 sessions of one user
		// Checked at the same time, by all programs: at least four, so that the one
		// reserved for known clients is not half of them.
		{Name: "passwords", Default: strconv.Itoa(max(4, runtime.NumCPU())), Varies: true},
	}
}

// limitKeys are the rows of control/limits.
func limitKeys() []Key {
	return []Key{
		{Name: "recipients", Default: "1000"},      // of one message
		{Name: "copybytes", Default: "1073741824"}, // bytes of the copies of one message
		{Name: "headerbytes", Default: "262144"},   // of one message
		{Name: "fields", Default: "5000"},          // header fields of one message
		{Name: "mimedepth", Default: "100"},        // levels of parts within parts
		{Name: "mimeparts", Default: "10000"},      // of one message
		{Name: "hops", Default: "100"},             // Received fields of one message (RFC 5321 6.3 asks for at least 100)
		{Name: "errors", Default: "10"},            // of one session
		{Name: "junk", Default: "100"},             // commands of one session that lead to no message
		{Name: "unknown", Default: "10"},           // recipients of one session, before it is slowed down
		{Name: "session", Default: "3600"},         // seconds from the greeting to the end
		{Name: "bounces", Default: "1000"},         // an hour
		{Name: "returnbytes", Default: "65536"},    // of a message that a bounce returns whole

		{Name: "session-messages", Default: "100"}, // of one session of mailrelay
		{Name: "session-time", Default: "300"},     // seconds in which it takes up messages

		{Name: "passwordbytes", Default: "268435456"}, // of memory for checking passwords
	}
}

// Concurrency returns how many of name there may be at a time; for a program, how
// many workers or sessions it may have.
func (c *Control) Concurrency(name string) (int, error) {
	n, err := c.numberOf("concurrency", name)
	return int(min(n, 1<<20)), err
}

// Limit returns the limit called name.
func (c *Control) Limit(name string) (int64, error) {
	return c.numberOf("limits", name)
}

// Limits returns the limits of these names, from one look at the file.
func (c *Control) Limits(list ...string) ([]int64, error) {
	t, err := value[map[string]int64](c, "limits")
	all := make([]int64, 0, len(list))
	for _, name := range list {
		n, err := c.numberIn("limits", name, t, err)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func (c *Control) numberOf(table, name string) (int64, error) {
	t, err := value[map[string]int64](c, table)
	return c.numberIn(table, name, t, err)
}

// numberIn is a number of the table t, which was read with err, or its default.
func (c *Control) numberIn(table, name string, t map[string]int64, err error) (int64, error) {
	keys := c.setting(table).Keys
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return 0, failFile(table, "the program asks for %q, which the file cannot have", name)
	}
	if n, ok := t[name]; ok && err == nil {
		return n, nil
	}
	def, _ := number(keys[i].Default, 1)
	return def, err
}

func numbersOf(keys []Key) func(name string, data []byte) (map[string]int64, error) {
	known := names(keys)
	return func(name string, data []byte) (map[string]int64, error) { return parseNumbers(name, data, known) }
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
