package route

import (
	"fmt"
	"slices"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// folded is a recipient at another host.
type folded struct {
	to      spool.Recipient
	roots   []int    // the recipients of the entry that lead to it by aliases
	through []string // those aliases
}

// join notes that recipient i leads to f too.
func (f *folded) join(i int, through []string) {
	if len(through) > 0 {
		f.roots = append(f.roots, i)
		f.through = append(f.through, through...)
	}
}

// groups returns the recipients at other hosts, those together to whom the same
// recipients of the entry lead. So nobody is told of an alias that the message
// did not come to them by, be it a blind copy's.
func groups(remote []folded) [][]folded {
	index := map[string]int{}
	var list [][]folded
	for _, f := range remote {
		k := fmt.Sprint(f.roots)
		at, there := index[k]
		if !there {
			at = len(list)
			index[k] = at
			list = append(list, nil)
		}
		list[at] = append(list[at], f)
	}
	return list
}

// passed are the aliases of a group.
func passed(group []folded) []string {
	var all []string
	for _, f := range group {
		all = append(all, f.through...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// foldKey is equal for recipients of whom one gets the message for all. They
// have one final address and the same parameters, for whoever asked for a
// report, or named an original recipient, is told about just that one.
// Extensions of one mailbox are one address too, where neither its owner sorts
// by them nor a report about each was asked for (RFC 3461 4.1).
func foldKey(t Target, to spool.Recipient) string {
	k := key(t.Addr)
	if t.Kind == Local && !sortsByExtension(t.User) && !wantsReport(to.Params) {
		k = addr.Fold(t.User.Address)
	}
	return string(t.Kind) + "\n" + k + "\n" + to.Params
}

// sortsByExtension reports whether what stands behind the + decides what
// becomes of mail in the mailbox of u, by rules of its owner or folders that are
// named so. No mailbox has either yet.
func sortsByExtension(*control.User) bool { return false }

// wantsReport reports whether parameters ask for a report by name: then each
// recipient is owed its own.
func wantsReport(words string) bool {
	list := params.Notify(words)
	return len(list) > 0 && list[0] != "NEVER"
}
