package smtpd

import (
	"bytes"
	"io"
	"time"

	"paperpath/internal/status"
)

// maxTextLine is the maximum length of a line of a message, without its end. RFC 5321
// 4.5.3.1.6 requires 998 octets; a longer line is taken whole or refused, never cut.
const maxTextLine = 1 << 20

var crlf, lf = []byte("\r\n"), []byte("\n")

// text is what the readers of DATA and BDAT share: the octets of one message, with
// CRLF turned into LF, and what is wrong with them. An error of the connection is
// final: nothing more is read.
type text struct {
	wire *stream

	size   int64 // octets so far, counted with CRLF line ends
	line   int   // octets of the current line so far
	defect error // the first one; nothing is returned any more
	lost   error

	received int64         // octets from the connection
	waited   time.Duration // for them
}

// fill reads from the connection. Each read has a limit, and all of them together have
// one that grows with the octets received. Time that the Session spends does not count
// against the client.
func (t *text) fill() {
	start := time.Now()
	limit, why := start.Add(t.wire.cfg.DataTimeout), errIdle
	if rate := t.wire.cfg.MinRate; rate > 0 {
		earned := time.Duration(t.received / int64(rate) * int64(time.Second))
		if slow := limit.Add(earned - t.waited); slow.Before(limit) {
			limit, why = slow, errSlow
		}
	}
	if err := t.wire.fill(limit, why); err != nil {
		t.lose(err)
	}
	t.waited += time.Since(start)
	t.received += int64(len(t.wire.Buffered()))
}

// lose records an error of the connection.
func (t *text) lose(err error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	t.lost = temporary(421, "4.4.2", "connection lost while receiving the message", err)
}

// temporary returns what ends a message that may be sent again.
func temporary(code int, enhanced, text string, err error) error {
	return &status.Error{Exit: status.TempFail, Reply: code, Enhanced: enhanced, Text: text, Err: err}
}

// outcome returns the error with which reading ends.
func (t *text) outcome() error {
	switch {
	case t.lost != nil:
		return t.lost
	case t.defect != nil:
		return t.defect
	}
	return io.EOF
}

// inside returns octets without a CR. A bare LF is a line end only under Normalise,
// and never before the dot that ends a message.
func (t *text) inside(dst, b []byte) int {
	octets := len(b)
	if last := bytes.LastIndexByte(b, '\n'); last >= 0 {
		octets += bytes.Count(b, lf)
		t.bare("bare LF in the message")
		t.line = -1 - last
	}
	if bytes.IndexByte(b, 0) >= 0 {
		t.spoil("NUL in the message")
	}
	if t.line += len(b); t.line > maxTextLine {
		t.spoil("a line of the message is too long")
		t.line = 0
	}
	return t.put(dst, b, octets)
}

// newline returns a line end, for a CRLF.
func (t *text) newline(dst []byte) int {
	t.line = 0
	return t.put(dst, lf, 2)
}

// bareCR returns a line end, for a bare CR under Normalise.
func (t *text) bareCR(dst []byte) int {
	t.bare("bare CR in the message")
	return t.newline(dst)
}

// bare records a CR or LF without the other (RFC 5321 2.3.8).
func (t *text) bare(defect string) {
	if !t.wire.cfg.Normalise {
		t.spoil(defect)
	}
}

// put copies text to dst unless the message has a defect. octets is its size with CRLF
// line ends.
func (t *text) put(dst, b []byte, octets int) int {
	if t.defect != nil {
		return 0
	}
	t.size += int64(octets)
	if most := t.wire.cfg.MaxSize; most > 0 && t.size > most {
		t.defect = status.TooLarge(most)
		return 0
	}
	return copy(dst, b)
}

// spoil records the first defect.
func (t *text) spoil(why string) {
	if t.defect == nil {
		t.defect = status.Refuse("5.6.0", why)
	}
}
