package control

import (
	"io/fs"
	"os"
	"sort"
)

// Check reads every setting and returns what is wrong: files that do not
// parse, files without a default that are missing, and names that are no
// setting, since a misspelt one would otherwise be a silent default.
func (c *Control) Check() []error {
	var errs []error
	readers := c.readers()
	entries, err := os.ReadDir(c.path(""))
	if err != nil {
		return []error{failFile("", "%w", plain(err))}
	}
	for _, e := range entries {
		if err := c.checkName(e, readers); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range sortedNames(readers) {
		if err := readers[name](); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// readers returns, for each file, a function that reads it.
func (c *Control) readers() map[string]func() error {
	return map[string]func() error{
		"hostname":    func() error { _, err := c.Hostname(); return err },
		"domains":     func() error { _, _, err := load(c, domainsFile()); return err },
		"users":       c.checkUsers,
		"aliases":     c.CheckAliases,
		"routes":      func() error { _, _, err := load(c, routesFile()); return err },
		"root":        func() error { _, err := c.rootFile(); return err },
		"services":    func() error { _, err := c.Services(); return err },
		"resolver":    func() error { _, err := c.Resolver(); return err },
		"databytes":   func() error { _, err := c.Databytes(); return err },
		"reserve":     func() error { _, _, err := c.Reserve(); return err },
		"retry":       func() error { _, err := c.Retry(); return err },
		"senders":     func() error { _, _, err := load(c, sendersFile()); return err },
		"relayfrom":   func() error { _, err := c.RelayFrom(); return err },
		"proxyfrom":   func() error { _, err := c.ProxyFrom(); return err },
		"xclientfrom": func() error { _, err := c.XClientFrom(); return err },
		"rates":       func() error { _, _, err := load(c, ratesFile()); return err },
		"hideclient":  func() error { _, err := c.HideClient(); return err },
		"barelines":   func() error { _, err := c.NormaliseLines(); return err },
		"greetpause":  func() error { _, err := c.GreetPause(); return err },
		"postmaster":  func() error { _, err := c.postmasterFile(); return err },
		"runtime":     func() error { _, err := c.Runtime(); return err },
		"holdtime":    func() error { _, err := c.Holdtime(); return err },
		"holdbytes":   func() error { _, err := c.Holdbytes(); return err },
		"holdcount":   func() error { _, err := c.Holdcount(); return err },
		"undelete":    func() error { _, err := c.Undelete(); return err },
		"logindelay":  func() error { _, err := c.LoginDelay(); return err },
		"expire":      func() error { _, err := c.Expire(); return err },
		"mechanisms":  func() error { _, err := c.Mechanisms(); return err },
		"log":         func() error { _, err := c.Log(); return err },
		"concurrency": func() error { _, err := c.Concurrency("destination", 0); return err },
		"limits":      func() error { _, err := c.Limit("hops", 0); return err },
	}
}

// checkUsers reads control/users and looks for the programs in it.
func (c *Control) checkUsers() error {
	t, _, err := load(c, usersFile(c.home))
	for _, p := range []Program{t.exec, t.check} {
		if missing := p.check(); err == nil && missing != nil {
			err = failFile("users", "%w", missing)
		}
	}
	return err
}

// checkName refuses a name in control/ that no program reads.
func (c *Control) checkName(e fs.DirEntry, readers map[string]func() error) error {
	name := e.Name()
	if PassedOver(name) || readers[name] != nil {
		return nil
	}
	info, err := os.Stat(c.path(name))
	if (name == "tls" || name == "dkim") && err == nil && info.IsDir() {
		return nil
	}
	if like := nearest(name, sortedNames(readers)); like != "" {
		return failFile(name, "no setting has this name (%s?)", like)
	}
	return failFile(name, "no setting has this name")
}

func sortedNames(readers map[string]func() error) []string {
	names := make([]string, 0, len(readers))
	for name := range readers {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// nearest returns the name at most two edits away from the misspelt one.
func nearest(name string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of letters to add, drop or change (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
