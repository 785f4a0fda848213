package dsn

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/spool"
)

// What lies in hold/ is told to the postmaster once a day.

const (
	digestEvery = 24 * time.Hour
	digestRows  = 20 // of each table
	digestKeys  = 50
)

// Digest sends the postmaster a list of what is held, where run/digest is older
// than a day. It is for each runner to call: the first one does it. The digest is
// durable under a key that names its day before the day is noted, so that a crash
// between the two repeats none.
func (s *Settler) Digest(sp *spool.Spool) error {
	path := filepath.Join(s.Home, "run", "digest")
	st, err := os.Lstat(path)
	if err == nil && st.Size() > 0 && s.young(st.ModTime()) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("digest: %w", err)
	}
	f, err := dir.TryLocked(path)
	if errors.Is(err, dir.ErrLocked) {
		return nil // another runner is at it
	}
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	defer f.Close() // and with it the lock goes
	if st, err = f.Stat(); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	last := time.Time{}
	if st.Size() > 0 {
		last = st.ModTime()
	}
	return s.digest(sp, f, last)
}

// young reports whether less than a day has passed since then.
func (s *Settler) young(then time.Time) bool {
	age := s.Now().Sub(then)
	return age < digestEvery && age > -digestEvery
}

// digest sends one if it is due. last is zero where the home is new, or run/ was
// lost: then the oldest entry stands for it, and where that is young the day
// begins now. With nothing to tell the record stays: the next thing is told at once.
func (s *Settler) digest(sp *spool.Spool, record *os.File, last time.Time) error {
	var held []spool.HeldEntry
	err := sp.EachHeld(func(e spool.HeldEntry) { held = append(held, e) })
	if err != nil {
		return err
	}
	slices.SortStableFunc(held, func(a, b spool.HeldEntry) int { return a.Since.Compare(b.Since) })
	fresh := last.IsZero()
	if fresh && len(held) > 0 {
		last = held[0].Since
	}
	now := s.Now()
	if last.IsZero() || last.After(now) || fresh && s.young(last) {
		return note(record, now)
	}
	if len(held) == 0 || s.young(last) {
		return nil
	}
	slot := last.Add(now.Sub(last).Truncate(digestEvery))
	since := last
	if fresh {
		since = time.Time{}
	}
	if err := s.sendDigest(sp, held, slot, since); err != nil {
		return err
	}
	return note(record, now)
}

// note writes the time of a digest into the record.
func note(record *os.File, now time.Time) error {
	text := now.UTC().Format(time.RFC3339) + "\n"
	_, err := record.WriteAt([]byte(text), 0)
	if err == nil {
		err = os.Chtimes(record.Name(), now, now)
	}
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	return nil
}

func (s *Settler) sendDigest(sp *spool.Spool, held []spool.HeldEntry, slot, since time.Time) error {
	host, err := s.Control.Hostname()
	if err != nil {
		return err
	}
	holdtime, err := s.Control.Holdtime()
	if err != nil {
		return err
	}
	domains, err := s.Control.Domains()
	if err != nil {
		return err
	}
	to := "postmaster@" + append(domains, host)[0]
	d := digest{held: held, host: printable(host), to: to, now: s.Now(), slot: slot, since: since, holdtime: holdtime}
	d.broken, _ = s.Control.Faults() // a table that cannot be read is told by who needs it
	d.broken = slices.DeleteFunc(d.broken, func(f control.Fault) bool { return f.Dead })
	k, placed, err := sp.PlaceDigest(slot, to, d.compose())
	if placed {
		s.Log.Digest(string(k), to, len(held))
	}
	return err
}

// digest writes one.
type digest struct {
	held     []spool.HeldEntry // oldest first
	host, to string
	now      time.Time
	slot     time.Time // names the digest
	since    time.Time // of the one before; zero where there is none
	holdtime time.Duration
	broken   []control.Fault // rows of tables
}

// compose makes the message. Auto-Submitted keeps responders away (RFC 3834 5).
func (d *digest) compose() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "From: Mail Delivery System <MAILER-DAEMON@%s>\nTo: <%s>\n", d.host, printableUTF8(d.to))
	fmt.Fprintf(&b, "Subject: On hold at %s: %s\n", d.host, messages(len(d.held)))
	fmt.Fprintf(&b, "Date: %s\nMessage-ID: <digest.%d@%s>\n", date(d.now), d.slot.UnixNano(), d.host)
	b.WriteString("Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n")
	fmt.Fprintf(&b, "This is the mail system at %s.\n\n", d.host)
	b.WriteString(wrap("", "", d.lead()))
	d.table(&b, "By reason:", func(e spool.HeldEntry) string { return kindOfReason(e.Reason) })
	d.table(&b, "By the host that sent it:", func(e spool.HeldEntry) string { return cmp.Or(e.Client, "this one, or none is known") })
	d.keys(&b)
	d.rows(&b)
	b.WriteString(wrap("\n", "", "mailctl queue show KEY prints one, release sends it on, bounce returns it, remove ends it."))
	return []byte(b.String())
}

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// lead says how much there is and what becomes of it.
func (d *digest) lead() string {
	var octets int64
	fresh := 0
	for _, e := range d.held {
		octets += e.Size
		if e.Since.After(d.since) {
			fresh++
		}
	}
	text := fmt.Sprintf("In hold/ there is mail that could be neither delivered nor returned: %s, %d octets.",
		messages(len(d.held)), octets)
	if !d.since.IsZero() {
		text += fmt.Sprintf(" Of these %d came since the last digest, of %s.", fresh, date(d.since))
	}
	if d.holdtime > 0 {
		text += fmt.Sprintf(" What nobody looks at is removed %s after it came there (control/holdtime).", days(d.holdtime))
	}
	return text
}

// table counts the entries by what of says, the most frequent first.
func (d *digest) table(b *strings.Builder, title string, of func(spool.HeldEntry) string) {
	counts := map[string]int{}
	for _, e := range d.held {
		counts[printable(of(e))]++
	}
	var list []string
	for text := range counts {
		list = append(list, text)
	}
	slices.SortFunc(list, func(a, c string) int { return cmp.Or(counts[c]-counts[a], strings.Compare(a, c)) })
	b.WriteString("\n" + title + "\n")
	for i, text := range list {
		if i == digestRows {
			fmt.Fprintf(b, "        and %d more\n", len(list)-i)
			break
		}
		b.WriteString(wrap(fmt.Sprintf("%6d  ", counts[text]), "        ", text))
	}
}

// keys lists the latest entries.
func (d *digest) keys(b *strings.Builder) {
	latest := d.held[max(len(d.held)-digestKeys, 0):]
	b.WriteString("\nThe latest:\n")
	for i := len(latest) - 1; i >= 0; i-- {
		e := latest[i]
		fmt.Fprintf(b, "%s  %s  ", cmp.Or(string(e.Key), "(no entry)"), e.Since.UTC().Format("2006-01-02 15:04"))
		fmt.Fprintf(b, "from <%s>\n", printable(e.From))
	}
	if n := len(d.held) - len(latest); n > 0 {
		fmt.Fprintf(b, "and %d more (mailctl queue lists all)\n", n)
	}
}

// rows lists the rows of tables that are broken: what they delay is not held, and
// would be told nowhere else.
func (d *digest) rows(b *strings.Builder) {
	if len(d.broken) == 0 {
		return
	}
	b.WriteString("\nRows of tables that are broken (see control(5)):\n")
	for i, f := range d.broken {
		if i == digestRows {
			fmt.Fprintf(b, "and %d more (mailctl check names all)\n", len(d.broken)-i)
			break
		}
		b.WriteString(wrap("", "  ", printable(f.String())))
	}
}

// kindOfReason is a reason without the addresses in it, so that those which
// differ in nothing else are counted together.
func kindOfReason(reason string) string {
	if reason == "" {
		return "no reason is known"
	}
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(reason, "<")
		b.WriteString(before)
		inside, after, closed := strings.Cut(rest, ">")
		if !open || !closed {
			if open {
				b.WriteString("<" + rest)
			}
			return b.String()
		}
		if strings.Contains(inside, "@") {
			inside = "..."
		}
		b.WriteString("<" + inside + ">")
		reason = after
	}
}
