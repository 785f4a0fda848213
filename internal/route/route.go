// Package route decides where mail for an address goes: into a mailbox, to
// another host, or nowhere. Its decisions only read the settings, so the SMTP
// session asks at RCPT what mailroute asks again at each attempt.
package route

import (
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Kind tells where an address belongs.
type Kind string

// The kinds of target.
const (
	Local   Kind = "local"   // a mailbox here
	Remote  Kind = "remote"  // another host
	Unknown Kind = "unknown" // a domain that has no such address
	Held    Kind = "held"    // hold/, by a row of control/routes or control/sender-routes
	Refused Kind = "refused" // nowhere, by such a row
	Piped   Kind = "piped"   // a program or a file of an alias
)

// Target is one destination of an address.
type Target struct {
	Addr addr.Address
	Kind Kind
	User *control.User // of a local target: whose mailbox

	Command *control.Command // of a piped one
	Route   *control.Route   // of a target elsewhere; nil: by its MX
	Owner   string           // the reverse path of what a list sends on; "": that of the message
	Where   string           // the rows that led here: "control/aliases:3, control/users:1"

	Through []string // of a target elsewhere: the names whose expansion led to it
	Why     string   // of an unknown target that has an alias: why that was not expanded
}

const (
	maxDepth   = 20    // aliases in aliases
	maxTargets = 10000 // addresses that one address may expand to: as many as a list may have
	maxNames   = 20000 // aliases on the way to them
	maxLooked  = 50000 // targets that are looked at for it, some of them more than once
)

// elsewhere reports whether t is not in a domain of this host.
func (t Target) elsewhere() bool { return t.Kind == Remote || t.Kind == Held || t.Kind == Refused }

// Resolve returns the targets of mail from a sender to a after the expansion of aliases,
// each address once. In a local domain resolver.local says which row decides. postmaster,
// MAILER-DAEMON, root and abuse always have a mailbox, the first two (RFC 5321 4.5.1)
// also without a domain.
//
// A name that is reached below itself is not expanded again: there it means its own
// mailbox, or none.
//
// An alias may name unknown addresses beside others; such targets have the Kind
// Unknown. Where there are no others the error is a *status.Error with exit status
// 67 and reply 550 5.1.1, and the targets are returned with it. So it is with the Kind
// Refused; its error has the text of the row. Every other error is temporary.
func Resolve(c *control.Control, from string, a addr.Address, t *explain.Trail) ([]Target, error) {
	r := newResolver(c, from, func(addr.Address) (bool, error) { return false, nil }, t)
	return r.resolve(a, r.recipient)
}

// ResolveFor is Resolve for a message in deliver/, whose recipient control/rewrite has seen
// before. Names that it has passed, here or on its way here, are not expanded again but mean
// their own mailboxes.
func ResolveFor(c *control.Control, a addr.Address, e *spool.Entry, t *explain.Trail) ([]Target, error) {
	r := newResolver(c, e.Envelope.From.Addr, passedIn(c, e), t)
	return r.resolve(a, r.address)
}

// passedIn reports whether e has passed a row.
func passedIn(c *control.Control, e *spool.Entry) func(row addr.Address) (bool, error) {
	return func(row addr.Address) (bool, error) {
		p, err := passedBy(c, e)
		return p.Expanded(row), err
	}
}

func newResolver(c *control.Control, from string, passed func(addr.Address) (bool, error),
	t *explain.Trail) *resolver {
	return &resolver{control: c, from: from, trail: t, passed: passed,
		names: map[string]*name{}, included: map[string]bool{}, index: map[string]int{}, above: map[string][]*name{}}
}

// resolve returns what enter adds for a.
func (r *resolver) resolve(a addr.Address, enter func(addr.Address, step) error) ([]Target, error) {
	if err := enter(a, step{}); err != nil {
		return nil, err
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	r.trace()
	switch {
	case r.known():
		return r.targets, nil
	case r.refusal() != nil:
		return r.targets, r.refusal()
	case always(a):
		return r.targets, status.Temp("4.3.5", "mail for "+visible.ASCII(a.String())+" has no mailbox", nil)
	}
	return r.targets, NoMailbox(a)
}

// NoMailbox is the permanent error of an address that does not exist.
func NoMailbox(a addr.Address) *status.Error {
	return &status.Error{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1",
		Text: "no such mailbox: " + visible.ASCII(a.String())}
}

// isPostmaster and isDaemon recognize the two names that are valid without a domain.
func isPostmaster(a addr.Address) bool { return strings.EqualFold(a.Local, "postmaster") }

func isDaemon(a addr.Address) bool { return strings.EqualFold(a.Local, "mailer-daemon") }

// toPostmaster reports whether a's mail goes to the postmaster where a has neither
// alias nor mailbox: programs answer to MAILER-DAEMON, cron writes to root, strangers
// complain to abuse (RFC 2142 4).
func toPostmaster(a addr.Address) bool {
	return isDaemon(a) || strings.EqualFold(a.Local, "root") || strings.EqualFold(a.Local, "abuse")
}

// always reports whether every local domain has a.
func always(a addr.Address) bool { return isPostmaster(a) || toPostmaster(a) }

// key is the form in which targets are compared: both spellings of an
// internationalised domain are one.
func key(a addr.Address) string {
	a.Domain = addr.FoldDomain(a.Domain)
	return a.Key()
}

// WithDomain adds the first local domain to a name without a domain, as people and
// cron write it. The error is temporary where the settings have none.
func WithDomain(c *control.Control, name string) (string, error) {
	if strings.Contains(name, "@") {
		return name, nil
	}
	domain, err := FirstDomain(c)
	return name + "@" + domain, err
}

// FirstDomain is the domain of names without one: the first of control/domains. The
// error is temporary where the settings have none.
func FirstDomain(c *control.Control) (string, error) {
	domain, err := c.FirstDomain()
	if err == nil && domain == "" {
		err = status.Temp("4.3.5", "control/domains names no domain", nil)
	}
	return domain, err
}
