package mailctl

import (
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/route"
)

// maxAlike is how many unknown targets of aliases are listed.
const maxAlike = 20

// unknownTargets warns of aliases with a target that is neither a user nor an alias.
// dead are the findings so far: an alias that can never match needs no second line.
// If a backend has the users, it is not asked about each target.
func unknownTargets(c *control.Control, dead []control.Finding) (found []control.Finding) {
	asks, err := c.AsksForUsers()
	if asks || err != nil {
		return nil
	}
	domains, err := c.Domains()
	if err != nil {
		return nil // has been reported already
	}
	aliases, err := c.AliasesNow()
	if err != nil {
		return nil
	}
	more := 0
	for _, a := range aliases {
		if slices.ContainsFunc(dead, func(f control.Finding) bool { return f.Where() == a.Where }) {
			continue
		}
		for _, target := range unknownIn(c, a, domains) {
			if len(found) == maxAlike {
				more++
				continue
			}
			found = append(found, aliasWarning(a.Where,
				fmt.Sprintf("%s, a target of alias %q, is unknown", target, a.Name),
				"add the user, or remove the target"))
		}
	}
	if more > 0 {
		found = append(found, aliasWarning("", fmt.Sprintf("%d more unknown targets", more), ""))
	}
	return found
}

func aliasWarning(where, what, mend string) control.Finding {
	f := control.Finding{Warning: true, Fault: control.Fault{File: "aliases", What: what, Mend: mend}}
	fmt.Sscanf(where, "control/aliases:%d", &f.Line)
	return f
}

// unknownIn returns the targets of the row a that lead nowhere. A row for a name
// without a domain applies to every local domain: it is meant for those in which the
// target is known, so a target is unknown only if it is so in all of them.
func unknownIn(c *control.Control, a control.Alias, domains []string) []string {
	if _, domain := addr.Split(a.Name); domain != "" {
		return unknownOf(c, a, a.Name)
	}
	var unknown []string
	for i, domain := range domains {
		here := unknownOf(c, a, a.Name+"@"+domain)
		if i == 0 {
			unknown = here
			continue
		}
		same := func(t string) bool {
			local, _ := addr.Split(t)
			return !slices.ContainsFunc(here, func(h string) bool {
				l, _ := addr.Split(h)
				return l == local
			})
		}
		unknown = slices.DeleteFunc(unknown, same)
		if len(unknown) == 0 {
			break
		}
	}
	return unknown
}

// unknownOf returns the unknown targets among those that the row a adds to address. A
// target that cannot be looked up now is not one of them.
func unknownOf(c *control.Control, a control.Alias, address string) (unknown []string) {
	parsed, err := addr.Parse(address)
	if err != nil {
		return nil
	}
	targets, _ := route.Resolve(c, "", parsed, nil)
	for _, t := range targets {
		if t.Kind == route.Unknown && (t.Where == a.Where || strings.HasSuffix(t.Where, ", "+a.Where)) {
			unknown = append(unknown, t.Addr.String())
		}
	}
	return unknown
}
