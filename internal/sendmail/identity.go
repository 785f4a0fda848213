package sendmail

import (
	"cmp"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/compose"
	"paperpath/internal/status"
)

// Identity is who a local user wants to be where the message does not say so.
type Identity struct {
	Author compose.Author
	Sender addr.Address // reverse path
}

// environment looks up variables that have a name in each of several programs.
type environment func(string) string

func (env environment) first(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(env(name)); v != "" {
			return v
		}
	}
	return ""
}

// identityOf takes the identity from -f and -F, then the variables of
// qmail-inject(8) and nullmailer-inject(1), then EMAIL, then the login name and
// our domain.
func identityOf(o Options, login, domain string, env environment) (Identity, error) {
	author, chosen, err := authorOf(login, domain, env)
	id := Identity{Sender: author, Author: compose.Author{
		Address: author,
		Name:    cmp.Or(o.FullName, env.first("QMAILNAME", "NULLMAILER_NAME", "MAILNAME", "NAME")),
		Flags:   env("QMAILINJECT") + env("NULLMAILER_FLAGS"),
	}}
	if err != nil {
		return id, err
	}
	user := env.first("QMAILSUSER", "NULLMAILER_SUSER")
	host := env.first("QMAILSHOST", "NULLMAILER_SHOST")
	if user+host != "" {
		id.Sender, err = envAddress(cmp.Or(user, author.Local), cmp.Or(host, author.Domain))
		if err != nil {
			return id, err
		}
	}
	if !o.SenderSet {
		return id, nil
	}
	if id.Sender, err = ReversePath(o.Sender, domain); err == nil && !chosen && !id.Sender.IsNull() {
		id.Author.Address = id.Sender
	}
	return id, err
}

// authorOf finds the author's address; chosen says that the environment names it.
func authorOf(login, domain string, env environment) (author addr.Address, chosen bool, err error) {
	user := env.first("QMAILUSER", "NULLMAILER_USER", "MAILUSER")
	host := env.first("QMAILHOST", "NULLMAILER_HOST", "MAILHOST")
	if user+host == "" {
		if list, err := addr.ParseList(env("EMAIL")); err == nil && len(list) == 1 {
			return Qualified(list[0], domain), true, nil
		}
	}
	// USER and LOGNAME are skipped where they cannot be a local part.
	for _, name := range []string{user, env.first("USER"), env.first("LOGNAME"), login} {
		author, err = envAddress(name, cmp.Or(host, domain))
		if err == nil || name == user && user != "" {
			break
		}
	}
	return author, user+host != "", err
}

// envAddress makes an address of what the environment says.
func envAddress(local, domain string) (addr.Address, error) {
	a, err := addr.Parse(addr.Address{Local: local, Domain: domain}.String())
	if err != nil {
		return a, status.UsageError("the address in the environment is invalid: %v", err)
	}
	return a, nil
}

// ReversePath parses -f.
func ReversePath(s, domain string) (addr.Address, error) {
	if s = strings.TrimSpace(s); s == "" || s == "<>" {
		return addr.Address{}, nil
	}
	list, err := addr.ParseList(s)
	if err != nil || len(list) != 1 {
		return addr.Address{}, status.UsageError("invalid reverse path %q", s)
	}
	return Qualified(list[0], domain), nil
}

// Qualified is a with the domain, if it has none.
func Qualified(a addr.Address, domain string) addr.Address {
	if a.Domain == "" {
		a.Domain = domain
	}
	return a
}
