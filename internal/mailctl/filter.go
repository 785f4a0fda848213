package mailctl

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Filter selects entries of the queue: those that match all that is set. Texts match
// parts, in letters of either case.
type Filter struct {
	From    string // the sender; "<>" is the null one
	To      string // a recipient that is not done
	Address string // the sender or such a recipient
	Domain  string // of such a recipient; ".example.net" is every domain below it
	Reason  string // the last reason
	State   string // "new", "deferred", "held", "torn" or "foreign"
	Inbox   spool.Inbox
	Older   time.Duration // than this; 0: of any age
	Younger time.Duration
}

// Any reports whether the filter selects everything.
func (f Filter) Any() bool { return f == Filter{} }

// Check refuses names that no entry can have.
func (f Filter) Check() error {
	known := f.Inbox == ""
	var names []string
	for _, in := range spool.Inboxes() {
		known = known || in == f.Inbox
		names = append(names, string(in))
	}
	if !known {
		return status.UsageError("--inbox %q: there are %s", f.Inbox, strings.Join(names, ", "))
	}
	switch f.State {
	case "", "new", "deferred", "held", "torn", "foreign":
		return nil
	}
	return status.UsageError("--state %q: there are new, deferred, held, torn, foreign", f.State)
}

// matches reports whether an entry is selected.
func (f Filter) matches(l *spool.Listing, now time.Time) bool {
	age := now.Sub(l.Arrival)
	switch {
	case f.Inbox != "" && l.Inbox != f.Inbox, f.State != "" && l.State != f.State:
	case f.Older > 0 && (l.Arrival.IsZero() || age <= f.Older):
	case f.Younger > 0 && (l.Arrival.IsZero() || age >= f.Younger):
	case f.Reason != "" && !contains(l.LastReason, f.Reason):
	case f.From != "" && !f.sentBy(l, f.From):
	case f.To != "" && !goesTo(l, f.To):
	case f.Address != "" && !f.sentBy(l, f.Address) && !goesTo(l, f.Address):
	case f.Domain != "" && !goesBelow(l, addr.FoldDomain(f.Domain)):
	default:
		return true
	}
	return false
}

func (f Filter) sentBy(l *spool.Listing, text string) bool {
	if text == "<>" {
		return l.Key != "" && l.Envelope.From.Addr == ""
	}
	return contains(l.Envelope.From.Addr, text)
}

func goesTo(l *spool.Listing, text string) bool {
	for _, r := range l.Envelope.To {
		if !r.Done && contains(r.Addr, text) {
			return true
		}
	}
	return false
}

func goesBelow(l *spool.Listing, domain string) bool {
	for _, r := range l.Envelope.To {
		_, at := addr.Split(r.Addr)
		at = addr.FoldDomain(at)
		if !r.Done && (at == domain || strings.HasPrefix(domain, ".") && strings.HasSuffix(at, domain)) {
			return true
		}
	}
	return false
}

func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// selected returns the entries of all inboxes that a filter selects, inbox by inbox,
// oldest first, and the keys of all entries.
func selected(sp *spool.Spool, f Filter, now time.Time) (list []spool.Listing, keys []spool.Key, err error) {
	return selectedOf(sp.List, f, now)
}

// outlined is selected for who does not show the reasons, which take half the time.
func outlined(sp *spool.Spool, f Filter, now time.Time) ([]spool.Listing, error) {
	look := sp.Outline
	if f.Reason != "" {
		look = sp.List
	}
	list, _, err := selectedOf(look, f, now)
	return list, err
}

func selectedOf(look func(spool.Inbox) ([]spool.Listing, error), f Filter, now time.Time) (list []spool.Listing, keys []spool.Key, err error) {
	var found [][]spool.Listing
	for _, in := range spool.Inboxes() {
		entries, err := look(in)
		if err != nil {
			return nil, nil, fmt.Errorf("list %s: %w", in, err)
		}
		keys = slices.Grow(keys, len(entries))
		n := 0
		for i := range entries {
			if k := entries[i].Key; k != "" {
				keys = append(keys, k)
			}
			if !f.matches(&entries[i], now) {
				continue
			}
			if n < i {
				entries[n] = entries[i]
			}
			n++
		}
		if n > 0 {
			found = append(found, entries[:n])
		}
	}
	if len(found) == 1 { // large, as a rule
		return found[0], keys, nil
	}
	return slices.Concat(found...), keys, nil
}
