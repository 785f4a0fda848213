package milter

import (
	"fmt"
	"io"
)

// ownFault is an error for which no filter can be blamed.
type ownFault struct{ err error }

func (o *ownFault) Error() string { return o.err.Error() }

// newBody takes the body that a milter puts in the place of the old one, with LF line
// ends as in the spool. A stray CR or NUL becomes a blank, as on standard input.
type newBody struct {
	to   Scratch // nil before the first octet
	open func() Scratch
	most int64
	came int64
	cr   bool // a CR whose LF may be in the next packet
	any  bool // a packet came, which may be empty
}

// take reads n octets from r.
func (b *newBody) take(r io.Reader, n int64) error {
	if b.came += n; b.came > b.most {
		return fmt.Errorf("the new body is longer than %d octets", b.most)
	}
	if b.any = true; b.to == nil {
		b.to = b.open()
	}
	buf := make([]byte, min(n, 32<<10))
	for n > 0 {
		part := buf[:min(n, int64(len(buf)))]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		n -= int64(len(part))
		if err := b.write(part); err != nil {
			return &ownFault{fmt.Errorf("keep the new body: %w", err)}
		}
	}
	return nil
}

func (b *newBody) write(p []byte) error {
	out := make([]byte, 0, len(p)+1)
	for _, c := range p {
		if b.cr && c != '\n' {
			out = append(out, ' ')
		}
		if b.cr = c == '\r'; b.cr {
			continue
		}
		if c == 0 {
			c = ' '
		}
		out = append(out, c)
	}
	_, err := b.to.Write(out)
	return err
}

// end returns what came, or nil. The last CR is a stray one.
func (b *newBody) end() (Scratch, error) {
	if b.to == nil {
		return nil, nil
	}
	if b.cr {
		if _, err := b.to.Write([]byte(" ")); err != nil {
			return nil, &ownFault{fmt.Errorf("keep the new body: %w", err)}
		}
	}
	to := b.to
	b.to = nil
	return to, nil
}

// drop closes what nobody took.
func (b *newBody) drop() {
	if b.to != nil {
		b.to.Close()
	}
}
