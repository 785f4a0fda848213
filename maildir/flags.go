package maildir

import (
	"fmt"
	"slices"
	"strings"

	gomaildir "github.com/emersion/go-maildir"
)

// Flag is a mark that a mail reader gives a message: a letter behind ":2," in its name.
// Lower-case letters are keywords, whose meaning a mailbox's IMAP server knows.
type Flag rune

// The flags that all mail readers know.
const (
	Passed  = Flag(gomaildir.FlagPassed)  // sent on to somebody else
	Replied = Flag(gomaildir.FlagReplied) // answered
	Seen    = Flag(gomaildir.FlagSeen)    // read
	Trashed = Flag(gomaildir.FlagTrashed) // to be deleted; no quota counts it
	Draft   = Flag(gomaildir.FlagDraft)   // not sent yet
	Flagged = Flag(gomaildir.FlagFlagged) // marked for its reader
)

// Has reports whether a message has a flag.
func (m Message) Has(f Flag) bool { return strings.ContainsRune(m.Flags, rune(f)) }

// SetFlags gives a message these flags in place of those that it has, and moves it to cur/.
// Each flag is a letter of ASCII. A name with information of another kind than ":2," is left
// as it is.
func (d *Dir) SetFlags(m *Message, flags ...Flag) error {
	for _, f := range flags {
		if f |= 0x20; f < 'a' || f > 'z' {
			return fmt.Errorf("%q is no flag of a message", f)
		}
	}
	return d.giveFlags(m, func() []Flag { return flags })
}

// AddFlags is SetFlags with those that the message has.
func (d *Dir) AddFlags(m *Message, flags ...Flag) error {
	return d.giveFlags(m, func() []Flag { return append([]Flag(m.Flags), flags...) })
}

func (d *Dir) giveFlags(m *Message, flags func() []Flag) error {
	return d.retryMoved(m, func() error {
		name := m.flagged(flags())
		if m.Sub == "cur" && name == m.Name { // if it still has them
			_, err := d.cur.StatName(name)
			return err
		}
		return d.rename(m, "cur", name)
	})
}

// MarkSeen moves a message to cur/ and gives it the flag Seen. One that had it when it was
// listed is not looked at.
func (d *Dir) MarkSeen(m *Message) error {
	if m.Sub == "cur" && m.flagged(append([]Flag(m.Flags), Seen)) == m.Name {
		return nil
	}
	return d.AddFlags(m, Seen)
}

// flagged returns the name with these flags, each once and in the order of the alphabet.
func (m Message) flagged(flags []Flag) string {
	if info := m.info(); info != "" && !strings.HasPrefix(info, ":2,") {
		return m.Name
	}
	flags = slices.Compact(slices.Sorted(slices.Values(flags)))
	return m.base() + ":2," + string(flags)
}
