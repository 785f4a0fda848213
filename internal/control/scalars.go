package control

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// scalarFile describes the file name, whose one value parse reads; wrong says
// why it cannot.
func scalarFile[T any](name string, parse func(string) (v T, wrong string)) file[*T] {
	return file[*T]{name: name, max: maxScalar, parse: func(name string, data []byte) (*T, error) {
		l, err := scalar(name, data)
		if err != nil {
			return nil, err
		}
		v, wrong := parse(l.text)
		if wrong != "" {
			return nil, fail(name, l.n, "%q %s", l.text, wrong)
		}
		return &v, nil
	}}
}

// one reads the scalar file name with parse, or returns def where it is absent.
func one[T any](c *Control, name string, def T, parse func(string) (T, string)) (T, error) {
	v, _, err := load(c, scalarFile(name, parse))
	if err != nil || v == nil {
		return def, err
	}
	return *v, nil
}

// Hostname returns this host's mail name in lower case. It has no default.
func (c *Control) Hostname() (string, error) {
	f := scalarFile("hostname", func(s string) (string, string) {
		return Fold(s), reason(CheckDomain(s))
	})
	f.required = true
	v, _, err := load(c, f)
	if err != nil {
		return "", err
	}
	return *v, nil
}

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
	return query(c, usersFile(c.home), func(t userTable) (string, bool) {
		if len(t.users) == 0 {
			return "", false
		}
		return t.users[0].Address, true
	})
}

func (c *Control) postmasterFile() (string, error) {
	return one(c, "postmaster", "", func(s string) (string, string) {
		return s, reason(CheckAddress(s))
	})
}

// Resolver returns the DNS server to ask, as address:port, or "" for the
// system's.
func (c *Control) Resolver() (string, error) {
	return one(c, "resolver", "", func(s string) (string, string) {
		if ip, err := netip.ParseAddr(s); err == nil {
			return net.JoinHostPort(ip.String(), "53"), ""
		}
		if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 {
			return ap.String(), ""
		}
		return "", "is no address:port (127.0.0.1:53, [::1]:53)"
	})
}

// Databytes returns the largest message that is accepted, in bytes.
func (c *Control) Databytes() (int64, error) {
	return one(c, "databytes", 26214400, func(s string) (int64, string) {
		return number(s, 1)
	})
}

// Runtime returns how long `run` goes on.
func (c *Control) Runtime() (time.Duration, error) {
	return one(c, "runtime", 50*time.Minute, duration)
}

// Holdtime returns how long an entry stays in hold/; 0 is for ever.
func (c *Control) Holdtime() (time.Duration, error) {
	return one(c, "holdtime", 30*24*time.Hour, duration)
}

// Holdbytes returns how many octets hold/ may have before the oldest of what
// strangers sent goes.
func (c *Control) Holdbytes() (int64, error) {
	return one(c, "holdbytes", 1<<30, func(s string) (int64, string) { return number(s, 0) })
}

// Holdcount returns how many entries hold/ may have before the oldest of what
// strangers sent go.
func (c *Control) Holdcount() (int64, error) {
	return one(c, "holdcount", 10000, func(s string) (int64, string) { return number(s, 0) })
}

// NormaliseLines reports whether a bare CR or LF in a message that a user submits
// by SMTP is made a line end; else the message is refused.
func (c *Control) NormaliseLines() (bool, error) {
	return one(c, "barelines", false, func(s string) (bool, string) {
		switch Fold(s) {
		case "refuse":
			return false, ""
		case "normalise":
			return true, ""
		}
		return false, "is neither refuse nor normalise"
	})
}

// Undelete returns how long a message that POP3 deleted stays in the folder
// Trash; 0 is not at all.
func (c *Control) Undelete() (time.Duration, error) {
	return one(c, "undelete", 0, duration)
}

// LoginDelay returns the least time between two POP3 logins of one user
// (RFC 2449 6.5); 0 is none.
func (c *Control) LoginDelay() (time.Duration, error) {
	return one(c, "logindelay", 0, duration)
}

// Expire returns what POP3 clients are told about how many days messages are
// kept (RFC 2449 6.7): a number, or "NEVER".
func (c *Control) Expire() (string, error) {
	return one(c, "expire", "NEVER", func(s string) (string, string) {
		if strings.EqualFold(s, "never") {
			return "NEVER", ""
		}
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return "", "is neither a number of days nor never"
		}
		return strconv.FormatUint(n, 10), ""
	})
}

// Log returns where events go: "" (which is "file"), "file", "stderr", "syslog".
func (c *Control) Log() (string, error) {
	return one(c, "log", "", func(s string) (string, string) {
		switch s {
		case "file", "stderr", "syslog":
			return s, ""
		}
		return "", "is none of file, stderr, syslog"
	})
}

// HideClient reports whether Received leaves out from where a user who logged
// in submitted.
func (c *Control) HideClient() (bool, error) {
	return one(c, "hideclient", false, func(s string) (bool, string) {
		switch s {
		case "yes", "no":
			return s == "yes", ""
		}
		return false, "is neither yes nor no"
	})
}

// reserve is what accepting leaves free on the spool's file system.
type reserve struct{ bytes, inodes int64 }

// Reserve returns the free bytes and inodes below which nothing is accepted.
func (c *Control) Reserve() (bytes, inodes int64, err error) {
	def := reserve{16 << 20, 100}
	r, err := one(c, "reserve", def, func(s string) (reserve, string) {
		words := strings.Fields(s)
		if len(words) > 2 {
			return reserve{}, "is not BYTES or BYTES INODES"
		}
		r, wrong := def, ""
		if r.bytes, wrong = number(words[0], 0); wrong == "" && len(words) == 2 {
			r.inodes, wrong = number(words[1], 0)
		}
		return r, wrong
	})
	return r.bytes, r.inodes, err
}

// number reads a whole number not below least.
func number(s string, least int64) (int64, string) {
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil {
		return 0, "is no whole number"
	}
	if int64(n) < least {
		return 0, "is less than " + strconv.FormatInt(least, 10)
	}
	return int64(n), ""
}

// duration reads a time span: numbers, each with a unit of s, m, h, d or w,
// the largest unit first (90s, 1h30m, 5d).
func duration(s string) (time.Duration, string) {
	const wrong = "is no time span (90s, 1h30m, 5d)"
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

// GreetPause returns how long a client of the role mx waits for the greeting;
// who talks before it is refused. 0: it is not looked at.
func (c *Control) GreetPause() (time.Duration, error) {
	return one(c, "greetpause", 100*time.Millisecond, func(s string) (time.Duration, string) {
		var d time.Duration
		var wrong string
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
	})
}
