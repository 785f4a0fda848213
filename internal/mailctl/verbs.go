package mailctl

import (
	"fmt"
	"io"
	"strings"

	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Verbs are what a person can do with single entries.
type Verbs struct {
	Spool   *spool.Spool
	Settler *settle.Settler
	Host    string
	Out     io.Writer
	Errors  io.Writer // all but the first
	Reason  string    // of hold and bounce, in the person's words
}

// Each applies verb to every key and continues after one that fails. It returns the
// first error.
func (v Verbs) Each(verb string, keys []string) error {
	var first error
	find := v.Spool.Finder()
	for _, text := range keys {
		err := v.one(find, verb, text)
		if err != nil && first == nil {
			first = err
		} else if err != nil {
			fmt.Fprintf(v.Errors, "mailctl: %s\n", visible.Line(err.Error()))
		}
	}
	return first
}

// one applies verb to one key; a file name that begins with the key will do.
func (v Verbs) one(find *spool.Finder, verb, text string) error {
	text, _, _ = strings.Cut(text, ",")
	k, err := spool.ParseKey(text)
	if err != nil {
		return status.UsageError("%v (mailctl queue lists them)", err)
	}
	e, err := find.Find(k)
	if err != nil {
		return err
	}
	defer e.Close()
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
