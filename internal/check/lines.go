package check

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// maxLine is the longest line that a message may have (RFC 5322 2.1.1), without its end.
const maxLine = 998

// linesCheck looks for lines that are longer than a message may have. They are kept as
// they are, whatever their length: mailrelay alone folds them, in another encoding.
type linesCheck struct{}

// Name implements Check.
func (linesCheck) Name() string { return "lines" }

// Ask implements Check.
func (linesCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	t, err := m.textOf()
	if err != nil {
		return failed(err)
	}
	if q.Trail != nil {
		q.Trail.Add("lines", fmt.Sprintf("%d of more than %d octets, the longest has %d",
			t.long, maxLine, t.longest), "")
	}
	if t.long > 0 {
		return Finding{Fails: true, Reason: fmt.Sprintf("%d lines are longer than %d octets, the longest has %d", t.long,
			maxLine, t.longest)}
	}
	return Finding{}
}

// nulCheck looks for NULs in the body, which the header check does not allow in the
// header (RFC 5322 4.1 calls them obsolete).
type nulCheck struct{}

// Name implements Check.
func (nulCheck) Name() string { return "nul" }

// Ask implements Check.
func (nulCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	t, err := m.textOf()
	if err != nil {
		return failed(err)
	}
	if q.Trail != nil {
		q.Trail.Add("NUL", fmt.Sprint(t.nuls), "")
	}
	if t.nuls > 0 {
		return Finding{Fails: true, Reason: fmt.Sprintf("the message contains %d NULs", t.nuls)}
	}
	return Finding{}
}

// text is what is known of the octets of a message.
type text struct {
	long    int   // lines that are too long
	longest int64 // of those; 0: there is none
	nuls    int
}

// textOf reads the message once for all checks that want to know.
func (m *Case) textOf() (*text, error) {
	if m.text == nil {
		t, err := readText(m.Body)
		if err != nil {
			return nil, fmt.Errorf("read the message: %w", err)
		}
		m.text = &t
	}
	return m.text, nil
}

// readText reads line ends backwards from where the next line would be too long, so that
// it looks at one line in many.
func readText(body spool.Body) (text, error) {
	nuls := &nulCounter{in: io.NewSectionReader(body, 0, body.Size())}
	r := message.Buffered(nuls)
	defer message.Done(r)
	var t text
	for {
		ahead, err := r.Peek(maxLine + 2)
		if err != nil && !errors.Is(err, io.EOF) {
			return t, err
		}
		end := bytes.LastIndexByte(ahead[:min(len(ahead), maxLine+1)], '\n')
		if end < 0 && len(ahead) == maxLine+2 && bytes.HasSuffix(ahead, []byte("\r\n")) {
			end = maxLine + 1
		}
		switch {
		case end >= 0:
			_, err = r.Discard(end + 1)
		case len(ahead) <= maxLine:
			t.nuls = nuls.n
			return t, nil
		default:
			var n int64
			n, err = lineLength(r)
			t.long, t.longest = t.long+1, max(t.longest, n)
		}
		if err != nil {
			return t, err
		}
	}
}

// lineLength reads a line and returns its length without its end.
func lineLength(r *bufio.Reader) (n int64, err error) {
	for {
		part, err := r.ReadSlice('\n')
		n += int64(len(part))
		switch {
		case err == nil:
			n--
			if bytes.HasSuffix(part, []byte("\r\n")) {
				n--
			}
			return n, nil
		case err == io.EOF:
			return n, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return n, err
		}
	}
}

// nulCounter counts what passes.
type nulCounter struct {
	in io.Reader
	n  int
}

// Read implements io.Reader.
func (c *nulCounter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += bytes.Count(p[:n], []byte{0})
	return n, err
}
