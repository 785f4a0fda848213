package check

import (
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Submitter is who submits a message: a user after AUTH, or a user of this machine.
type Submitter struct {
	Login string // of an authenticated user
	User  string // login name of a local user
	UID   string // uid of a local user
}

// known reports whether the submitter is known.
func (s Submitter) known() bool { return s != Submitter{} }

func (s Submitter) String() string {
	switch {
	case s.Login != "":
		return visible.ASCII(s.Login)
	case s.User == "":
		return "local uid " + visible.ASCII(s.UID)
	}
	return "local user " + visible.ASCII(s.User)
}

// Sender decides whether a submitter may use a as reverse path or From. An
// authenticated user may use their own address, its extensions, addresses that
// resolve to it, and the addresses in their row of control/senders. A local user may
// use any address, unless control/senders has a row local/USER, local/UID, or local
// for all: then only their own name at our domains, and the addresses in the row.
// Everybody may use the null reverse path: receipts (RFC 8098) need it. resolve
// returns what a local address leads to; it may be nil. A refusal is 77, 550 5.7.1.
func Sender(c *control.Control, who Submitter, a addr.Address,
	resolve func(addr.Address) ([]addr.Address, error), t *explain.Trail) error {
	if a.IsNull() {
		t.Add("sender", "<>", "everybody may use the null reverse path")
		return nil
	}
	patterns, source, err := patternsFor(c, who)
	if err != nil {
		return err
	}
	switch {
	case who.Login == "" && source == "":
		t.Add("sender", a.String(), "no row for local submitters in control/senders")
		return nil
	case matches(patterns, a):
		t.Add("sender", a.String(), source)
		return nil
	}
	var own bool
	if who.Login != "" {
		own, err = owns(c, who.Login, a, resolve)
	} else {
		own, err = isLocalUser(c, who.User, a)
	}
	if err != nil {
		return err
	}
	if own {
		t.Add("sender", a.String(), "an address of "+who.String())
		return nil
	}
	if err := c.SendersHidden(a.Domain); err != nil {
		return err
	}
	t.Add("sender", a.String()+" refused", "control/senders")
	return &status.Error{Exit: status.NotAllowed, Reply: 550, Enhanced: "5.7.1",
		Text: who.String() + " may not send as " + visible.ASCII(a.String())}
}

// patternsFor returns the row of control/senders that applies, and "" as its source
// where there is none.
func patternsFor(c *control.Control, who Submitter) (patterns []string, source string, err error) {
	if who.Login != "" {
		return c.Senders(who.Login)
	}
	for i, key := range []string{"local/" + who.User, "local/" + who.UID, "local"} {
		if i > 0 { // a broken row may be the more specific one
			if err := c.SendersHidden(""); err != nil {
				return nil, "", err
			}
		}
		patterns, source, err = c.Senders(key)
		if err != nil || source != "" {
			return patterns, source, err
		}
	}
	return nil, "", c.SendersHidden("")
}

// Claims checks that who may use every address in the fields that name who wrote or
// sent a message. Addresses without a domain get domain, if that is not "". If the
// submitter is restricted, a field that cannot be parsed or contains no address is
// refused: a mail reader may interpret it in any way.
func Claims(c *control.Control, who Submitter, h *message.Header, domain string,
	resolve func(addr.Address) ([]addr.Address, error), t *explain.Trail) error {
	free, err := unrestricted(c, who)
	if err != nil {
		return err
	}
	for _, f := range authorFields(h) {
		list, err := addr.ParseAuthors(f.Value)
		switch {
		case free && err != nil: // mailcheck decides: the sendmail face accepts what cron writes
		case err != nil:
			return status.Refuse("5.6.0", visible.ASCII(f.Name+": "+err.Error()))
		case len(list) == 0 && !free:
			return status.Refuse("5.6.0", visible.ASCII(f.Name+" contains no address"))
		}
		for _, a := range list {
			if a.Domain == "" {
				a.Domain = domain
			}
			if err := Sender(c, who, a, resolve, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// unrestricted reports whether a local submitter may use any address.
func unrestricted(c *control.Control, who Submitter) (bool, error) {
	if who.Login != "" {
		return false, nil
	}
	patterns, source, err := patternsFor(c, who)
	return err == nil && (source == "" || slices.Contains(patterns, "*")), err
}

// authorFields returns the fields that name who wrote or sent a message: the submitter
// must be allowed to use all addresses in them.
func authorFields(h *message.Header) []message.Field {
	var fields []message.Field
	for _, name := range []string{"From", "Sender", "Resent-From", "Resent-Sender"} {
		fields = append(fields, h.All(name)...)
	}
	return fields
}

// matches reports whether a matches one of the patterns "user@domain", "@domain" and
// "*".
func matches(patterns []string, a addr.Address) bool {
	key, domain := a.Key(), addr.FoldDomain(a.Domain)
	for _, p := range patterns {
		p = addr.Fold(p)
		if p == "*" || p == key || strings.HasPrefix(p, "@") && addr.FoldDomain(p[1:]) == domain {
			return true
		}
		if w, err := addr.Parse(p); err == nil && w.Key() == key {
			return true // written with unneeded quotes
		}
	}
	return false
}

// owns reports whether a is the login, one of its extensions, or leads to it.
func owns(c *control.Control, login string, a addr.Address,
	resolve func(addr.Address) ([]addr.Address, error)) (bool, error) {
	delimiters, err := c.Delimiters()
	if err != nil {
		return false, err
	}
	if isLogin(login, a, delimiters) {
		return true, nil
	}
	if resolve == nil {
		return false, nil
	}
	targets, err := resolve(a)
	if err != nil {
		if status.IsTemporary(err) {
			return false, err
		}
		return false, nil // an unknown address is not theirs
	}
	for _, target := range targets {
		if isLogin(login, target, delimiters) {
			return true, nil
		}
	}
	return false, nil
}

func isLogin(login string, a addr.Address, delimiters string) bool {
	login = addr.Fold(login)
	return slices.ContainsFunc(a.Names(delimiters), func(name addr.Address) bool { return name.Key() == login })
}

// isLocalUser reports whether a is the user's name, with or without an extension, at
// a local domain.
func isLocalUser(c *control.Control, user string, a addr.Address) (bool, error) {
	delimiters, err := c.Delimiters()
	if err != nil {
		return false, err
	}
	isUser := func(name addr.Address) bool { return name.Local == user }
	if user == "" || !slices.ContainsFunc(a.Names(delimiters), isUser) {
		return false, nil
	}
	if a.Domain == "" {
		return true, nil
	}
	_, local, err := c.IsLocal(a.Domain)
	return local, err
}
