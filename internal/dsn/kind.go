package dsn

import "paperpath/internal/status"

// kind is what a report says (the Action field of RFC 3464 2.3.3).
type kind string

const (
	kindFailed    kind = "failed"
	kindDelayed   kind = "delayed"
	kindDelivered kind = "delivered"
	kindRelayed   kind = "relayed" // to a host that makes no reports
)

// words are how a kind of report is said to people.
type words struct {
	subject  string // "Your message ..."
	lead     string // before the recipients
	next     string // behind them: what happens next
	returned string // what the part with the message is called
	seed     string // of the Message-ID
}

func (k kind) words() words {
	switch k {
	case kindDelayed:
		return words{"is delayed", "could not be delivered yet to:",
			"There will be further attempts. You need not send the message again.\n", "Delayed message", "delayed"}
	case kindDelivered:
		return words{"was delivered", "was delivered into the mailbox of:",
			"You get this report because it was asked for.\n", "Delivered message", "delivered"}
	case kindRelayed:
		return words{"was sent on", "was taken by another host for:",
			"That host makes no reports of success, so this is the last one. You get it\nbecause it was asked for.\n", "Relayed message", "relayed"}
	}
	return words{"could not be delivered", "could not be delivered to:",
		"There will be no further attempt to deliver it there. To reach these\n" +
			"recipients, put right what is named above and send the message again.\n", "Undelivered message", "report"}
}

// status is the status of RFC 3463 for the error of a recipient, nil where all
// went well.
func (k kind) status(err error) string {
	switch k {
	case kindFailed:
		return enhanced(err)
	case kindDelayed:
		if code := status.Enhanced(err); isOfClass(code, "4") {
			return code
		}
		return "4.0.0"
	}
	return "2.0.0"
}
