package mailctl

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/inorder"
	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// Queue shows the entries of all inboxes.
type Queue struct {
	Spool  *spool.Spool
	Now    time.Time
	Out    io.Writer
	Filter Filter
	JSON   bool // print one object a line
	Long   bool // print all recipients and the whole reason
}

// queued is an entry as --json prints it.
type queued struct {
	Inbox    spool.Inbox `json:"inbox"`
	Runner   bool        `json:"runner"` // a program is working on the inbox
	Key      string      `json:"key"`
	ID       string      `json:"id"` // the beginning of the key's random digits that no other has
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

// List prints the queue inbox by inbox, oldest entries first, and what it amounts to.
func (q Queue) List() error {
	list, keys, err := selected(q.Spool, q.Filter, q.Now)
	if err != nil {
		return err
	}
	ids := shortest(keys)
	out := bufio.NewWriter(q.Out)
	var sum total
	for _, in := range spool.Inboxes() {
		n := 0
		for n < len(list) && list[n].Inbox == in {
			n++
		}
		if n == 0 {
			continue
		}
		running, err := q.Spool.Running(in)
		if err != nil {
			return err
		}
		if err := q.inbox(out, in, running, list[:n], ids); err != nil {
			return err
		}
		sum.add(list[:n])
		list = list[n:]
	}
	if !q.JSON {
		fmt.Fprintln(out, q.totalText(sum))
	}
	return out.Flush()
}

func (q Queue) inbox(out *bufio.Writer, in spool.Inbox, running bool, list []spool.Listing, ids shortKeys) error {
	if !q.JSON {
		fmt.Fprintf(out, "%s/ %s", in, count(len(list), "entry", "entries"))
		if !running && in != spool.InboxHold { // hold/ is for people
			fmt.Fprint(out, ", no runner")
		}
		fmt.Fprintln(out)
	}
	return inorder.Write(out, len(list), func(b []byte, i int) ([]byte, error) {
		l := &list[i]
		if !q.JSON && !q.Long {
			return q.line(b, l, ids.of(l.Key)), nil
		}
		text := bytes.NewBuffer(b)
		if q.Long && !q.JSON {
			q.entry(text, l)
			return text.Bytes(), nil
		}
		err := visible.JSON(text, q.object(l, running, ids.of(l.Key)))
		return text.Bytes(), err
	})
}

// maxWhy bounds the reason in a line, in octets.
const maxWhy = 100

// line appends an entry in one line: its short key, state, size, age, sender, recipients
// that are not done, and what it waits for. There may be very many.
func (q Queue) line(b []byte, l *spool.Listing, id string) []byte {
	if l.Key == "" {
		return fmt.Appendf(b, "%s  %s: %s\n", visible.Escape(l.Name), l.State, visible.Line(l.LastReason))
	}
	to, more := "", 0
	for _, r := range l.Envelope.To {
		switch {
		case r.Done:
		case to == "":
			to = r.Addr
		default:
			more++
		}
	}
	size, age := octets(l.Size), span(q.Now.Sub(l.Arrival))
	b = blanks(append(b, id...), 2+max(8-len(id), 0))
	b = blanks(append(b, l.State...), 1+max(8-len(l.State), 0)+max(9-len(size), 0))
	b = append(blanks(append(b, size...), 1+max(6-len(age), 0)), age...)
	b = append(append(b, "  <"...), visible.Escape(l.Envelope.From.Addr)...)
	b = append(append(append(b, "> <"...), visible.Escape(to)...), '>')
	if more > 0 {
		b = strconv.AppendInt(append(b, " +"...), int64(more), 10)
	}
	if l.Attempts > 0 && l.Inbox != spool.InboxHold { // there nobody tries
		b = strconv.AppendInt(append(b, "  tried "...), int64(l.Attempts), 10)
		b = q.appendNext(append(b, ", next "...), l)
	}
	if l.LastReason != "" {
		b = append(append(b, "  "...), visible.Shorten(visible.Line(why(l.LastReason)), maxWhy)...)
	}
	return append(b, '\n')
}

func blanks(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

// why returns a line of a reason without the inbox and the time in front.
func why(reason string) string {
	if _, after, ok := strings.Cut(reason, ": "); ok {
		return after
	}
	return reason
}

// total is what a list of entries amounts to.
type total struct {
	octets int64
	states map[string]int
}

func (t *total) add(list []spool.Listing) {
	if t.states == nil {
		t.states = map[string]int{}
	}
	for i := range list {
		t.octets += list[i].Size
		t.states[list[i].State]++
	}
}

// String returns, for example, "3 entries, 12.0 KiB: 1 new, 2 deferred".
func (t total) String() string {
	n := 0
	var words []string
	for _, state := range []string{"new", "deferred", "held", "torn", "foreign"} {
		if t.states[state] > 0 {
			n += t.states[state]
			words = append(words, fmt.Sprintf("%d %s", t.states[state], state))
		}
	}
	if n == 0 {
		return "no entry matches"
	}
	return fmt.Sprintf("%s, %s: %s", count(n, "entry", "entries"), octets(t.octets), strings.Join(words, ", "))
}

// totalText says what the list amounts to.
func (q Queue) totalText(t total) string {
	if len(t.states) == 0 && q.Filter.Any() {
		return "queue is empty"
	}
	return t.String()
}

func (q Queue) object(l *spool.Listing, running bool, id string) queued {
	o := queued{Inbox: l.Inbox, Runner: running, Key: string(l.Key), ID: id, Name: visible.Escape(l.Name),
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
func (q Queue) entry(b io.Writer, l *spool.Listing) {
	name := string(l.Key)
	if name == "" {
		name = l.Name
	}
	fmt.Fprintf(b, "%s  %s", visible.Escape(name), l.State)
	if l.Key != "" {
		fmt.Fprintf(b, "  %s  %s old", octets(l.Size), span(q.Now.Sub(l.Arrival)))
	}
	fmt.Fprintln(b)
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
		fmt.Fprintf(b, "    tried   %s, next %s\n", count(l.Attempts, "time", "times"), q.appendNext(nil, l))
	}
	if l.LastReason != "" {
		fmt.Fprintf(b, "    reason  %s\n", visible.Line(l.LastReason))
	}
}

// appendNext says when the next attempt is due.
func (q Queue) appendNext(b []byte, l *spool.Listing) []byte {
	switch wait := l.Due.Sub(q.Now); {
	case l.Inbox == spool.InboxHold:
		return append(b, "when it is released"...)
	case l.Due.IsZero() || wait <= 0:
		return append(b, "now"...)
	default:
		return l.Due.UTC().AppendFormat(append(append(b, "in "...), span(wait)...), " (2006-01-02 15:04:05Z)")
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
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[0]
}

// span formats a duration in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	two := func(a time.Duration, one string, b time.Duration, another string) string {
		return strconv.Itoa(int(a)) + one + strconv.Itoa(int(b)) + another
	}
	switch day := 24 * time.Hour; {
	case d >= day:
		return two(d/day, "d", d%day/time.Hour, "h")
	case d >= time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	case d >= time.Minute:
		return two(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}
