package control

import (
	"cmp"
	"fmt"
	"slices"
)

// Fault is a row of a table that cannot do what it was written for.
type Fault struct {
	File string // in control/: "aliases"
	Line int    // from 1; 0 where it is the whole file
	Key  string // the name that the row is about, folded; "" where it cannot be read
	What string // what is wrong: "no colon"
	Mend string // how to mend it: "a row is `name: target, target`"
	Dead bool   // the row is read, and can never matter: it harms nothing
}

// Where returns "control/aliases:3".
func (f Fault) Where() string {
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

// Faults returns the broken and the dead rows of every table, or of the named
// ones, by file and line. errs has the files that cannot be read as a whole; one
// that is missing is an error where it has no default.
func (c *Control) Faults(tables ...string) (faults []Fault, errs []error) {
	for _, t := range c.tables() {
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

// tables are the files of rows, in the order in which they are reported.
func (c *Control) tables() []checkedTable {
	read := func(load func() error) func() ([]Fault, error) {
		return func() ([]Fault, error) { return nil, load() }
	}
	return []checkedTable{
		{"domains", read(func() error { _, _, err := load(c, domainsFile()); return err })},
		{"users", read(func() error { _, _, err := load(c, usersFile(c.home)); return err })},
		{"aliases", c.aliasFaults},
		{"routes", read(func() error { _, _, err := load(c, routesFile()); return err })},
		{"senders", read(func() error { _, _, err := load(c, sendersFile()); return err })},
		{"relayfrom", read(func() error { _, err := c.RelayFrom(); return err })},
	}
}

// aliasFaults returns the aliases that no address can ever match.
func (c *Control) aliasFaults() ([]Fault, error) {
	t, _, err := load(c, aliasesFile())
	if err != nil {
		return nil, err
	}
	domains, _, noDomains := load(c, domainsFile()) // whose fault is no fault of an alias
	var faults []Fault
	for key, a := range t {
		if why, mend := neverMatches(key, domains, noDomains == nil); why != "" {
			f := Fault{File: "aliases", Key: key, What: fmt.Sprintf("alias %q %s", key, why), Mend: mend, Dead: true}
			fmt.Sscanf(a.Where, "control/aliases:%d", &f.Line)
			faults = append(faults, f)
		}
	}
	return faults, nil
}
