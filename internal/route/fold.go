package route

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// folded is a recipient elsewhere.
type folded struct {
	to      spool.Recipient
	from    spool.Path // the reverse path that it gets
	held    string     // why it goes to hold/, "" if it does not
	roots   []int      // the recipients of the entry that lead to it through aliases
	through []string   // those aliases
}

// join notes that recipient i leads to f as well.
func (f *folded) join(i int, through []string) {
	if len(through) > 0 {
		f.roots = append(f.roots, i)
		f.through = append(f.through, through...)
	}
}

// inbox is where f goes.
func (f folded) inbox() spool.Inbox {
	if f.held != "" {
		return spool.InboxHold
	}
	return spool.InboxRelay
}

// holdReason is why a target goes to hold/, "" if it does not.
func holdReason(t Target) string {
	if t.Kind != Held {
		return ""
	}
	return t.Route.Where + " holds mail for " + t.Route.Key + " (change the row, then release it)"
}

// groups puts those recipients elsewhere together to whom the same recipients of the
// entry lead, apart from those that are held for another reason. So no host learns of an alias that did not lead to it, which
// may be a blind copy's.
func groups(remote []folded) [][]folded {
	index := map[string]int{}
	var list [][]folded
	for _, f := range remote {
		k := fmt.Sprint(f.roots, f.held, f.from)
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

// foldKey is the same for recipients that get one message together. They have the
// same final address and the same parameters, since a report is about one recipient
// and its ORCPT. Extensions of one mailbox count as one address, unless its owner
// sorts by them or a report about each was requested (RFC 3461 4.1).
func foldKey(t Target, to spool.Recipient) string {
	k := key(t.Addr)
	if t.Kind == Local && k != addr.Fold(t.User.Address) && !sortsByExtension(t.User) && !wantsReport(to.Params) {
		k = addr.Fold(t.User.Address)
	}
	return string(t.Kind) + "\n" + k + "\n" + to.Params
}

// sortsByExtension reports whether the extension decides what happens to mail in the mailbox
// of u: by folders of that name, or by rules of its owner. This stage may not be able to read
// those; then the extensions count.
func sortsByExtension(u *control.User) bool {
	if u.Folders {
		return true
	}
	d, err := os.Open(u.Home)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		return true
	}
	defer d.Close()
	names, err := d.Readdirnames(maxHome)
	return err != nil && !errors.Is(err, io.EOF) || len(names) == maxHome || slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, ".qmail-") || strings.HasPrefix(name, ".forward+")
	})
}

// maxHome is how many files of a home are looked at.
const maxHome = 1000

// wantsReport reports whether parameters ask for a report: then each recipient gets
// its own.
func wantsReport(words string) bool {
	list := params.Notify(words)
	return len(list) > 0 && list[0] != "NEVER"
}
