package route

import (
	"paperpath/internal/addr"
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

// Unwanted is the refusal of a message whose sender the owner of the mailbox denies.
func Unwanted() error {
	e := status.Refuse("5.7.1", "the recipient does not accept mail from this sender")
	e.Reply = 550
	return e
}
