package mailctl

import (
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Verbs are what a person can do with entries.
type Verbs struct {
	Spool   *spool.Spool
	Settler *settle.Settler
	Host    string
	Now     time.Time
	Out     io.Writer
	Errors  io.Writer // all but the first
	Reason  string    // of hold and bounce, in the person's words
}

// Each applies verb to every key and continues after one that fails. It returns the
// first error.
func (v Verbs) Each(verb string, keys []string) error {
	f := failures{out: v.Errors}
	find := v.Spool.Finder()
	for _, text := range keys {
		f.add(v.one(find, verb, text))
	}
	return f.first
}

// Selected applies verb to every entry that the filter selects, continues after one that
// fails, and says how many there were. dry only prints them. It returns the first error.
func (v Verbs) Selected(verb string, filter Filter, dry bool) error {
	switch { // what the verb is for
	case filter.State != "":
	case verb == "retry":
		filter.State = "deferred"
	case verb == "release":
		filter.State = "held"
	}
	if dry {
		return Queue{Spool: v.Spool, Now: v.Now, Out: v.Out, Filter: filter}.List()
	}
	list, err := outlined(v.Spool, filter, v.Now)
	if err != nil {
		return err
	}
	f := failures{out: v.Errors}
	bar := newProgress(v.Errors, verb, len(list))
	done := 0
	for _, l := range list {
		err := v.listed(verb, l)
		if f.add(err); err == nil {
			done++
		}
		bar.step()
	}
	bar.end()
	line := fmt.Sprintf("%s: %s", verb, count(done, "entry", "entries"))
	if f.n > 0 {
		line += fmt.Sprintf(", %d failed", f.n)
	}
	if _, err := fmt.Fprintln(v.Out, line); err != nil {
		return err
	}
	return f.first
}

// failures prints all errors but the first, and at most so many.
type failures struct {
	out   io.Writer
	n     int
	first error
}

const maxFailures = 100

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.n++
	switch {
	case f.first == nil:
		f.first = err
	case f.n <= maxFailures:
		fmt.Fprintf(f.out, "mailctl: %s\n", visible.Line(err.Error()))
	case f.n == maxFailures+1:
		fmt.Fprintln(f.out, "mailctl: further errors are not shown")
	}
}

// one applies verb to one key; a file name that begins with the key will do, and so will
// the beginning of its random digits.
func (v Verbs) one(find *spool.Finder, verb, text string) error {
	text, _, _ = strings.Cut(text, ",")
	var e *spool.Entry
	k, err := spool.ParseKey(text)
	switch {
	case err == nil:
		e, err = find.Find(k)
	case len(text) >= shortTag && spool.IsTag(text):
		e, err = find.Tagged(text)
	default:
		err = status.UsageError("%v (mailctl queue lists them; --all selects all)", err)
	}
	if err != nil {
		return err
	}
	defer e.Close()
	return v.apply(verb, e)
}

// listed applies verb to an entry of a list. One that has gone in the meantime needs
// nothing.
func (v Verbs) listed(verb string, l spool.Listing) error {
	if l.Key == "" {
		return status.Refuse("5.0.0", fmt.Sprintf("%s is no entry: %s", l.Name, l.LastReason))
	}
	e, err := v.Spool.Listed(l)
	if err != nil {
		return err
	}
	defer e.Close()
	return v.apply(verb, e)
}

func (v Verbs) apply(verb string, e *spool.Entry) error {
	switch verb {
	case "show":
		return v.show(e)
	case "retry":
		return v.Spool.Retry(e)
	case "hold":
		return v.Spool.HoldByHand(e, v.reason("to be looked at"))
	case "release":
		return v.Spool.Release(e)
	case "reroute":
		return v.Spool.Reroute(e)
	case "remove":
		return v.Spool.Remove(e)
	case "bounce":
		return v.bounce(e)
	}
	return status.UsageError("unknown verb %q", verb)
}

func (v Verbs) reason(otherwise string) string {
	if v.Reason != "" {
		return v.Reason
	}
	return otherwise
}

// bounce moves the entry to hold/, so that no stage works on it, and then sends the
// bounce. A crash between the two leaves it held; the key of the bounce is derived
// from the entry's, so a repetition sends no second one.
func (v Verbs) bounce(e *spool.Entry) error {
	why := v.reason("returned by the postmaster of " + v.Host)
	if err := v.Spool.HoldByHand(e, "bounced by hand: "+why); err != nil {
		return err
	}
	held, err := v.Spool.Find(e.Key)
	if err != nil {
		return err
	}
	defer held.Close()
	var results []settle.Result
	for _, i := range held.Pending() {
		results = append(results, settle.Result{Index: i,
			Err: &status.Error{Exit: status.Unavailable, Reply: 554, Enhanced: "5.0.0", Text: why}})
	}
	o := v.Settler.Settle(held, results)
	if err := v.Spool.Apply(held, o); err != nil {
		return err
	}
	switch stays := fmt.Sprintf("%s stays in hold/: %s", e.Key, o.Reason); o.Action {
	case spool.Defer: // our own trouble
		return status.Temp("4.3.0", stays, nil)
	case spool.Hold:
		return status.Refuse("5.0.0", stays)
	}
	return nil
}

// show prints all that is known about an entry, then its message, escaped so that a
// terminal obeys nothing in it.
func (v Verbs) show(e *spool.Entry) error {
	var b strings.Builder
	fmt.Fprintf(&b, "key       %s\ninbox     %s\nstate     %s\nwith      %s\narrival   %s\nsize      %d\n",
		e.Key, e.Inbox, e.State(),
		visible.Escape(e.With), e.Arrival.UTC().Format("2006-01-02T15:04:05Z"), e.Size)
	fmt.Fprintf(&b, "from      <%s>%s\n", visible.Escape(e.Envelope.From.Addr),
		params(e.Envelope.From.Params))
	for _, r := range e.Envelope.To {
		done := ""
		if r.Done {
			done = " (done)"
		}
		fmt.Fprintf(&b, "to        <%s>%s%s\n", visible.Escape(r.Addr), params(r.Params), done)
	}
	reasons, err := e.Reasons()
	if err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimRight(reasons, "\n"), "\n") {
		if line != "" {
			fmt.Fprintf(&b, "reason    %s\n", visible.Line(line))
		}
	}
	if _, err := io.WriteString(v.Out, b.String()+"\n"); err != nil {
		return err
	}
	return visible.Copy(v.Out, e.Content())
}

func params(p string) string {
	if p == "" {
		return ""
	}
	return " " + visible.Escape(p)
}

// CheckSpool prints what Inspect finds, and with repair it repairs what it can. ages
// reports whether the age of a file can be relied on, and is asked before a file is
// removed because of its age. An error, exit status 65, means that findings are left.
func CheckSpool(sp *spool.Spool, out io.Writer, repair bool, ages func() bool) error {
	found, err := sp.Inspect()
	if err != nil {
		return err
	}
	left := 0
	for _, f := range found {
		done, mended := "--repair would "+f.Remedy, false
		if f.Remedy == "" {
			done = "left as it is, needs manual repair"
		} else if repair {
			done, mended = mend(f, ages)
		}
		if !mended {
			left++
		}
		if _, err := fmt.Fprintf(out, "%s: %s; %s\n", visible.Escape(f.Path), visible.Escape(f.What),
			visible.Escape(done)); err != nil {
			return err
		}
	}
	switch {
	case left > 0:
		return status.Refuse("5.0.0", fmt.Sprintf("%d of %d findings are left", left, len(found)))
	case len(found) == 0:
		_, err = fmt.Fprintln(out, "the spool is clean")
	}
	return err
}

// mend applies the remedy of a finding, and says how that went.
func mend(f spool.Finding, ages func() bool) (done string, mended bool) {
	if f.Aged && !ages() {
		return "left for now: its age is not reliable, see the log", false
	}
	if err := f.Repair(); err != nil {
		return fmt.Sprintf("repair failed: %v", err), false
	}
	return "repaired: " + f.Remedy, true
}
