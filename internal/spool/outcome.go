package spool

import (
	"time"

	"paperpath/maildir"
)

// Action is what becomes of an entry at the end of an attempt.
type Action int

// The actions.
const (
	_       Action = iota
	HandOn         // it goes to another inbox
	Deliver        // it goes into a mailbox
	Defer          // it stays in its inbox for another attempt
	Hold           // it goes to hold/
	Drop           // it is removed: all its work is done
)

// Outcome is what a stage decided about an entry. Spool carries it out in this
// order: copies, children, bounce, replies, notices, marks, and last the action; where that is
// Deliver, the notices follow once the mailbox has its copy, and children too. After a crash
// in between, the stage decides again.
//
// A mark has two doors. Most marks are part of the outcome (Done, Bounce). A stage
// that has handed a message to another host marks it inside the attempt (Entry.Mark):
// a 250 must be noted at once, since what another host has taken cannot be decided
// again.
type Outcome struct {
	Children []Child
	Copies   []string // further Maildirs that get the message, of an entry with one recipient
	Bounce   *Bounce
	Notices  []Notice
	Replies  []Notice // in the name of a mailbox, or to its owner: nobody hears if they fail
	Done     []int    // recipients to be marked
	Action   Action
	to       Inbox        // HandOn
	mailbox  string       // Deliver: path of the Maildir
	opened   *maildir.Dir // the same, if the stage has it open
	others   []string     // Deliver: where else in the mailbox an attempt before may have put it
	Due      time.Time    // Defer: the next attempt
	Reason   string       // Defer, Hold, Drop: for people
}

// Child is a new entry with another envelope, or a changed message.
type Child struct {
	Inbox    Inbox
	From     Path
	To       []Recipient
	Original string   // the recipient that was accepted, if another stands for it now
	Passed   []string // addresses that led here: the trace by which it is known if it comes back
	Reason   string   // where Inbox is InboxHold: why

	// Message is the message as a filter has changed it, with these Results of ours; nil: that
	// of the parent, with its results.
	Message Body
	Results []string
}

// Bounce is a report about failures to the sender: a new entry in route/.
type Bounce struct {
	To     string // the reverse path
	Failed []int  // the recipients that it reports, marked once it is durable
	Body   []byte // the whole message with LF line ends
}

// Notice is a report to the sender about recipients that have not failed: a new entry
// in route/. Nothing is marked for it.
type Notice struct {
	To    string // the reverse path
	What  string // what became of the recipients: delivered, relayed or delayed; of a reply, its kind
	About []int  // the recipients
	Body  []byte // the whole message with LF line ends
}

// HandOnTo moves the entry to another inbox.
func HandOnTo(in Inbox) Outcome { return Outcome{Action: HandOn, to: in} }

// SplitInto replaces the entry by children.
func SplitInto(children ...Child) Outcome {
	return Outcome{Children: children, Action: Drop, Reason: "split"}
}

// DeliverTo puts the message of an entry with one recipient into a Maildir. others are the
// Maildirs of the same mailbox that may have been chosen before a crash: a message that is
// in one of them is not delivered again.
func DeliverTo(maildir string, others ...string) Outcome {
	return Outcome{Action: Deliver, mailbox: maildir, others: others}
}

// DeliverInto is DeliverTo for an open Maildir, which the stage closes at the end of the attempt
// (Entry.AtEnd).
func DeliverInto(md *maildir.Dir, others ...string) Outcome {
	o := DeliverTo(md.Path(), others...)
	o.opened = md
	return o
}

// DeferUntil keeps the entry for another attempt.
func DeferUntil(due time.Time, reason string) Outcome {
	return Outcome{Action: Defer, Due: due, Reason: reason}
}

// HoldBecause keeps the entry for a person to look at.
func HoldBecause(reason string) Outcome { return Outcome{Action: Hold, Reason: reason} }

// DropBecause ends the entry: all its work is done.
func DropBecause(why string) Outcome { return Outcome{Action: Drop, Reason: why} }
