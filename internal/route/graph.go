package route

import (
	"maps"
	"slices"

	"paperpath/internal/addr"
)

// name is an alias that the expansion has reached.
type name struct {
	row      addr.Address // as the table has it
	entry    addr.Address // as it was reached: with its extension
	where    string
	at       int  // in resolver.graph
	open     bool // its targets are being looked up
	returned bool // it was reached below itself: its mailbox is a target
	leads    []*name
}

// reach notes that from leads to n.
func (n *name) reach(from *name) {
	if from != nil && !slices.Contains(from.leads, n) {
		from.leads = append(from.leads, n)
	}
}

// finish adds the mailboxes of names that are reached below themselves only by
// another path than the one on which they were expanded. So the answer does not
// depend on the order of the targets in a row.
func (r *resolver) finish() error {
	for _, n := range r.graph {
		if !n.returned && r.returns(n) {
			if err := r.back(n, n.row, step{where: n.where, from: n}); err != nil {
				return err
			}
		}
	}
	return nil
}

// returns reports whether n can be reached below itself without passing any other
// name twice: by a path to n and a path from n back to n that have no other name
// in common. Such paths exist exactly where no single name is on all paths to n
// and on all paths back (Menger). Such a name would be on the one path that is
// looked at here.
func (r *resolver) returns(n *name) bool {
	start := r.graph[0]
	if pathBetween(n, n, nil) == nil {
		return false
	}
	if n == start {
		return true
	}
	for _, u := range append(pathBetween(start, n, nil), start) {
		if u == n || u != start && pathBetween(start, n, u) != nil {
			continue
		}
		if pathBetween(n, n, u) == nil {
			return false
		}
	}
	return true
}

// pathBetween returns the names on a shortest path between two, without from and with to,
// that avoids without; nil where there is none.
func pathBetween(from, to, without *name) []*name {
	before := map[*name]*name{}
	for queue := []*name{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range queue[0].leads {
			if _, seen := before[next]; seen || next == without {
				continue
			}
			before[next] = queue[0]
			if next != to {
				queue = append(queue, next)
				continue
			}
			list := []*name{to}
			for n := queue[0]; n != from; n = before[n] {
				list = append(list, n)
			}
			return list
		}
	}
	return nil
}

// trace finds the names that lead to each target elsewhere.
func (r *resolver) trace() {
	into := map[*name][]*name{}
	for _, n := range r.graph {
		for _, next := range n.leads {
			into[next] = append(into[next], n)
		}
	}
	for i := range r.targets {
		t := &r.targets[i]
		if !t.elsewhere() {
			continue
		}
		found := map[*name]bool{}
		for queue := slices.Clone(r.above[targetKey(*t)]); len(queue) > 0; queue = queue[1:] {
			if !found[queue[0]] {
				found[queue[0]] = true
				queue = append(queue, into[queue[0]]...)
			}
		}
		names := slices.SortedFunc(maps.Keys(found), func(a, b *name) int { return a.at - b.at })
		for _, n := range names {
			t.Through = append(t.Through, key(n.row))
		}
	}
}
