package submit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// web is the aliases and mailboxes of two homes.
type web struct {
	names []string // of both, with their domains
	rows  map[string][]string
	boxes map[string]bool
}

var webNames = [...]string{"a@one.example", "e@two.example", "b@one.example", "f@two.example",
	"c@one.example", "g@two.example", "d@one.example", "h@two.example"}

func drawWeb(t *rapid.T) web {
	w := web{names: webNames[:rapid.IntRange(2, len(webNames)).Draw(t, "names")], rows: map[string][]string{}, boxes: map[string]bool{}}
	target := rapid.Custom(func(t *rapid.T) string {
		local, domain, _ := strings.Cut(rapid.SampledFrom(w.names).Draw(t, "target"), "@")
		form := rapid.SampledFrom([]string{"%s@%s", "%s@%s", "%s@%s", "%s+x@%s", `\%s@%s`, "%s.%s@x.example"}).Draw(t, "form")
		return fmt.Sprintf(form, local, domain)
	})
	for _, n := range w.names {
		w.boxes[n] = rapid.Bool().Draw(t, "mailbox "+n)
		if rapid.IntRange(0, 3).Draw(t, "alias "+n) > 0 {
			w.rows[n] = rapid.SliceOfNDistinct(target, 1, 3, rapid.ID).Draw(t, n)
		}
	}
	return w
}

// tables are control/users and control/aliases of a domain.
func (w web) tables(domain string) (users, aliases string) {
	users = "sender@" + domain + ":\n"
	for _, n := range w.names {
		if !strings.HasSuffix(n, "@"+domain) {
			continue
		}
		if w.boxes[n] {
			users += n + ":\n"
		}
		if w.rows[n] != nil {
			aliases += n + ": " + strings.Join(w.rows[n], ", ") + "\n"
		}
	}
	return users, aliases
}

// name is an address without its extension, and whether a backslash or the
// lack of a row makes it a mailbox.
func (w web) name(a string) (name string, isBox bool) {
	a, own := strings.CutPrefix(a, `\`)
	local, domain, _ := strings.Cut(a, "@")
	local, _, _ = strings.Cut(local, "+")
	name = local + "@" + domain
	return name, own || w.rows[name] == nil
}

func domainOf(a string) string { return a[strings.IndexByte(a, '@')+1:] }

// parcel is a message on its way in the simple model that the homes are compared with.
type parcel struct {
	home  string // domain
	to    []string
	trail map[string]bool // names that it passed
	mail  bool            // another home handed it in
}

// expect is who gets how many messages.
func (w web) expect(to []string) map[string]int {
	got := map[string]int{}
	for queue := []parcel{{home: "one.example", to: to, trail: map[string]bool{}}}; len(queue) > 0; queue = queue[1:] {
		queue = append(queue, w.step(queue[0], got)...)
	}
	return got
}

// step does what one home does.
func (w web) step(m parcel, got map[string]int) (next []parcel) {
	boxes := map[string]bool{}
	roots := map[string][]string{}          // of a target elsewhere: the recipients that lead to it
	through := map[string]map[string]bool{} // and the aliases
	for _, r := range m.to {
		name, _ := w.name(r)
		if domainOf(r) == m.home && m.mail && m.trail[name] {
			continue
		}
		elsewhere := map[string]bool{}
		w.walk(m, r, nil, boxes, elsewhere)
		for _, t := range slices.Sorted(maps.Keys(elsewhere)) {
			if through[t] == nil {
				through[t] = map[string]bool{}
			}
			if t == r {
				continue // asked for by itself
			}
			roots[t] = append(roots[t], r)
			for n := range w.rows {
				if domainOf(n) == m.home && w.leads(m, r, n, map[string]bool{}) && w.leads(m, n, t, map[string]bool{}) {
					through[t][n] = true
				}
			}
		}
	}
	for b := range boxes {
		if !m.mail || !m.trail[b] {
			got[b]++
		}
	}
	return w.groups(m, roots, through, got)
}

// groups makes one message for all targets elsewhere with the same roots.
func (w web) groups(m parcel, roots map[string][]string, through map[string]map[string]bool, got map[string]int) (next []parcel) {
	groups := map[string][]string{}
	for t := range through {
		k := strings.Join(roots[t], " ")
		groups[k] = append(groups[k], t)
	}
	for _, targets := range groups {
		child := parcel{trail: maps.Clone(m.trail), mail: true}
		for _, t := range targets {
			maps.Copy(child.trail, through[t])
			if domainOf(t) == "x.example" {
				got[t]++
			} else {
				child.home = domainOf(t)
				child.to = append(child.to, t)
			}
		}
		if len(child.to) > 0 {
			slices.Sort(child.to)
			next = append(next, child)
		}
	}
	return next
}

// walk follows every way from a that passes no name twice.
func (w web) walk(m parcel, a string, passed []string, boxes, elsewhere map[string]bool) {
	name, isBox := w.name(a)
	switch {
	case domainOf(a) != m.home:
		elsewhere[strings.TrimPrefix(a, `\`)] = true
	case isBox || m.trail[name] || slices.Contains(passed, name):
		if w.boxes[name] {
			boxes[name] = true
		}
	default:
		for _, target := range w.rows[name] {
			w.walk(m, target, append(passed[:len(passed):len(passed)], name), boxes, elsewhere)
		}
	}
}

// leads reports whether expanding a in m's home comes by the alias or the
// target elsewhere.
func (w web) leads(m parcel, a, to string, seen map[string]bool) bool {
	if domainOf(a) != m.home {
		return strings.TrimPrefix(a, `\`) == to
	}
	name, isBox := w.name(a)
	if isBox || m.trail[name] || seen[name] {
		return false
	}
	if name == to {
		return true
	}
	seen[name] = true
	return slices.ContainsFunc(w.rows[name], func(t string) bool { return w.leads(m, t, to, seen) })
}

// leaves are the mailboxes without an alias, and the addresses at other hosts,
// that can be reached at all.
func (w web) leaves(to []string) map[string]bool {
	found, seen := map[string]bool{}, map[string]bool{}
	var walk func(a string)
	walk = func(a string) {
		name, isBox := w.name(a)
		switch {
		case domainOf(a) == "x.example":
			found[a] = true
		case isBox && !strings.HasPrefix(a, `\`) && w.boxes[name]:
			found[name] = true
		case !isBox && !seen[name]:
			seen[name] = true
			for _, t := range w.rows[name] {
				walk(t)
			}
		}
	}
	for _, a := range to {
		walk(a)
	}
	return found
}
