package dsn

import (
	"strings"

	"paperpath/internal/status"
)

// Kind is what a report says (the Action field of RFC 3464 2.3.3).
type Kind string

// The kinds of report.
const (
	Failed    Kind = "failed"
	Delayed   Kind = "delayed"
	Delivered Kind = "delivered"
	Relayed   Kind = "relayed" // to a host that sends no reports of success
)

// phrases are the texts of one kind of report.
type phrases struct {
	subject  string // "Your message ..."
	lead     string // before the recipients
	next     string // after them: what happens next
	returned string // the name of the part with the message
	seed     string // of the Message-ID
}

func (k Kind) phrases() phrases {
	switch k {
	case Delayed:
		return phrases{"is delayed", "has not been delivered yet to:",
			"Delivery will be attempted again. There is no need to send the message again.\n", "Delayed message", "delayed"}
	case Delivered:
		return phrases{"was delivered", "was delivered to the mailbox of:",
			"You receive this report because it was requested.\n", "Delivered message", "delivered"}
	case Relayed:
		return phrases{"was relayed", "was accepted by another host for:",
			"That host does not report successful deliveries, so this is the last report.\nYou receive it because it was requested.\n",
			"Relayed message", "relayed"}
	}
	return phrases{"could not be delivered", "could not be delivered to:",
		"There will be no further attempt to deliver it to these recipients.\n", "Undelivered message", "report"}
}

// status is the RFC 3463 status of a recipient in a report of this kind.
func (k Kind) status(err error) string {
	switch k {
	case Failed:
		return FailureStatus(err)
	case Delayed:
		if code := status.Enhanced(err); isOfClass(code, "4") {
			return code
		}
		return "4.0.0"
	}
	return "2.0.0"
}

// FailureStatus is the RFC 3463 status of a failure: 4.4.7 where the message
// expired, since each single failure was temporary.
func FailureStatus(err error) string {
	if _, ok := err.(*Expired); ok {
		return "4.4.7"
	}
	if code := status.Enhanced(err); isOfClass(code, "5") {
		return code
	}
	return "5.0.0"
}

// isOfClass reports whether code is class.X.Y. A code may come from a remote
// host and hold anything.
func isOfClass(code, class string) bool {
	parts := strings.Split(code, ".")
	if len(parts) != 3 || parts[0] != class {
		return false
	}
	for _, digits := range parts[1:] {
		if digits == "" || len(digits) > 3 || strings.Trim(digits, "0123456789") != "" {
			return false
		}
	}
	return true
}
