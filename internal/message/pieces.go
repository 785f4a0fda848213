package message

import (
	"io"
	"strings"
)

// Pieces is a message composed of texts and of stretches of another message, without
// copying them. It is a spool.Body.
type Pieces struct {
	parts []piece
	size  int64
}

type piece struct {
	from   io.ReaderAt
	off, n int64 // of the stretch in from
	start  int64 // in the whole
}

// Text appends a string.
func (p *Pieces) Text(s string) { p.Stretch(strings.NewReader(s), 0, int64(len(s))) }

// Stretch appends n octets of from.
func (p *Pieces) Stretch(from io.ReaderAt, off, n int64) {
	if n > 0 {
		p.parts = append(p.parts, piece{from, off, n, p.size})
		p.size += n
	}
}

// Edit replaces the stretch of a message from Start to End by Text.
type Edit struct {
	Start, End int64
	Text       string
}

// Edited appends the size octets of from with the edits, which must be in order and must
// not overlap.
func (p *Pieces) Edited(from io.ReaderAt, size int64, edits []Edit) {
	at := int64(0)
	for _, e := range edits {
		p.Stretch(from, at, e.Start-at)
		p.Text(e.Text)
		at = e.End
	}
	p.Stretch(from, at, size-at)
}

// Without appends the size octets of from without the fields, which must be in order.
func (p *Pieces) Without(from io.ReaderAt, size int64, fields []Field) {
	edits := make([]Edit, 0, len(fields))
	for _, f := range fields {
		edits = append(edits, Edit{Start: f.Start, End: f.End})
	}
	p.Edited(from, size, edits)
}

// Size returns the size of the whole, in octets.
func (p *Pieces) Size() int64 { return p.size }

// ReadAt reads from the whole.
func (p *Pieces) ReadAt(b []byte, off int64) (int, error) {
	done := 0
	for _, part := range p.parts {
		at := off + int64(done) - part.start
		if at < 0 || at >= part.n || done == len(b) {
			continue
		}
		want := min(int64(len(b)-done), part.n-at)
		n, err := part.from.ReadAt(b[done:done+int(want)], part.off+at)
		done += n
		if int64(n) < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return done, err
		}
	}
	if done < len(b) {
		return done, io.EOF
	}
	return done, nil
}
