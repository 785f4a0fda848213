package mailctl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"paperpath/internal/spool"
)

const (
	silentAfter = time.Hour // how long mail has waited for a destination that is called silent
	silentNamed = 3         // destinations that are named
)

// silent names the destinations that mail has waited for, tried and in vain, while none was
// relayed to them. Each may be another's fault: it is worth a look.
func (s Status) silent(sp *spool.Spool, d *day) condition {
	c := condition{Level: levelOK, Part: "relay to", Text: "no destination is silent"}
	waiting := map[string]time.Time{} // domain to the oldest arrival
	entries, err := sp.Outline(spool.InboxRelay)
	for _, l := range entries {
		if l.State != "deferred" || s.Now.Sub(l.Arrival) < silentAfter {
			continue
		}
		for _, domain := range domainsOf(l, false) {
			if since, ok := waiting[domain]; !d.reached[domain] && (!ok || l.Arrival.Before(since)) {
				waiting[domain] = l.Arrival
			}
		}
	}
	if err != nil {
		c.Level, c.Text = levelFault, err.Error()
		return c
	}
	if len(waiting) == 0 {
		return c
	}
	sorted := slices.SortedFunc(maps.Keys(waiting), func(a, b string) int {
		if n := waiting[a].Compare(waiting[b]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	var words []string
	for _, domain := range sorted[:min(len(sorted), silentNamed)] {
		words = append(words, fmt.Sprintf("%s (for %s)", domain, span(s.Now.Sub(waiting[domain]))))
	}
	if len(sorted) > silentNamed {
		words = append(words, "...")
	}
	c.Level, c.Mend = levelNote, "mailctl queue summary counts what waits"
	c.Text = fmt.Sprintf("%s no mail since yesterday: %s",
		count(len(sorted), "destination took", "destinations took"), strings.Join(words, ", "))
	c.Facts = map[string]any{"destinations": len(sorted)}
	return c
}
