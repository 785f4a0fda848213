package submit

import (
	"cmp"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// identity is who a submitter wants to be where the message does not say.
type identity struct {
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

// identityOf reads who the caller wants to be: -f and -F, then the variables of
// qmail-inject(8) and nullmailer-inject(1), then EMAIL, then their login name at
// our domain.
func identityOf(o Options, login, domain string, env environment) (identity, error) {
	p := identity{
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
func (p *identity) choose(login, domain string, env environment) (chosen bool, err error) {
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
