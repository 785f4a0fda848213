package dsn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/visible"
)

const (
	digestRows = 20 // of each table
	digestKeys = 50
)

// Held is a message that a digest is about.
type Held struct {
	Key    string // "" for a file that is not an entry
	Size   int64  // octets
	Since  time.Time
	Reason string
	From   string // reverse path
	Client string // IP address that it came from; "" where there is none
}

// Digest tells the postmaster what is held.
type Digest struct {
	Held     []Held   // oldest first
	Broken   []string // rows of tables that cannot be read
	Host, To string
	Now      time.Time
	Day      time.Time // names the digest
	Since    time.Time // of the digest before; zero where there is none
	Holdtime time.Duration
}

// Compose writes the digest. Auto-Submitted keeps responders away (RFC 3834 5).
func (d *Digest) Compose() []byte {
	var b strings.Builder
	host := bounded(d.Host)
	fmt.Fprintf(&b, "From: Mail Delivery System <MAILER-DAEMON@%s>\nTo: <%s>\n", host, visible.Field(d.To))
	fmt.Fprintf(&b, "Subject: Held mail at %s: %s\n", host, messages(len(d.Held)))
	fmt.Fprintf(&b, "Date: %s\nMessage-ID: <digest.%d@%s>\n", date(d.Now), d.Day.UnixNano(), host)
	b.WriteString("Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n")
	fmt.Fprintf(&b, "This is the mail system at %s.\n\n", host)
	b.WriteString(wrap("", "", d.lead()))
	d.table(&b, "By reason:", func(e Held) string { return withoutAddresses(e.Reason) })
	d.table(&b, "By sending host:", func(e Held) string { return cmp.Or(e.Client, "local or unknown") })
	d.keys(&b)
	d.rows(&b)
	b.WriteString(wrap("\n", "", "mailctl queue show KEY prints a message, release lets it go on, "+
		"bounce returns it to its sender, remove deletes it."))
	return []byte(b.String())
}

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// lead says how much is held and what becomes of it.
func (d *Digest) lead() string {
	var octets int64
	recent := 0
	for _, e := range d.Held {
		octets += e.Size
		if e.Since.After(d.Since) {
			recent++
		}
	}
	text := fmt.Sprintf("Mail that can be neither delivered nor returned waits in hold/: %s, %d octets.",
		messages(len(d.Held)), octets)
	if !d.Since.IsZero() {
		text += fmt.Sprintf(" %d of them arrived after the last digest, of %s.", recent, date(d.Since))
	}
	if d.Holdtime > 0 {
		text += fmt.Sprintf(" Held mail is removed after %s (control/holdtime).", days(d.Holdtime))
	}
	return text
}

// table counts the messages by a text of each, the most frequent first.
func (d *Digest) table(b *strings.Builder, title string, textOf func(Held) string) {
	counts := map[string]int{}
	for _, e := range d.Held {
		counts[bounded(textOf(e))]++
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

// keys lists the latest messages.
func (d *Digest) keys(b *strings.Builder) {
	latest := d.Held[max(len(d.Held)-digestKeys, 0):]
	b.WriteString("\nLatest first:\n")
	for _, e := range slices.Backward(latest) {
		fmt.Fprintf(b, "%s  %s  ", cmp.Or(e.Key, "(no entry)"), e.Since.UTC().Format("2006-01-02 15:04"))
		fmt.Fprintf(b, "from <%s>\n", bounded(e.From))
	}
	if n := len(d.Held) - len(latest); n > 0 {
		fmt.Fprintf(b, "and %d more (mailctl queue lists all)\n", n)
	}
}

// rows lists the broken rows of tables: the mail that they delay is not held, so
// nothing else in the digest shows it.
func (d *Digest) rows(b *strings.Builder) {
	if len(d.Broken) == 0 {
		return
	}
	b.WriteString("\nBroken rows of tables (see control(5)):\n")
	for i, row := range d.Broken {
		if i == digestRows {
			fmt.Fprintf(b, "and %d more (mailctl check lists all)\n", len(d.Broken)-i)
			break
		}
		b.WriteString(wrap("", "  ", bounded(row)))
	}
}

// withoutAddresses is a reason with its addresses left out, so that reasons
// which differ only in these are counted together.
func withoutAddresses(reason string) string {
	if reason == "" {
		return "unknown reason"
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
