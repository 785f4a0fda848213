package route

import (
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// maxAuthors is how many addresses in From are compared with what users want.
const maxAuthors = 100

// Senders returns the addresses that a message names as its sender, by which users say what
// they want: the reverse path, and the authors. h may be nil.
func Senders(path string, h *message.Header) []string {
	senders := []string{path}
	if h == nil {
		return senders
	}
	authors, err := addr.ParseForeign(h.Value("From"))
	if err != nil {
		return senders
	}
	for _, a := range authors[:min(len(authors), maxAuthors)] {
		senders = append(senders, a.String())
	}
	return senders
}

// ForEverybody reports whether mail for a recipient is accepted from everybody, whatever
// the owner of the mailbox wants: who has trouble with us must reach somebody (RFC 5321
// 4.5.1, RFC 2142 2 and 4).
func ForEverybody(recipient string) bool {
	local, _ := addr.Split(recipient)
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "abuse")
}

// Accepts returns what the owner of a mailbox wants of a message for it; the error refuses
// one that is larger than they take. recipient is the address that was accepted, behind
// which the mailbox is.
func Accepts(c *control.Control, recipient string, u *control.User, m Asked) (control.Wish, error) {
	if !m.Submitted {
		limit, err := SizeOf(c, u.Address)
		if err != nil {
			return control.Indifferent, err
		}
		if m.Size > limit.Octets {
			return control.Indifferent, TooLargeFor(limit)
		}
	}
	if any, err := c.HasUserChecks(); !any || err != nil {
		return control.Indifferent, err
	}
	senders, err := m.Senders()
	if err != nil {
		return control.Indifferent, err
	}
	wish, _, err := c.UserWish(u.Address, senders)
	if wish == control.Deny && ForEverybody(recipient) {
		wish = control.Indifferent
	}
	return wish, err
}

// Asked is what the owner of a mailbox is asked about.
type Asked struct {
	Size      int64                    // octets of the message
	Submitted bool                     // one of our users sent it: what they may send is their limit
	Senders   func() ([]string, error) // as of Senders
}

// SizeOf is how large a message for a mailbox may be: by the closest row of control/sizes.
func SizeOf(c *control.Control, mailbox string) (control.SizeLimit, error) {
	a, err := addr.Parse(mailbox)
	if err != nil {
		return c.SizeLimit("", mailbox)
	}
	forms, err := AddressForms(c, a)
	if err != nil {
		return control.SizeLimit{}, err
	}
	return c.SizeLimit(a.Domain, forms...)
}

// TooLargeFor is the refusal of a message that a mailbox does not take (RFC 3463 3.3).
func TooLargeFor(limit control.SizeLimit) error {
	text := fmt.Sprintf("the recipient accepts no message larger than %d octets", limit.Octets)
	return &status.Error{Exit: status.Refused, Reply: 552, Enhanced: "5.2.3", Text: text, Log: text + " (" + limit.Where + ")"}
}

// Unwanted is the refusal of a message whose sender the owner of the mailbox denies.
func Unwanted() error {
	e := status.Refuse("5.7.1", "the recipient does not accept mail from this sender")
	e.Reply = 550
	return e
}
