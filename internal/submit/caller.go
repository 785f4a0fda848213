package submit

import (
	"cmp"
	"os/user"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// caller is a user of this machine, as the kernel knows them.
type caller struct {
	uid  int
	from string // where they stand: "stdin", or "unix"
}

// nameless reports whether a name only says the uid.
func nameless(name string) bool {
	digits, ok := strings.CutPrefix(name, "uid")
	_, err := strconv.Atoi(digits)
	return ok && err == nil
}

// name is their login name; uidN where the machine has none for them.
func (c caller) name() string {
	uid := strconv.Itoa(c.uid)
	if u, err := user.LookupId(uid); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid" + uid
}

func (c caller) submitter() check.Submitter {
	return check.Submitter{User: c.name(), UID: strconv.Itoa(c.uid)}
}

func (c caller) client(helo string) maillog.Client {
	return maillog.Client{Addr: c.from, Helo: helo, UID: strconv.Itoa(c.uid)}
}

// persona is who a submitter wants to be where the message does not say.
type persona struct {
	author addr.Address // in From
	sender addr.Address // reverse path
	name   string       // full name in From
	flags  string       // of QMAILINJECT and NULLMAILER_FLAGS
}

// environment finds variables by any of the names that one thing has in
// several programs.
type environment func(string) string

func (env environment) first(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(env(name)); v != "" {
			return v
		}
	}
	return ""
}

// personaOf reads who the caller wants to be: -f and -F, then the variables of
// qmail-inject(8) and nullmailer-inject(1), then EMAIL, then their login name at
// our domain.
func personaOf(o Options, login, domain string, env environment) (persona, error) {
	p := persona{
		name:  cmp.Or(o.FullName, env.first("QMAILNAME", "NULLMAILER_NAME", "MAILNAME", "NAME")),
		flags: env("QMAILINJECT") + env("NULLMAILER_FLAGS"),
	}
	chosen, err := p.choose(login, domain, env)
	if err != nil {
		return p, err
	}
	p.sender = p.author
	if user, host := env.first("QMAILSUSER", "NULLMAILER_SUSER"), env.first("QMAILSHOST", "NULLMAILER_SHOST"); user+host != "" {
		p.sender, err = envAddress(cmp.Or(user, p.author.Local), cmp.Or(host, p.author.Domain))
		if err != nil {
			return p, err
		}
	}
	if !o.SenderSet {
		return p, nil
	}
	if p.sender, err = reversePath(o.Sender, domain); err == nil && !chosen && !p.sender.IsNull() {
		p.author = p.sender
	}
	return p, err
}

// choose finds the author, and reports whether the environment names one.
func (p *persona) choose(login, domain string, env environment) (chosen bool, err error) {
	user, host := env.first("QMAILUSER", "NULLMAILER_USER", "MAILUSER"), env.first("QMAILHOST", "NULLMAILER_HOST", "MAILHOST")
	if user+host == "" {
		if list, err := addr.ParseList(env("EMAIL")); err == nil && len(list) == 1 {
			p.author = qualified(list[0], domain)
			return true, nil
		}
	}
	// A name that no address can have is not what these two are there for.
	for _, name := range []string{user, env.first("USER"), env.first("LOGNAME"), login} {
		if p.author, err = envAddress(name, cmp.Or(host, domain)); err == nil || name == user && user != "" {
			break
		}
	}
	return user+host != "", err
}

// envAddress puts an address together of what a user said.
func envAddress(local, domain string) (addr.Address, error) {
	a, err := addr.Parse(addr.Address{Local: local, Domain: domain}.String())
	if err != nil {
		return a, status.UsageError("the environment names no address: %v", err)
	}
	return a, nil
}

// reversePath reads -f.
func reversePath(s, domain string) (addr.Address, error) {
	if s = strings.TrimSpace(s); s == "" || s == "<>" {
		return addr.Address{}, nil
	}
	list, err := addr.ParseList(s)
	if err != nil || len(list) != 1 {
		return addr.Address{}, status.UsageError("reverse path %q is no address", s)
	}
	return qualified(list[0], domain), nil
}

func qualified(a addr.Address, domain string) addr.Address {
	if a.Domain == "" {
		a.Domain = domain
	}
	return a
}
