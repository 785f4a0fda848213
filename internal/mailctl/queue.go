package mailctl

import (
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// Queue shows the entries of all inboxes.
type Queue struct {
	Spool *spool.Spool
	Now   time.Time
	Out   io.Writer
	JSON  bool // print one object a line
}

// queued is an entry as --json prints it.
type queued struct {
	Inbox    spool.Inbox `json:"inbox"`
	Runner   bool        `json:"runner"` // a program is working on the inbox
	Key      string      `json:"key"`
	Name     string      `json:"name"`
	State    string      `json:"state"`
	Size     int64       `json:"size"`
	Arrival  *time.Time  `json:"arrival,omitempty"`
	Age      int64       `json:"age"` // seconds
	From     string      `json:"from"`
	To       []queuedTo  `json:"to"`
	Due      *time.Time  `json:"due,omitempty"` // absent: now
	Attempts int         `json:"attempts"`
	Reason   string      `json:"reason,omitempty"`
}

type queuedTo struct {
	Address string `json:"address"`
	Done    bool   `json:"done"`
}

// List prints the queue inbox by inbox, oldest entries first.
func (q Queue) List() error {
	empty := true
	for _, in := range spool.Inboxes() {
		list, err := q.Spool.List(in)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		empty = false
		running, err := q.Spool.Running(in)
		if err != nil {
			return err
		}
		if err := q.inbox(in, running, list); err != nil {
			return err
		}
	}
	if empty && !q.JSON {
		_, err := fmt.Fprintln(q.Out, "queue is empty")
		return err
	}
	return nil
}

func (q Queue) inbox(in spool.Inbox, running bool, list []spool.Listing) error {
	if q.JSON {
		for _, l := range list {
			if err := visible.JSON(q.Out, q.object(l, running)); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s/ %s", in, count(len(list), "entry", "entries"))
	if !running && in != spool.InboxHold { // hold/ is for people
		b.WriteString(", no runner")
	}
	b.WriteString("\n")
	for _, l := range list {
		q.entry(&b, l)
	}
	_, err := io.WriteString(q.Out, b.String())
	return err
}

func (q Queue) object(l spool.Listing, running bool) queued {
	o := queued{Inbox: l.Inbox, Runner: running, Key: string(l.Key), Name: visible.Escape(l.Name),
		State: l.State, Size: l.Size, From: l.Envelope.From.Addr, To: []queuedTo{}, Attempts: l.Attempts,
		Reason: l.LastReason}
	if !l.Arrival.IsZero() {
		at := l.Arrival.UTC()
		o.Arrival, o.Age = &at, int64(q.Now.Sub(at)/time.Second)
	}
	if !l.Due.IsZero() {
		due := l.Due.UTC()
		o.Due = &due
	}
	for _, to := range l.Envelope.To {
		o.To = append(o.To, queuedTo{to.Addr, to.Done})
	}
	return o
}

// entry prints one entry: a line about it, then its envelope and what holds it up.
func (q Queue) entry(b *strings.Builder, l spool.Listing) {
	name := string(l.Key)
	if name == "" {
		name = l.Name
	}
	fmt.Fprintf(b, "%s  %s", visible.Escape(name), l.State)
	if l.Key != "" {
		fmt.Fprintf(b, "  %s  %s old", octets(l.Size), span(q.Now.Sub(l.Arrival)))
	}
	b.WriteString("\n")
	if l.Key != "" {
		fmt.Fprintf(b, "    from    <%s>\n", visible.Escape(l.Envelope.From.Addr))
	}
	for _, to := range l.Envelope.To {
		word := "to  "
		if to.Done {
			word = "done"
		}
		fmt.Fprintf(b, "    %s    <%s>\n", word, visible.Escape(to.Addr))
	}
	if l.Attempts > 0 {
		fmt.Fprintf(b, "    tried   %s, next %s\n", count(l.Attempts, "time", "times"), q.next(l))
	}
	if l.LastReason != "" {
		fmt.Fprintf(b, "    reason  %s\n", visible.Line(l.LastReason))
	}
}

// next says when the next attempt is due.
func (q Queue) next(l spool.Listing) string {
	switch wait := l.Due.Sub(q.Now); {
	case l.Inbox == spool.InboxHold:
		return "when it is released"
	case l.Due.IsZero() || wait <= 0:
		return "now"
	default:
		return fmt.Sprintf("in %s (%s)", span(wait), l.Due.UTC().Format("2006-01-02 15:04:05Z"))
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// octets formats a size with about three digits.
func octets(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f := float64(n)
	for f >= 1000 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

// span formats a duration in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	switch day := 24 * time.Hour; {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
