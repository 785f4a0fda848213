package deliver

import (
	"errors"
	"fmt"

	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// Bounds of the header in which authors are looked for.
const (
	maxHeader = 256 << 10
	maxFields = 5000
)

// wish returns what a user wants of the sender of an entry. SMTP refuses a sender whom all
// of its recipients deny; a user who gets the message beside others is asked here.
func (s *Stage) wish(e *spool.Entry, u *control.User) (control.Wish, error) {
	if any, err := s.Control.HasUserChecks(); !any || err != nil {
		return control.Indifferent, err
	}
	h, err := message.Read(e.Message(), maxHeader, maxFields)
	if err != nil && !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
		return control.Indifferent, fmt.Errorf("read the header: %w", err)
	}
	wish, _, err := s.Control.UserWish(u.Address, route.Senders(e.Envelope.From.Addr, h))
	return wish, err
}
