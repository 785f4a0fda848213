package mailctl

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// ages are the columns of a summary: an entry counts in the first that it is not older
// than, or in a last one for all that are older.
var ages = [...]time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute,
	160 * time.Minute, 320 * time.Minute, 640 * time.Minute, 1280 * time.Minute}

// summed is a row of a summary.
type summed struct {
	Domain string             `json:"domain"`
	Total  int                `json:"total"`
	ByAge  [len(ages) + 1]int `json:"by_age"`
}

// Summary prints how many recipients wait for each domain, by the age of their entries;
// or, by sender, how many entries come from each. The longest rows come first.
func (q Queue) Summary(bySender bool) error {
	list, err := outlined(q.Spool, q.Filter, q.Now)
	if err != nil {
		return err
	}
	rows := map[string]*summed{}
	all := &summed{Domain: "TOTAL"}
	for _, l := range list {
		at := column(q.Now.Sub(l.Arrival))
		for _, domain := range domainsOf(l, bySender) {
			if rows[domain] == nil {
				rows[domain] = &summed{Domain: domain}
			}
			for _, r := range []*summed{rows[domain], all} {
				r.Total++
				r.ByAge[at]++
			}
		}
	}
	sorted := slices.SortedFunc(maps.Values(rows), func(a, b *summed) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), strings.Compare(a.Domain, b.Domain))
	})
	return q.printSummary(append([]*summed{all}, sorted...))
}

func column(age time.Duration) int {
	for i, most := range ages {
		if age <= most {
			return i
		}
	}
	return len(ages)
}

// domainsOf returns the domains that an entry counts for.
func domainsOf(l spool.Listing, bySender bool) (list []string) {
	name := func(address string) string {
		if address == "" {
			return "MAILER-DAEMON"
		}
		_, domain := addr.Split(address)
		return cmp.Or(addr.FoldDomain(domain), "(no domain)")
	}
	switch {
	case l.Key == "":
	case bySender:
		list = append(list, name(l.Envelope.From.Addr))
	default:
		for _, r := range l.Envelope.To {
			if !r.Done {
				list = append(list, name(r.Addr))
			}
		}
	}
	return list
}

func (q Queue) printSummary(rows []*summed) error {
	if q.JSON {
		for _, r := range rows[1:] {
			if err := visible.JSON(q.Out, r); err != nil {
				return err
			}
		}
		return nil
	}
	wide := 20
	for _, r := range rows {
		wide = max(wide, len(visible.Escape(r.Domain)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%*s %6s", wide, "", "T")
	for _, most := range ages {
		fmt.Fprintf(&b, " %5d", most/time.Minute)
	}
	fmt.Fprintf(&b, " %5s\n", fmt.Sprintf("%d+", ages[len(ages)-1]/time.Minute))
	for _, r := range rows {
		fmt.Fprintf(&b, "%*s %6d", wide, visible.Escape(r.Domain), r.Total)
		for _, n := range r.ByAge {
			fmt.Fprintf(&b, " %5d", n)
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(q.Out, b.String())
	return err
}
