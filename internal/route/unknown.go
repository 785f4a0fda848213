package route

import (
	"fmt"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
)

// MaxAlike is how many unknown targets of aliases are listed.
const MaxAlike = 20

// unknown is a target that leads nowhere.
type unknown struct {
	address string
	member  string // "/etc/team:3" if it is in a list that the row includes
}

// warning is what people read about u in the row a.
func (u unknown) warning(a control.Alias) control.Finding {
	if u.member != "" {
		return aliasWarning(a.Where,
			fmt.Sprintf("%s in %s, a list of alias %q, is unknown", u.address, u.member, a.Name),
			"add the user, or remove the member from the list")
	}
	return aliasWarning(a.Where, fmt.Sprintf("%s, a target of alias %q, is unknown", u.address, a.Name),
		"add the user, or remove the target")
}

// UnknownTargets warns of aliases with a target that is neither a user nor an alias; the members
// of the lists that they include are targets, too.
// dead are the findings so far: an alias that can never match needs no second line.
func UnknownTargets(c *control.Control, dead []control.Finding) (found []control.Finding) {
	domains, err := c.Domains()
	if err != nil {
		return nil
	}
	more, members := 0, map[unknown]bool{}
	eachUnknown(c, domains, func(a control.Alias, u unknown) {
		switch {
		case slices.ContainsFunc(dead, func(f control.Finding) bool { return f.Where() == a.Where }):
			return
		case u.member != "" && members[u]:
			return // another alias has the same list
		}
		members[u] = true
		if len(found) == MaxAlike {
			more++
			return
		}
		found = append(found, u.warning(a))
	})
	if more > 0 {
		found = append(found, aliasWarning("", fmt.Sprintf("%d more unknown targets", more), ""))
	}
	return found
}

// AliasesTo warns of the aliases that led to the user of address, who is gone.
func AliasesTo(c *control.Control, address string) (found []control.Finding) {
	_, domain := addr.Split(address)
	eachUnknown(c, []string{domain}, func(a control.Alias, u unknown) {
		if addr.FoldAddress(u.address) == addr.FoldAddress(address) && len(found) < MaxAlike {
			found = append(found, u.warning(a))
		}
	})
	return found
}

// eachUnknown calls visit for each target of an alias that leads nowhere in any of the domains.
// If a backend has the users, it is not asked about each target; a file that is broken is
// reported elsewhere.
func eachUnknown(c *control.Control, domains []string, visit func(control.Alias, unknown)) {
	if asks, err := c.AsksForUsers(); asks || err != nil {
		return
	}
	aliases, err := c.AliasesNow()
	if err != nil {
		return
	}
	for _, a := range aliases {
		for _, u := range unknownIn(c, a, domains) {
			visit(a, u)
		}
	}
}

func aliasWarning(where, what, mend string) control.Finding {
	f := control.Finding{Warning: true, Fault: control.Fault{File: "aliases", What: what, Mend: mend}}
	fmt.Sscanf(where, "control/aliases:%d", &f.Line)
	return f
}

// unknownIn returns the targets of the row a that lead nowhere. A row for a name
// without a domain applies to every local domain: it is meant for those in which the
// target is known, so a target is unknown only if it is so in all of them.
func unknownIn(c *control.Control, a control.Alias, domains []string) []unknown {
	if _, domain := addr.Split(a.Name); domain != "" {
		return unknownOf(c, a, a.Name)
	}
	var all []unknown
	for i, domain := range domains {
		here := unknownOf(c, a, a.Name+"@"+domain)
		if i == 0 {
			all = here
			continue
		}
		nowhere := map[unknown]bool{}
		for _, h := range here {
			nowhere[h.local()] = true
		}
		all = slices.DeleteFunc(all, func(u unknown) bool { return !nowhere[u.local()] })
		if len(all) == 0 {
			break
		}
	}
	return all
}

// local is u without the domain.
func (u unknown) local() unknown {
	local, _ := addr.Split(u.address)
	return unknown{local, u.member}
}

// unknownOf returns the unknown targets among those that the row a adds to address. A
// target that cannot be looked up now is not one of them.
func unknownOf(c *control.Control, a control.Alias, address string) (all []unknown) {
	parsed, err := addr.Parse(address)
	if err != nil {
		return nil
	}
	targets, _ := Resolve(c, "", parsed, nil)
	for _, t := range targets {
		if t.Kind != Unknown {
			continue
		}
		if member, ok := addedBy(a.Where, t.Where); ok {
			all = append(all, unknown{t.Addr.String(), member})
		}
	}
	return all
}

// addedBy reports whether the row at where is the last one in rows, the way to a target.
// member is the line of the list behind it, if there is one.
func addedBy(where, rows string) (member string, ok bool) {
	at := strings.LastIndex(", "+rows, ", "+where)
	if at < 0 {
		return "", false
	}
	rest := rows[at+len(where):]
	if rest == "" {
		return "", true
	}
	lists, ok := strings.CutPrefix(rest, ", /")
	if !ok || strings.Contains(lists, ", control/") {
		return "", false
	}
	return "/" + lists[strings.LastIndex(", /"+lists, ", /"):], true
}
