package submit

import (
	"slices"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// withCopies adds to an envelope the recipients that the settings want to get a hidden copy
// (control/always-bcc, sender-bcc, recipient-bcc). They are recipients from then on, so each
// attempt knows what is done. One that the message has been at before gets none, or two hosts
// that copy to each other would go on for ever; nobody hears of their failures.
func withCopies(c *control.Control, env spool.Envelope, h *message.Header) (spool.Envelope, error) {
	from, err := addr.Parse(env.From.Addr)
	if err != nil {
		from = addr.Address{}
	}
	var to []addr.Address
	for _, r := range env.To {
		if a, err := addr.Parse(r.Addr); err == nil {
			to = append(to, a)
		}
	}
	copies, err := c.Bcc(from, to)
	if err != nil || len(copies) == 0 {
		return env, err
	}
	delimiters, err := c.Delimiters()
	if err != nil {
		return env, err
	}
	passed := route.PassedOf(h, delimiters)
	env.To = slices.Clone(env.To)
	for _, a := range copies {
		if !passed.Reached(a) {
			env.To = append(env.To, spool.Recipient{Addr: a.String(), Params: "NOTIFY=NEVER"})
		}
	}
	return env, nil
}
