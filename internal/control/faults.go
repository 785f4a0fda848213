package control

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Fault is a row of a table that cannot do what it was written for.
type Fault struct {
	File string // in control/: "aliases"; "../spool" is outside of it
	Line int    // from 1; 0: the whole file
	Key  string // the name that the row is about, folded; "" if it cannot be read
	What string // what is wrong: "no colon"
	Mend string // how to correct it: "a row is `name: target, target`"
	Dead bool   // the row can be read but never has an effect: it does no harm
}

// Where returns "control/aliases:3".
func (f Fault) Where() string {
	if path, outside := strings.CutPrefix(f.File, "../"); outside {
		return path
	}
	if f.Line == 0 {
		return "control/" + f.File
	}
	return where(f.File, f.Line)
}

// String returns the fault as one line of text.
func (f Fault) String() string {
	text := f.Where() + ": " + f.What
	if f.Mend != "" {
		text += " (" + f.Mend + ")"
	}
	return text
}

// Faults returns the broken and the dead rows of every table, or of the named ones,
// by file and line. errs has the files that cannot be read as a whole; a missing file
// is an error if it has no default.
func (c *Control) Faults(tables ...string) (faults []Fault, errs []error) {
	return c.faultsIn(true, tables)
}

// FaultsAtOnce is Faults without those that can only be found by looking at every row of a table
// that has a database: whoever starts does not wait for them.
func (c *Control) FaultsAtOnce(tables ...string) (faults []Fault, errs []error) {
	return c.faultsIn(false, tables)
}

func (c *Control) faultsIn(all bool, tables []string) (faults []Fault, errs []error) {
	for _, t := range c.tables(all) {
		if len(tables) > 0 && !slices.Contains(tables, t.name) {
			continue
		}
		found, err := t.faults()
		if err != nil {
			errs = append(errs, err)
		}
		slices.SortStableFunc(found, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
		faults = append(faults, found...)
	}
	return faults, errs
}

// checkedTable finds what is wrong with the rows of one table.
type checkedTable struct {
	name   string
	faults func() ([]Fault, error)
}

// tables are the files that have rows, in the order in which they are reported. all says whether
// every row of a large table is looked at.
func (c *Control) tables(all bool) []checkedTable {
	return []checkedTable{
		{"domains", func() ([]Fault, error) { return faultsOf[domainRow](c, domainsFile(c)) }},
		{"users", func() ([]Fault, error) { return faultsOf[User](c, usersFile(c)) }},
		{"accounts", func() ([]Fault, error) { return faultsOf[accountsRow](c, accountsFile(c)) }},
		{"aliases", func() ([]Fault, error) { return c.aliasFaults(all) }},
		{"routes", func() ([]Fault, error) { return c.routeFaults(all) }},
		{"sender-routes", func() ([]Fault, error) { return faultsOf[Route](c, senderRoutesFile(c)) }},
		{"reply-rules", func() ([]Fault, error) { return faultsOf[ReplyRule](c, replyRulesFile(c)) }},
		{"checks", func() ([]Fault, error) { return faultsOf[CheckRow](c, checksFile(c)) }},
		{"destinations", func() ([]Fault, error) { return faultsOf[Destination](c, destinationsFile(c)) }},
		{"source", func() ([]Fault, error) { return faultsOf[Source](c, sourceFile(c)) }},
		{"tls-policy", func() ([]Fault, error) { return faultsOf[TLSPolicy](c, tlsPolicyFile(c)) }},
		{"sizes", func() ([]Fault, error) { return faultsOf[SizeLimit](c, sizesFile(c)) }},
		{"mime", func() ([]Fault, error) { return faultsOf[MIMERule](c, mimeFile(c)) }},
		{"holdrules", func() ([]Fault, error) { return faultsOf[HoldRule](c, holdRulesFile(c)) }},
		{"filters", func() ([]Fault, error) { return faultsOf[Filter](c, filtersFile(c)) }},
		{"dnsbl", func() ([]Fault, error) { return faultsOf[DNSList](c, dnsblFile(c)) }},
		{"senders", func() ([]Fault, error) { return faultsOf[senderRow](c, sendersFile(c)) }},
		{"trusted-forwarders", func() ([]Fault, error) { return faultsOf[forwarder](c, forwardersFile(c)) }},
		{"user-checks", func() ([]Fault, error) { return faultsOf[userRow](c, userChecksFile(c)) }},
		{"relayfrom", func() ([]Fault, error) { return faultsOf[relayRow](c, relaysFile(c)) }},
		{"sender-bcc", func() ([]Fault, error) { return faultsOf[bccRow](c, senderBccFile(c)) }},
		{"recipient-bcc", func() ([]Fault, error) { return faultsOf[bccRow](c, recipientBccFile(c)) }},
		{"rewrite", func() ([]Fault, error) { return faultsOf[rewriteRow](c, rewriteFile(c)) }},
		{"relayto", func() ([]Fault, error) { return faultsOf[relayTo](c, relayToFile(c)) }},
		{"proxyfrom", func() ([]Fault, error) {
			return faultsOf[netip.Prefix](c, networksFile(c, "proxyfrom"))
		}},
		{"xclientfrom", func() ([]Fault, error) {
			return faultsOf[netip.Prefix](c, networksFile(c, "xclientfrom"))
		}},
		{"services", func() ([]Fault, error) { return faultsOf[Service](c, servicesFile(c)) }},
	}
}

func faultsOf[R any, T tabled[R]](c *Control, f file[T]) ([]Fault, error) {
	t, _, err := load(c, f)
	if err != nil {
		return nil, err
	}
	return t.in().allFaults()
}
