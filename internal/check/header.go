package check

import (
	"context"
	"fmt"

	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Limits of a header for programs that cannot read the settings: the defaults of
// control/limits.
const (
	MaxHeaderBytes = 256 << 10 // octets
	MaxFields      = 5000
)

// headerCheck wants a header within its limits. Lines that are not fields are accepted,
// though RFC 5322 does not allow them: real mail contains them (mbox From lines, text
// without the blank line before it), and Postfix, Exim and mox accept it too. Such a
// line neither hides a field after it from the other checks nor creates one. A NUL
// is refused: programs in C end the value there, and others do not (RFC 5322 4 calls
// it obsolete; wanted mail never contains it). So is a CR without LF (RFC 5322 2.2),
// which some programs take for a line end, with an unchecked field after it.
type headerCheck struct{}

// Name implements Check.
func (headerCheck) Name() string { return "header" }

// Ask implements Check.
func (headerCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	if m.HeaderErr != nil {
		return failed(m.HeaderErr)
	}
	h := m.Header
	if q.Trail != nil {
		text := fmt.Sprintf("%d fields, %d octets, %d other lines", len(h.Fields), h.End, h.Junk)
		q.Trail.Add("header", text, "control/limits")
	}
	switch {
	case h.NUL:
		return failed(status.Refuse("5.6.0", "the header contains a NUL"))
	case h.CR:
		return failed(status.Refuse("5.6.0", "the header contains a CR without LF"))
	}
	return Finding{}
}

// ReadHeader reads a message's header within the limits of control/limits. A header
// that exceeds them is refused with 5.6.0, and returned as far as it was read.
func ReadHeader(c *control.Control, body spool.Body) (*message.Header, error) {
	n, err := c.Limits("headerbytes", "fields")
	if err != nil {
		return nil, err
	}
	return compose.Header(n[0], int(min(n[1], 1<<30)), body)
}
