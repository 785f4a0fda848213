package compose

import (
	"errors"
	"fmt"
	"io"

	"paperpath/internal/authres"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

// Header reads a message's header within limits. One that exceeds them is refused with 5.6.0, and
// returned as far as it was read.
func Header(octets int64, fields int, body Body) (*message.Header, error) {
	// If the first lines show that there is no header, the spool and the MDA store
	// the text below them as body, so it is judged as such.
	if _, header, err := message.Leading(body, body.Size()); err != nil || !header {
		return &message.Header{}, err
	}
	h, err := message.Read(io.NewSectionReader(body, 0, body.Size()), octets, fields)
	switch {
	case errors.Is(err, message.ErrTooLong):
		return h, status.Refuse("5.6.0", fmt.Sprintf("the header is longer than %d octets", octets))
	case errors.Is(err, message.ErrTooMany):
		return h, status.Refuse("5.6.0", fmt.Sprintf("the header has more than %d fields", fields))
	case err != nil:
		return h, fmt.Errorf("read the header: %w", err)
	}
	return h, nil
}

// Forged returns the Authentication-Results fields that claim to come from host, in
// their order: they are removed from a message (RFC 8601 5).
func Forged(h *message.Header, host string) []message.Field {
	var forged []message.Field
	for _, f := range h.All(authres.Name) {
		if authres.ClaimedBy(f.Value, host) {
			forged = append(forged, f)
		}
	}
	return forged
}
