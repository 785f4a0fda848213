package spool

import "time"

// Action is what becomes of an entry at the end of an attempt.
type Action int

// The actions.
const (
	_       Action = iota
	HandOn         // it goes to another inbox
	Deliver        // it goes into a mailbox
	Defer          // it waits in its inbox
	Hold           // it goes to hold/
	Drop           // it is done
)

// Outcome is what a stage decided about an entry; spool carries it out in this
// order: children, bounce, notices, marks, and last the action; where that is Deliver
// the notices come behind the mailbox has its copy. What a crash cuts off is
// decided again.
type Outcome struct {
	Children []Child
	Bounce   *Bounce
	Notices  []Notice
	Done     []int // recipients to be marked
	Action   Action
	Inbox    Inbox     // HandOn: where to
	Mailbox  string    // Deliver: path of the Maildir
	Due      time.Time // Defer: the next attempt
	Reason   string    // Defer, Hold, Drop: for people
}

// Child is a new entry with the same message and another envelope.
type Child struct {
	Inbox  Inbox
	From   Path
	To     []Recipient
	Passed []string // addresses that the message leaves behind: its trace, should it come back
	Reason string   // where Inbox is Hold: why
}

// Bounce is a report to the sender, placed in route/ as a new entry.
type Bounce struct {
	To     string // the reverse path
	Failed []int  // the recipients that it reports; they are marked once it is durable
	Body   []byte // the whole message with LF line ends
}

// Notice is a report to the sender about recipients that have not failed, placed
// in route/ as a new entry. Nothing is marked for it.
type Notice struct {
	To    string // the reverse path
	What  string // became of the recipients: delivered, relayed or delayed
	About []int  // the recipients
	Body  []byte // the whole message with LF line ends
}

// HandOnTo moves the entry to another inbox.
func HandOnTo(in Inbox) Outcome { return Outcome{Action: HandOn, Inbox: in} }

// SplitInto puts children in the entry's place.
func SplitInto(children ...Child) Outcome {
	return Outcome{Children: children, Action: Drop, Reason: "split"}
}

// DeliverTo puts the message of an entry with one recipient into a Maildir.
func DeliverTo(maildir string) Outcome { return Outcome{Action: Deliver, Mailbox: maildir} }

// DeferUntil keeps the entry for another attempt.
func DeferUntil(due time.Time, reason string) Outcome {
	return Outcome{Action: Defer, Due: due, Reason: reason}
}

// HoldBecause lays the entry before a person.
func HoldBecause(reason string) Outcome { return Outcome{Action: Hold, Reason: reason} }

// DropBecause ends the entry: all its work is done.
func DropBecause(why string) Outcome { return Outcome{Action: Drop, Reason: why} }
