package deliver

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/params"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

// Bounds of the header in which authors are looked for.
const (
	maxHeader = 256 << 10
	maxFields = 5000
)

// wish returns what a user wants of an entry; the error refuses one that is larger than they
// take. SMTP refuses what all of its recipients refuse; a user who gets the message beside
// others is asked here.
func (s *Stage) wish(e *spool.Entry, u *control.User) (control.Wish, error) {
	to := e.Envelope.To[0]
	return route.Accepts(s.Control, cmp.Or(params.Taken(to.Params), to.Addr), u, route.Asked{
		Size: e.Message().Size(), Submitted: e.Trusted(),
		Senders: func() ([]string, error) {
			h, err := readHeader(e.Message())
			return route.Senders(e.Envelope.From.Addr, h), err
		}})
}

// readHeader reads a header as far as authors and results are looked for in it.
func readHeader(r io.Reader) (*message.Header, error) {
	h, err := message.Read(r, maxHeader, maxFields)
	if err != nil && !errors.Is(err, message.ErrTooLong) && !errors.Is(err, message.ErrTooMany) {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	return h, nil
}
