package smtpc

import "strconv"

// Transactions abreast go out whole, envelope and text, before the first of them is
// answered. That is for hosts which are known to read a chunk whatever they said to its
// envelope: any other would run a text as commands. It takes BDAT, because nothing may
// follow DATA before its 354 (RFC 2920 3.1).

// maxCommands is how many commands are out without a reply, so that the replies fit into
// the buffers of the connection whatever they say.
const maxCommands = 400

// abreast sends whole transactions, at most n of them without an answer.
func (f *flight) abreast(first *Message, next func() *Message, n int) {
	var out []*transaction
	more := func() (m *Message) {
		if !f.Over() {
			m = next()
		}
		return m
	}
	for m := first; m != nil || len(out) > 0; {
		switch {
		case m != nil && len(out) == 0 && m.Size > chunkSize:
			f.run(f.begin(m), func() *Message { return nil }, false)
			m = more()
		case m != nil && len(out) < n && f.fits(out, m):
			out = append(out, f.whole(m, len(out) > 0))
			if m = nil; len(out) < n {
				m = more()
			}
		default:
			f.replies(out[0], len(out) > 1)
			if out = out[1:]; m == nil {
				m = more()
			}
		}
	}
}

// fits reports whether a message may go out behind those that are not answered.
func (f *flight) fits(out []*transaction, m *Message) bool {
	commands := len(m.Rcpt)
	for _, t := range out {
		commands += len(t.Rcpt)
	}
	return m.Size <= chunkSize && (len(out) == 0 || commands <= maxCommands)
}

// whole sends a transaction. behind is true where others are not answered yet.
func (f *flight) whole(m *Message, behind bool) *transaction {
	t := f.begin(m)
	t.reset = t.reset || behind
	if !behind {
		if err := f.conn.silent(); err != nil {
			f.lost(t, t.line(0), err)
			return t
		}
	}
	for n := f.commands(t); t.written < n; t.written++ {
		f.conn.command(t.line(t.written))
	}
	f.conn.command("BDAT", strconv.FormatInt(m.Size, 10), "LAST")
	src := f.source(m)
	err := f.chunk(src, m.Size)
	if err == nil {
		src.next(1)
	}
	switch {
	case src.err != nil: // nothing of the rest of the chunk may follow
		t.res.Ours = src.err
		f.lost(t, "message text", src.err)
	case err != nil:
		f.lost(t, "message text", err)
	default:
		t.res.Sent = f.conn.broken == nil
		if err := f.conn.flush(); err != nil {
			f.lost(t, "message text", err)
		}
	}
	f.yield()
	return t
}

// replies reads all replies to a transaction. more is true where another is behind it.
func (f *flight) replies(t *transaction, more bool) {
	t.res.Ahead = more
	for n := f.commands(t); t.res.Err == nil && t.heard < n; {
		f.answer(t)
	}
	if t.res.Err == nil {
		t.res.Begun = true
		f.final(t, "BDAT LAST", true)
	}
	f.end(t)
}
