package trace

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/visible"
)

// Life is what happened to a message, its children and the reports about it.
type Life struct{ steps []step }

// Print writes a life for people: the message, one line an event with the time since the
// event before it, and what became of each recipient.
func (l Life) Print(out io.Writer, now time.Time) error {
	var b strings.Builder
	if l.steps[0].key == maillog.NoKey {
		b.WriteString("not accepted\n")
	} else {
		b.WriteString(visible.Escape(root([]byte(l.steps[0].key))) + "\n")
	}
	p := printer{key: root([]byte(l.steps[0].key))}
	for _, s := range l.steps {
		p.line(&b, s)
	}
	for _, line := range l.outcome(now) {
		b.WriteString("=> " + visible.Line(line) + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// printer prints the events of one life after the other.
type printer struct {
	key  string // of the event before
	last time.Time
}

// line prints an event. A key that differs from the one before is printed above it, a
// child's by its suffix alone.
func (p *printer) line(b *strings.Builder, s step) {
	if s.key != p.key {
		fmt.Fprintf(b, "  %s\n", visible.Escape(s.key))
		p.key = s.key
	}
	since := ""
	if !p.last.IsZero() {
		since = "+" + short(s.at.Sub(p.last))
	}
	p.last = s.at
	fmt.Fprintf(b, "    %s  %8s  %-11s  %s", s.at.Format("2006-01-02 15:04:05.000"), since,
		visible.Escape(s.prog), visible.Escape(s.event))
	for _, v := range s.values {
		fmt.Fprintf(b, " %s=%s", visible.Escape(v.name), quoted(v.text))
	}
	b.WriteString("\n")
}

// quoted returns a value as it is or, if it has blanks or is empty, in quotes; nothing in
// it is obeyed by a terminal.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=") {
		return visible.Line(strconv.Quote(s))
	}
	return visible.Line(s)
}

// short formats a duration with at most four characters and its unit.
func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0fm", d.Minutes())
	case d < 100*time.Hour:
		return fmt.Sprintf("%.0fh", d.Hours())
	}
	return fmt.Sprintf("%.0fd", d.Hours()/24)
}

// fate is what became of a recipient.
type fate struct {
	to, text string
	entry    string // that has the recipient
	done     bool
	at       time.Time
}

// fates follows the recipients of a life through its events.
type fates struct{ list []*fate }

// outcome says what became of each recipient, and for how long the message has been here.
func (l Life) outcome(now time.Time) (lines []string) {
	var f fates
	for _, s := range inOrder(l.steps) {
		f.follow(s)
	}
	began := l.steps[0].at
	for _, r := range f.list {
		if r.done {
			lines = append(lines, fmt.Sprintf("%s: %s, after %s", r.to, r.text, short(r.at.Sub(began))))
		} else {
			lines = append(lines, fmt.Sprintf("%s: %s, for %s now", r.to, r.text, short(now.Sub(r.at))))
		}
	}
	return lines
}

// inOrder returns the steps of a life as they followed from each other. A program writes that
// it has accepted or split a message when that is done, and then the next one may have
// written what it did with it.
func inOrder(steps []step) []step {
	first := map[string]int{} // of an entry, the step that gave it a state
	for i, s := range steps {
		if s.event == "split" {
			first[s.value("child")] = i
		} else if _, known := first[s.key]; !known && s.event == "accepted" {
			first[s.key] = i
		}
	}
	taken := make([]bool, len(steps))
	var list []step
	var take func(i int)
	take = func(i int) {
		if taken[i] {
			return
		}
		taken[i] = true
		if begun, ok := first[steps[i].key]; ok {
			take(begun)
		}
		list = append(list, steps[i])
	}
	for i := range steps {
		take(i)
	}
	return list
}

// follow notes what an event means for the recipients that it is about.
func (f *fates) follow(s step) {
	in := s.value("inbox") + "/"
	switch s.event {
	case "accepted", "routed":
		f.set(s, "in "+in, false)
	case "split":
		f.replace(s, in)
	case "delivered":
		f.set(s, "delivered to "+s.value("mailbox"), true)
	case "relayed":
		f.set(s, fmt.Sprintf("accepted by %s: %s", s.value("host"), s.value("reply")), true)
	case "refused":
		f.set(s, "refused: "+s.value("reply"), true)
	case "failed":
		f.set(s, fmt.Sprintf("failed: %s %s", s.value("status"), s.value("reason")), true)
	case "deferred":
		f.all(s, fmt.Sprintf("deferred in %s until %s: %s", in, s.value("due"), s.value("reason")), false)
	case "held":
		where := "it was in " + in
		if s.prog == "mailsubmit" { // it was never in check/
			where = "since it was accepted"
		}
		f.all(s, "held, "+where+": "+s.value("reason"), false)
	case "dropped":
		if s.value("why") != "" {
			f.all(s, "dropped: "+s.value("why"), true)
		}
	}
}

// set gives the recipients that an event names a new state.
func (f *fates) set(s step, text string, done bool) {
	for to := range strings.FieldsSeq(s.value("to")) {
		i := slices.IndexFunc(f.list, func(r *fate) bool { return r.entry == s.key && r.to == to })
		if i < 0 {
			f.list = append(f.list, &fate{to: to})
			i = len(f.list) - 1
		}
		r := f.list[i]
		r.entry, r.text, r.done, r.at = s.key, text, done, s.at
	}
}

// all gives those recipients of an entry that are not done a new state.
func (f *fates) all(s step, text string, done bool) {
	for _, r := range f.list {
		if r.entry == s.key && !r.done {
			r.text, r.done, r.at = text, done, s.at
		}
	}
}

// replace puts a child's recipients in the place of its parent's: an alias may have
// changed their addresses. The first child of a parent takes them out.
func (f *fates) replace(s step, in string) {
	f.list = slices.DeleteFunc(f.list, func(r *fate) bool { return r.entry == s.key && !r.done })
	child := s
	child.key = s.value("child")
	f.set(child, "in "+in, false)
}

// JSON writes the events of a life, one object a line, with the key of the message that
// they are all about as "message".
func (l Life) JSON(out io.Writer) error {
	message := root([]byte(l.steps[0].key))
	for _, s := range l.steps {
		if err := s.json(out, message); err != nil {
			return err
		}
	}
	return nil
}

func (s step) json(out io.Writer, message string) error {
	o := map[string]string{"message": message, "time": s.time, "prog": s.prog, "event": s.event, "key": s.key}
	for _, v := range s.values {
		if _, taken := o[v.name]; !taken {
			o[v.name] = v.text
		}
	}
	return visible.JSON(out, o)
}
