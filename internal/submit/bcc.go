package submit

import (
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// withCopies adds to an envelope the recipients that the settings want to get a hidden copy
// (control/always-bcc, sender-bcc, recipient-bcc). They are recipients from then on, so each
// attempt knows what is done; nobody hears of their failures. One that the message has been at
// before gets none. Nor does anybody if this host has had the message before: it has made the
// copies then, and two hosts that copy to each other would go on until there are too many
// Received fields.
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
	if been, err := beenHere(c, h); been || err != nil {
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

// beenHere reports whether a message has been at this host before: a Received has its name
// behind "by" (RFC 5321 4.4).
func beenHere(c *control.Control, h *message.Header) (bool, error) {
	host, err := c.Hostname()
	if err != nil {
		return false, err
	}
	for _, f := range h.All("Received") {
		words := strings.Fields(f.Value)
		for i := range max(len(words)-1, 0) {
			if strings.EqualFold(words[i], "by") && strings.EqualFold(strings.TrimRight(words[i+1], ";"), host) {
				return true, nil
			}
		}
	}
	return false, nil
}
