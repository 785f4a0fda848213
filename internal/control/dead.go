package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// CheckAliases reads control/aliases for people: in addition to rows that do not
// parse, an alias that can never match is an error, with exit status 65. Such a row
// does not hold up mail.
func (c *Control) CheckAliases() error {
	faults, errs := c.Faults("aliases")
	for _, f := range faults {
		if !f.Dead {
			errs = append(errs, failRow(f))
			continue
		}
		errs = append(errs, &status.Error{Exit: status.Refused, Text: f.String()})
	}
	return errors.Join(errs...)
}

// deadRow is the fault of a row that can never match: what it is, and why.
func deadRow(file, where, key, what, why string) Fault {
	f := Fault{File: file, Key: key, What: what + " can never match", Mend: why, Dead: true}
	fmt.Sscanf(where, "control/"+file+":%d", &f.Line)
	return f
}

// aliasFaults adds the aliases that no address can match.
func (c *Control) aliasFaults(all bool) ([]Fault, error) {
	t, _, err := load(c, aliasesFile(c))
	if err != nil {
		return nil, err
	}
	faults, err := t.allFaults()
	if err != nil || t.db != nil && !all {
		return faults, err
	}
	t.eachRow(func(key string, row Alias) {
		if why := c.neverMatches(key); why != "" {
			faults = append(faults, deadRow("aliases", row.Where, key, fmt.Sprintf("alias %q", key), why))
			return
		}
		for _, target := range row.Targets {
			if err := c.checkAction(target); err != nil {
				f := Fault{File: "aliases", Key: key, What: fmt.Sprintf("alias %q: %v", key, err)}
				fmt.Sscanf(row.Where, "control/aliases:%d", &f.Line)
				faults = append(faults, f)
			}
		}
	})
	return faults, nil
}

// checkAction says why a list, a program or the directory of a file that an alias names
// cannot be used.
func (c *Control) checkAction(target string) error {
	switch form, text := FormOf(target); form {
	case IncludeTarget:
		_, err := c.Include(text)
		return err
	case FileTarget:
		if info, err := os.Stat(filepath.Dir(text)); err != nil || !info.IsDir() {
			return fmt.Errorf("%s: the directory of the file is missing", text)
		}
	case ProgramTarget:
		if words := strings.Fields(text); filepath.IsAbs(words[0]) && !strings.ContainsAny(words[0], "'\"`$\\;&|<>()*?") {
			return Program(words).check()
		}
	}
	return nil
}

// neverMatches says why no address can match the key of an alias; "" if one can.
func (c *Control) neverMatches(key string) (why string) {
	local, domain := addr.Split(key)
	if local == "*" {
		return "there are no wildcards, but see @domain in control(5)"
	}
	whole := key
	if local == "" {
		whole = "x" + key
	}
	if domain == "" {
		whole += "@example.org"
	} else if where, err := c.localNow(domain); err == nil && where == "" { // else the alias is not at fault
		return domain + " is not in control/domains"
	}
	if a, err := addr.Parse(whole); err != nil || addr.FoldAddress(a.String()) != whole {
		return "no address is written like this"
	}
	return ""
}

// routeFaults adds the routes for local domains, whose mail is delivered here.
func (c *Control) routeFaults(all bool) ([]Fault, error) {
	t, _, err := load(c, routesFile(c))
	if err != nil {
		return nil, err
	}
	faults, err := t.allFaults()
	if err != nil || t.db != nil && !all {
		return faults, err
	}
	t.eachRow(func(key string, row Route) {
		if where, err := c.listedNow(key); err == nil && where != "" {
			why := where + " has the domain, remove one of the two"
			faults = append(faults, deadRow("routes", row.Where, key, fmt.Sprintf("route %q", key), why))
		}
	})
	return faults, nil
}

// localNow is IsLocal without waiting for the files to settle.
func (c *Control) localNow(domain string) (where string, err error) {
	if where, err = c.listedNow(domain); where != "" || err != nil {
		return where, err
	}
	t, _, err := load(c, routesFile(c))
	if err != nil {
		return "", err
	}
	for _, key := range append(domainKeys(domain), ".") {
		r, err := t.in().row(key)
		if err != nil {
			return "", err
		}
		if r != nil && r.Targets[0].Kind == ToLocal {
			return r.Where, nil
		} else if r != nil {
			break
		}
	}
	return "", nil
}

// listedNow returns the line of control/domains that has the domain, "" if there is none,
// without waiting for the file to settle.
func (c *Control) listedNow(domain string) (where string, err error) {
	t, _, err := load(c, domainsFile(c))
	if err != nil {
		return "", err
	}
	d, err := t.in().row(addr.FoldDomain(domain))
	if err != nil || d == nil {
		return "", err
	}
	return d.where, nil
}
