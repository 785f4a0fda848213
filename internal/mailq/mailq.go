// Package mailq shows the queue in the two layouts of Postfix that monitoring
// scripts read (mailq and postqueue -j), and flushes it as sendmail -q does.
package mailq

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/inorder"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// List prints the entries of all inboxes as mailq does. The mark after a key is * if a
// runner works on the inbox, and ! if the entry is held.
func List(sp *spool.Spool, out io.Writer, now time.Time) error {
	w := bufio.NewWriter(out)
	count, size := 0, int64(0)
	err := each(sp, func(list []spool.Listing, running bool) error {
		if count == 0 {
			fmt.Fprintf(w, "%-40s %8s %-20s %s\n",
				"-Queue ID-", "--Size--", "----Arrival Time----", "-Sender/Recipient-------")
		}
		for i := range list {
			count, size = count+1, size+list[i].Size
		}
		return inorder.Write(w, len(list), func(b []byte, i int) ([]byte, error) {
			return appendEntry(b, &list[i], running), nil
		})
	})
	if err != nil {
		return err
	}
	if count == 0 {
		fmt.Fprintln(w, "Mail queue is empty")
	} else {
		plural := "s"
		if count == 1 {
			plural = ""
		}
		fmt.Fprintf(w, "-- %d Kbytes in %d Request%s.\n", (size+1023)/1024, count, plural)
	}
	return w.Flush()
}

// each calls do with the entries of each inbox that has any.
func each(sp *spool.Spool, do func(list []spool.Listing, running bool) error) error {
	for _, in := range spool.Inboxes() {
		list, err := sp.List(in)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		running, err := sp.Running(in)
		if err != nil {
			return err
		}
		if err := do(list, running); err != nil {
			return err
		}
	}
	return nil
}

// appendEntry appends the lines of an entry.
func appendEntry(b []byte, l *spool.Listing, running bool) []byte {
	mark := ""
	switch {
	case l.State == "held" || l.State == "torn" || l.State == "foreign":
		mark = "!"
	case l.State == "new" && running:
		mark = "*"
	}
	arrival := ""
	if !l.Arrival.IsZero() {
		arrival = l.Arrival.Local().Format("Mon Jan _2 15:04:05")
	}
	b = fmt.Appendf(b, "%-40s %8d %-20s %s\n", id(l)+mark, l.Size, arrival, sender(l))
	if l.LastReason != "" {
		b = fmt.Appendf(b, "%70s\n", "("+visible.Line(l.LastReason)+")")
	}
	for _, r := range l.Envelope.To {
		if !r.Done {
			b = fmt.Appendf(b, "%70s %s\n", "", visible.Line(r.Addr))
		}
	}
	return append(b, '\n')
}

// id returns the key, or the name of a file without one.
func id(l *spool.Listing) string {
	if l.Key != "" {
		return string(l.Key)
	}
	return visible.Line(l.Name)
}

func sender(l *spool.Listing) string {
	if l.Envelope.From.Addr == "" {
		return "MAILER-DAEMON"
	}
	return visible.Line(l.Envelope.From.Addr)
}

// object is an entry as postqueue -j prints it.
type object struct {
	Queue      string      `json:"queue_name"` // active, deferred, hold or incoming
	ID         string      `json:"queue_id"`
	Arrival    int64       `json:"arrival_time"` // seconds
	Size       int64       `json:"message_size"`
	Expire     bool        `json:"forced_expire"`
	Sender     string      `json:"sender"`
	Recipients []recipient `json:"recipients"`
	Inbox      spool.Inbox `json:"inbox"` // not in Postfix
}

type recipient struct {
	Address string `json:"address"`
	Reason  string `json:"delay_reason,omitempty"`
}

// JSON prints an object for each entry, one on a line.
func JSON(sp *spool.Spool, out io.Writer) error {
	w := bufio.NewWriter(out)
	err := each(sp, func(list []spool.Listing, running bool) error {
		return inorder.Write(w, len(list), func(b []byte, i int) ([]byte, error) {
			text := bytes.NewBuffer(b)
			err := visible.JSON(text, objectOf(&list[i], running))
			return text.Bytes(), err
		})
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func objectOf(l *spool.Listing, running bool) object {
	o := object{Queue: queue(l, running), ID: id(l), Size: l.Size, Sender: sender(l), Recipients: []recipient{}, Inbox: l.Inbox}
	if !l.Arrival.IsZero() {
		o.Arrival = l.Arrival.Unix()
	}
	for _, r := range l.Envelope.To {
		if !r.Done {
			o.Recipients = append(o.Recipients, recipient{r.Addr, l.LastReason})
		}
	}
	return o
}

// queue returns the name of the queue that would have the entry in Postfix.
func queue(l *spool.Listing, running bool) string {
	switch {
	case l.State == "deferred":
		return "deferred"
	case l.State != "new":
		return "hold"
	case running:
		return "active"
	}
	return "incoming"
}

// Selection says which deferred entries Flush makes due.
type Selection struct {
	By   byte   // 'I' key, 'R' recipient, 'S' sender; 0: all entries
	Text string // that it contains
}

// ParseSelection parses the value of -q: nothing, a time span (the interval at which a
// daemon would run the queue: here it runs once), or I, R or S and a text. due reports
// that nothing is selected, and that only entries that are due are to run.
func ParseSelection(s string) (sel Selection, due bool, err error) {
	s = strings.TrimPrefix(s, "p") // for sendmail, a persistent daemon
	switch {
	case s == "" || s == "f": // f: in the foreground
		return Selection{}, false, nil
	case s[0] >= '0' && s[0] <= '9':
		return Selection{}, true, nil
	case strings.IndexByte("IRS", s[0]) >= 0 && len(s) > 1:
		return Selection{s[0], s[1:]}, false, nil
	}
	return sel, false, status.UsageError("-q%s: not a time span, and not I, R or S with a text", s)
}

func (s Selection) matches(l spool.Listing) bool {
	switch s.By {
	case 0:
		return true
	case 'I':
		return strings.Contains(string(l.Key), s.Text)
	case 'S':
		return contains(l.Envelope.From.Addr, s.Text)
	}
	for _, r := range l.Envelope.To {
		if !r.Done && contains(r.Addr, s.Text) {
			return true
		}
	}
	return false
}

func contains(address, text string) bool {
	return strings.Contains(strings.ToLower(address), strings.ToLower(text))
}

// Flush makes the deferred entries of the selection due now, except those that are moved
// or removed in the meantime.
func Flush(sp *spool.Spool, sel Selection) error {
	return each(sp, func(list []spool.Listing, _ bool) error {
		for _, l := range list {
			if l.State != "deferred" || !sel.matches(l) {
				continue
			}
			if err := makeDue(sp, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func makeDue(sp *spool.Spool, l spool.Listing) error {
	e, err := sp.Listed(l)
	if err != nil {
		if status.IsTemporary(err) {
			return err
		}
		return nil
	}
	defer e.Close()
	if err := sp.Retry(e); err != nil && status.Enhanced(err) != "4.0.0" {
		return err
	}
	return nil
}
