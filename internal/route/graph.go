package route

import (
	"slices"

	"paperpath/internal/addr"
)

// name is a name that stands for others, and what is known of it once it was
// come by.
type name struct {
	row      addr.Address // as the table has it
	entry    addr.Address // as it was come by: with its extension
	where    string
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

// finish adds the mailboxes of names that are reached below themselves only on
// another way than that on which they were expanded. So the answer does not
// depend on the order of a row's targets.
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

// returns reports whether n may be reached below itself with no other name
// passed twice: by a way to n and a way from n back to n which have no other
// name in common. They have none just where no single name stands on all ways
// to n and on all ways back (Menger). Such a name would be on the one way that
// is looked at here.
func (r *resolver) returns(n *name) bool {
	start := r.graph[0]
	if way(n, n, nil) == nil {
		return false
	}
	if n == start {
		return true
	}
	for _, u := range append(way(start, n, nil), start) {
		if u == n || u != start && way(start, n, u) != nil {
			continue
		}
		if way(n, n, u) == nil {
			return false
		}
	}
	return true
}

// way returns the names on a shortest way between two, from left out and to
// included, that does not touch without; nil where there is none.
func way(from, to, without *name) []*name {
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

// trace gives every target at another host the names that lead to it.
func (r *resolver) trace() {
	into := map[*name][]*name{}
	for _, n := range r.graph {
		for _, next := range n.leads {
			into[next] = append(into[next], n)
		}
	}
	for i := range r.targets {
		t := &r.targets[i]
		if t.Kind != Remote {
			continue
		}
		found := map[*name]bool{}
		for queue := slices.Clone(r.above[key(t.Addr)]); len(queue) > 0; queue = queue[1:] {
			if !found[queue[0]] {
				found[queue[0]] = true
				queue = append(queue, into[queue[0]]...)
			}
		}
		for _, n := range r.graph {
			if found[n] {
				t.Through = append(t.Through, key(n.row))
			}
		}
	}
}
