package submit

import (
	"io"
	"strings"

	"paperpath/internal/spool"
)

// pieces is a message put together from stretches of others: what submission
// adds stands before what came, and what it drops is left out, without a copy.
type pieces struct {
	parts []piece
	size  int64
}

type piece struct {
	from   io.ReaderAt
	off, n int64 // of the stretch in from
	start  int64 // in the whole
}

// text appends a string.
func (p *pieces) text(s string) { p.stretch(strings.NewReader(s), 0, int64(len(s))) }

// stretch appends n octets of from.
func (p *pieces) stretch(from io.ReaderAt, off, n int64) {
	if n > 0 {
		p.parts = append(p.parts, piece{from, off, n, p.size})
		p.size += n
	}
}

// Size returns the octets of the whole.
func (p *pieces) Size() int64 { return p.size }

// ReadAt reads from the whole.
func (p *pieces) ReadAt(b []byte, off int64) (int, error) {
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

var _ spool.Body = (*pieces)(nil)
