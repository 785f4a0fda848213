package submit

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// composer makes of what came the message that goes into the spool: fields that
// submission adds stand directly below our Received, fields that it drops are
// left out, all else stays octet for octet.
type composer struct {
	host string
	now  time.Time
	drop []message.Field
	add  strings.Builder
	lead string // what the first line needs before it
}

// leadSize is how much of a message is looked at to know what its first line
// is, in octets. No field's name is longer.
const leadSize = 4 << 10

// header reads the header of what came. A first line that is no field says that
// there is none: the text below it, however long, is the body.
func (c *composer) header(settings *control.Control, from spool.Body) (*message.Header, error) {
	start := make([]byte, min(from.Size(), leadSize))
	if n, err := from.ReadAt(start, 0); n < len(start) {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	if c.lead = spool.Lead(start); c.lead == "\n" {
		return &message.Header{}, nil
	}
	return check.ReadHeader(settings, from)
}

// complete adds what submission adds (RFC 6409 8): Date and Message-ID.
func (c *composer) complete(h *message.Header) {
	if !h.Has("Date") {
		fmt.Fprintf(&c.add, "Date: %s\n", c.now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	}
	if !h.Has("Message-ID") {
		var random [8]byte
		rand.Read(random[:]) // never fails (crypto/rand)
		fmt.Fprintf(&c.add, "Message-ID: <%d.%s@%s>\n", c.now.UnixNano(), hex.EncodeToString(random[:]), c.host)
	}
}

// from adds a From field, with a full name where one is given.
func (c *composer) from(h *message.Header, a addr.Address, name string) {
	if h.Has("From") {
		return
	}
	if name == "" {
		fmt.Fprintf(&c.add, "From: %s\n", a)
		return
	}
	fmt.Fprintf(&c.add, "From: %s <%s>\n", phrase(name), a)
}

// phrase is a display name as RFC 5322 3.2.5 and RFC 2047 want it.
func phrase(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, name)
	if encoded := mime.QEncoding.Encode("utf-8", name); encoded != name {
		return encoded
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// body is the message as it goes into the spool. Where fields are added, the
// first line gets what it needs below them; else the spool sees to it.
func (c *composer) body(from spool.Body) spool.Body {
	added := c.add.String()
	if added == "" && len(c.drop) == 0 {
		return from
	}
	var p message.Pieces
	if added != "" {
		p.Text(added + c.lead)
	}
	p.Without(from, from.Size(), c.drop)
	return &p
}

// inOrder sorts fields by where they stand.
func inOrder(fields []message.Field) []message.Field {
	slices.SortFunc(fields, func(a, b message.Field) int { return cmp.Compare(a.Start, b.Start) })
	return fields
}

// private returns the fields that are not for the recipients: a blind copy's
// address reaches nobody else, whatever the client left in.
func private(h *message.Header) []message.Field {
	var fields []message.Field
	for _, name := range []string{"Return-Path", "Bcc", "Resent-Bcc"} {
		fields = append(fields, h.All(name)...)
	}
	return fields
}
