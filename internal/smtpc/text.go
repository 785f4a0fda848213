package smtpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
)

const (
	pieceSize = 32 << 10 // octets of a text that are read at once
	chunkSize = 4 << 20  // of a chunk: a host that refuses the first need not read the others
)

// text sends the text and reads the answers to it. behind may add commands to
// the flight of its end.
func (f *flight) text(t *transaction, behind func()) {
	// An answer too many, to RCPT or DATA, would be taken for that to the text.
	if err := f.conn.silent(); err != nil {
		f.lost(t, "message text", err)
		return
	}
	t.res.Begun = true
	src := f.source(t.Message)
	var err error
	if f.chunked {
		err = f.chunks(t, src, behind)
	} else {
		err = f.dotted(t, src, behind)
	}
	switch {
	case src.err != nil:
		// Neither a dot nor the rest of a chunk may follow.
		t.res.Ours = src.err
		f.lost(t, "message text", src.err)
	case err != nil:
		if !t.res.Sent {
			t.res.Words = f.conn.lastWords()
		}
		f.lost(t, "message text", err)
	}
}

// source is a text that must have as many octets as announced.
type source struct {
	r    io.Reader
	left int64
	err  error  // ours
	buf  []byte // of pieceSize octets
}

// source opens the text of a message. A session sends one text at a time, so all its texts
// share the room to read them to.
func (s *Client) source(m *Message) *source {
	if s.piece == nil {
		s.piece = make([]byte, pieceSize)
	}
	return &source{r: m.Text(), left: m.Size, buf: s.piece}
}

// next returns the next octets, at most n; nil at the end and after an error.
func (s *source) next(n int64) []byte {
	if s.left == 0 {
		if extra, err := s.r.Read(s.buf[:1]); extra > 0 || err != nil && !errors.Is(err, io.EOF) {
			s.err = errors.Join(err, errors.New("the text is longer than it was"))
		}
		return nil
	}
	n = min(n, s.left, pieceSize)
	got, err := io.ReadAtLeast(s.r, s.buf[:n], int(n))
	if err != nil {
		s.err = fmt.Errorf("the text ends %d octets early: %w", s.left-int64(got), err)
		return nil
	}
	s.left -= n
	return s.buf[:n]
}

// dotted sends a text as DATA does: a dot before each line that begins with
// one, and a dot alone at the end (RFC 5321 4.5.2).
func (f *flight) dotted(t *transaction, src *source, behind func()) error {
	start := true // of a line
	for piece := src.next(pieceSize); piece != nil; piece = src.next(pieceSize) {
		for len(piece) > 0 {
			if start && piece[0] == '.' {
				f.conn.out = append(f.conn.out, '.')
			}
			end := bytes.IndexByte(piece, '\n') + 1
			if start = end > 0; !start {
				end = len(piece)
			}
			f.conn.out, piece = append(f.conn.out, piece[:end]...), piece[end:]
		}
		if err := f.overflow(); err != nil {
			return err
		}
	}
	if src.err != nil {
		return src.err
	}
	if !start {
		src.err = errors.New("the last line of the text has no end")
		return src.err
	}
	f.conn.command(".")
	return f.finish(t, 0, behind)
}

// overflow sends the collected octets once they fill a piece.
func (f *flight) overflow() error {
	if len(f.conn.out) < pieceSize {
		return nil
	}
	return f.conn.flush()
}

// chunks sends a text as BDAT does (RFC 3030 2). Where the host pipelines, the answer
// to a chunk is read when the next one is out: a refusal ends the text early, after a
// whole chunk.
func (f *flight) chunks(t *transaction, src *source, behind func()) error {
	unanswered := 0
	for {
		size := min(src.left, chunkSize)
		if size == src.left {
			f.conn.command("BDAT", strconv.FormatInt(size, 10), "LAST")
			if err := f.chunk(src, size); err != nil {
				return err
			}
			if src.next(1); src.err != nil {
				return src.err
			}
			return f.finish(t, unanswered, behind)
		}
		f.conn.command("BDAT", strconv.FormatInt(size, 10))
		if err := f.chunk(src, size); err != nil {
			return err
		}
		if err := f.conn.flush(); err != nil {
			return err
		}
		unanswered++
		most := 0
		if f.pipelined {
			most = 1
		}
		for ; unanswered > most || unanswered > 0 && t.res.Final.Code != 0; unanswered-- {
			if !f.final(t, "BDAT", false) {
				return nil
			}
		}
		if t.res.Final.Code != 0 {
			return nil
		}
	}
}

// chunk puts the octets of a chunk into the flight.
func (f *flight) chunk(src *source, size int64) error {
	for size > 0 {
		piece := src.next(size)
		if src.err != nil {
			return src.err
		}
		size -= int64(len(piece))
		f.conn.out = append(f.conn.out, piece...)
		if err := f.overflow(); err != nil {
			return err
		}
	}
	return nil
}

// finish sends the end of a text, with the commands that may follow it, and reads the
// replies to the chunks not answered yet, and to the end.
func (f *flight) finish(t *transaction, unanswered int, behind func()) error {
	behind()
	t.res.Sent = true
	if err := f.conn.flush(); err != nil {
		return err
	}
	f.yield()
	command := "final dot"
	if f.chunked {
		command = "BDAT LAST"
	}
	for ; unanswered > 0; unanswered-- {
		if !f.final(t, "BDAT", false) {
			return nil
		}
	}
	f.final(t, command, true)
	return nil
}

// yield tells a result now that the text behind it is out, after other sessions have sent
// what they can send.
func (f *flight) yield() {
	if f.owed != nil {
		runtime.Gosched()
		f.tell()
	}
}

// final reads the answer to the end of a text, or to a chunk of it. The first refusal
// counts. It reports whether the session goes on.
func (f *flight) final(t *transaction, command string, last bool) bool {
	r, err := f.reply(f.conn.times.Answer, true)
	if err != nil {
		return f.lost(t, command, err)
	}
	if r.Class() == 3 || r.Code == 221 {
		return f.lost(t, command, f.impossible(command, r).Err)
	}
	if t.res.Final.Code == 0 && (last || r.Class() >= 4) {
		t.res.Final = r
	}
	if r.Code == 421 {
		t.res.Words, f.refused = r, errors.New(r.Text)
		return f.lost(t, command, f.refused)
	}
	return true
}
