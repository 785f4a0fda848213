package settle

import (
	"strings"

	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// Bounds of the header that is searched.
const (
	maxHeader = 256 << 10
	maxFields = 5000
)

// automatic reports whether a program sent the message to many, or as an answer: it has
// no use for a warning, and neither has a list (RFC 3834 2, 5; RFC 2919). A header that
// cannot be read says nothing, so it counts as a program's.
func automatic(e *spool.Entry) bool {
	h, err := message.Read(e.Message(), maxHeader, maxFields)
	return err != nil || Automatic(h)
}

// Automatic is automatic for a header.
func Automatic(h *message.Header) bool {
	for _, f := range h.Fields {
		word, _, _ := strings.Cut(strings.ToLower(f.Value), ";")
		word = strings.TrimSpace(word)
		switch strings.ToLower(f.Name) {
		case "auto-submitted":
			if word != "no" {
				return true
			}
		case "precedence":
			if word == "bulk" || word == "list" || word == "junk" {
				return true
			}
		case "list-id", "list-unsubscribe", "list-post", "list-help", "list-subscribe", "list-owner", "list-archive":
			return true
		case "x-auto-response-suppress": // of Exchange
			if word != "none" && word != "" {
				return true
			}
		}
	}
	return false
}

// MayAnswer reports whether what is written in the name of a user may go to the sender of an
// entry: one that is known to have sent it, and is neither a program nor a list.
func (s *Settler) MayAnswer(e *spool.Entry) (bool, error) {
	if e.Envelope.From.Addr == "" || automatic(e) {
		return false, nil
	}
	why, err := s.unverified(e)
	return why == "" && err == nil, err
}

// Spend takes one message of our own from the budget of the hour, and reports whether there
// was one left.
func (s *Settler) Spend() (bool, error) {
	limit, err := s.Control.Limit("bounces")
	if err != nil {
		return false, err
	}
	return spend(s.Home, limit, s.Now())
}
