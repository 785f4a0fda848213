package control

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/addr"
)

// scalarParser returns the parser of a file with one value, which parse parses; wrong
// says why it cannot.
func scalarParser[T any](parse func(string) (v T, wrong string)) func(name string, data []byte) (*T, error) {
	return func(name string, data []byte) (*T, error) {
		l, err := scalar(name, data)
		if err != nil {
			return nil, err
		}
		v, wrong := parse(l.text)
		if wrong != "" {
			return nil, fail(name, l.n, "%q %s", l.text, wrong)
		}
		return &v, nil
	}
}

// Hostname returns this host's mail name in lower case. There is no default.
func (c *Control) Hostname() (string, error) { return one[string](c, "hostname") }

func parseHostname(s string) (string, string) { return addr.Fold(s), reason(addr.CheckDomain(s)) }

// reason returns what an error says, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Postmaster returns the address that mail for a postmaster without an alias
// goes to: the one in control/postmaster, else the first user's, else "".
func (c *Control) Postmaster() (string, error) {
	address, err := c.postmasterFile()
	if err != nil || address != "" {
		return address, err
	}
	return c.FirstUser()
}

func (c *Control) postmasterFile() (string, error) {
	return one[string](c, "postmaster")
}

func parsePostmaster(s string) (string, string) { return s, reason(addr.CheckAddress(s)) }

// Delimiters returns the characters that begin the extension of an address; "": none
// does.
func (c *Control) Delimiters() (string, error) { return one[string](c, "delimiters") }

// delimiterCharacters are those that a local part can have without quotes and no name of a
// user begins or ends with.
const delimiterCharacters = "+-=_.~!%&*^|/"

func parseDelimiters(s string) (string, string) {
	if s == "none" {
		return "", ""
	}
	for i, r := range s {
		switch {
		case !strings.ContainsRune(delimiterCharacters, r):
			return "", "is neither none nor some of the characters " + delimiterCharacters
		case strings.ContainsRune(s[:i], r):
			return "", "has a character twice"
		}
	}
	return s, ""
}

// Databytes returns the largest message that is accepted, in bytes.
func (c *Control) Databytes() (int64, error) { return one[int64](c, "databytes") }

// Runtime returns how long `run` keeps working.
func (c *Control) Runtime() (time.Duration, error) { return one[time.Duration](c, "runtime") }

// Holdtime returns how long an entry stays in hold/; 0: for ever.
func (c *Control) Holdtime() (time.Duration, error) { return one[time.Duration](c, "holdtime") }

// Holdbytes returns how many octets hold/ may contain before the oldest mail from
// strangers is removed.
func (c *Control) Holdbytes() (int64, error) { return one[int64](c, "holdbytes") }

// Holdcount returns how many entries hold/ may contain before the oldest from
// strangers are removed.
func (c *Control) Holdcount() (int64, error) { return one[int64](c, "holdcount") }

// NormaliseLines reports whether a bare CR or LF in a message that a user submits by
// SMTP is turned into a line end; if not, the message is refused.
func (c *Control) NormaliseLines() (bool, error) { return one[bool](c, "barelines") }

func parseBareLines(s string) (bool, string) {
	word, wrong := oneOf("refuse", "normalise")(addr.Fold(s))
	return word == "normalise", wrong
}

// Undelete returns how long a message that was deleted by POP3 stays in the folder
// Trash; 0: it is not kept.
func (c *Control) Undelete() (time.Duration, error) { return one[time.Duration](c, "undelete") }

// LoginDelay returns the minimum time between two POP3 logins of one user (RFC 2449
// 6.5); 0: none.
func (c *Control) LoginDelay() (time.Duration, error) { return one[time.Duration](c, "logindelay") }

// Expire returns what POP3 clients are told about how many days messages are
// kept (RFC 2449 6.7): a number, or "NEVER".
func (c *Control) Expire() (string, error) { return one[string](c, "expire") }

func parseExpire(s string) (string, string) {
	if strings.EqualFold(s, "never") {
		return "NEVER", ""
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return "", "is neither a number of days nor never"
	}
	return strconv.FormatUint(n, 10), ""
}

// Log returns where events go: "file", "stderr" or "syslog".
func (c *Control) Log() (string, error) { return one[string](c, "log") }

// HideClient reports whether the Received field omits the client of a user who logged
// in.
func (c *Control) HideClient() (bool, error) {
	word, err := one[string](c, "hideclient")
	return word == "yes", err
}

// Landlock reports whether the kernel's Landlock is to confine the programs.
func (c *Control) Landlock() (bool, error) {
	word, err := one[string](c, "landlock")
	return word == "yes", err
}

// oneOf parses one of the words.
func oneOf(words ...string) func(string) (string, string) {
	return func(s string) (string, string) {
		if slices.Contains(words, s) {
			return s, ""
		}
		if len(words) == 2 {
			return "", "is neither " + words[0] + " nor " + words[1]
		}
		return "", "is none of " + strings.Join(words, ", ")
	}
}

// reserve is how much accepting mail must leave free on the file system of the spool.
type reserve struct{ bytes, inodes int64 }

// Reserve returns the free bytes and inodes below which nothing is accepted.
func (c *Control) Reserve() (bytes, inodes int64, err error) {
	r, err := one[reserve](c, "reserve")
	return r.bytes, r.inodes, err
}

// StrictSync reports whether the directory of a message that is accepted is synced wherever
// the spool is.
func (c *Control) StrictSync() (bool, error) {
	how, err := one[string](c, "sync")
	return how == "strict", err
}

// defaultInodes are the inodes of a reserve that gives only bytes.
const defaultInodes = 100

func parseReserve(s string) (reserve, string) {
	words := strings.Fields(s)
	if len(words) > 2 {
		return reserve{}, "is not BYTES or BYTES INODES"
	}
	r, wrong := reserve{inodes: defaultInodes}, ""
	if r.bytes, wrong = number(words[0], 0); wrong == "" && len(words) == 2 {
		r.inodes, wrong = number(words[1], 0)
	}
	return r, wrong
}

// atLeast returns a parser of whole numbers that are not below least.
func atLeast(least int64) func(string) (int64, string) {
	return func(s string) (int64, string) { return number(s, least) }
}

// number parses a whole number that is not below least.
func number(s string, least int64) (int64, string) {
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil {
		return 0, "is not a whole number"
	}
	if int64(n) < least {
		return 0, "is less than " + strconv.FormatInt(least, 10)
	}
	return int64(n), ""
}

// ParseSpan reads a time span as the settings have it: 30s, 2h or 1d12h.
func ParseSpan(s string) (time.Duration, error) {
	d, wrong := duration(s)
	if wrong != "" {
		return 0, errors.New(wrong)
	}
	return d, nil
}

// duration parses a time span: numbers, each with a unit of s, m, h, d or w, the
// largest unit first (90s, 1h30m, 5d).
func duration(s string) (time.Duration, string) {
	const wrong = "is not a time span (90s, 1h30m, 5d)"
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour,
		'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if s == "0" {
		return 0, ""
	}
	var total time.Duration
	last := 1000 * units['w']
	for rest := s; rest != ""; {
		i := strings.IndexAny(rest, "smhdw")
		if i < 1 || i > 9 {
			return 0, wrong
		}
		n, err := strconv.ParseUint(rest[:i], 10, 31)
		unit := units[rest[i]]
		if err != nil || unit >= last || int64(n) > int64(20*52*units['w']/unit) {
			return 0, wrong
		}
		total, last, rest = total+time.Duration(n)*unit, unit, rest[i+1:]
	}
	if s == "" {
		return 0, wrong
	}
	return total, ""
}

// GreetPause returns how long a client of the role mx has to wait for the greeting; a
// client that talks before it is refused. 0: that is not checked.
func (c *Control) GreetPause() (time.Duration, error) { return one[time.Duration](c, "greetpause") }

func parseGreetPause(s string) (d time.Duration, wrong string) {
	if ms, ok := strings.CutSuffix(s, "ms"); ok {
		n, bad := number(ms, 1)
		d, wrong = time.Duration(min(n, 3600_000))*time.Millisecond, bad
	} else {
		d, wrong = duration(s)
	}
	if wrong == "" && d > time.Minute {
		wrong = "is more than 1m"
	}
	return d, wrong
}
