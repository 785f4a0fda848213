package smtpd

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"paperpath/internal/status"
)

// BDAT turns the flow of control inside out. The Session reads one message, as it
// does for DATA, but between the chunks of that message the client sends commands.
// So Session.Data is called once, at the first BDAT; when its Read reaches the end of
// a chunk it is chunkReader that acknowledges the chunk, reads the next commands and
// runs those that are allowed there (chunkReader.between): another BDAT lets Read go
// on, NOOP and the like are answered at once. Any other command ends the message,
// which Read reports to the Session as an error; the command itself is kept and run
// once Data has returned (Conn.bdat, d.next). The alternative, a goroutine for each
// Session, would call it concurrently with the engine.

// chunk holds the parameters of a BDAT command (RFC 3030 2).
type chunk struct {
	size int64
	last bool
}

// parseChunk reads the parameters of BDAT.
func parseChunk(arg string) (ch chunk, ok bool) {
	word := strings.Fields(arg)
	if len(word) == 2 && strings.EqualFold(word[1], "LAST") {
		ch.last = true
	} else if len(word) != 1 {
		return ch, false
	}
	if len(word[0]) > 20 || strings.Trim(word[0], "0123456789") != "" {
		return ch, false
	}
	n, err := strconv.ParseInt(word[0], 10, 64)
	ch.size = n // math.MaxInt64 if out of range
	return ch, err == nil || errors.Is(err, strconv.ErrRange)
}

// bdat handles BDAT. The octets that follow it are never run as commands: if their
// number is invalid or larger than the maximum message size, the session ends.
func (c *Conn) bdat(arg string) error {
	ch, ok := parseChunk(arg)
	switch {
	case !ok:
		return c.end("4.5.0", "invalid BDAT size")
	case !c.fits(ch):
		c.wire.reply(552, "5.3.4", "chunk larger than the maximum message size")
		return errors.New("ended by a chunk larger than the maximum message size")
	}
	d := &chunkReader{text: text{wire: c.wire}, c: c, left: ch.size, last: ch.last}
	if c.tx == nil || c.tx.accepted == 0 {
		d.skip()
		if d.lost != nil {
			return c.lost(d.lost)
		}
		c.outOfPlace()
		return nil
	}
	c.tx.sent = true
	c.wire.Resize(dataBufSize)
	var reply string
	err := c.ask(func() (err error) { reply, err = c.session.Data(c.ctx, d); return err })
	d.skip()
	c.wire.Resize(bufSize)
	c.dropChunks = !d.ended()
	replies := c.recipients()
	c.reset()
	if d.next != "" {
		c.dropChunks = false
		return c.run(d.next)
	}
	return c.answer(&d.text, replies, reply, err)
}

// fits reports whether the chunk is small enough to be read to its end.
func (c *Conn) fits(ch chunk) bool { return c.cfg.MaxSize <= 0 || ch.size <= c.cfg.MaxSize }

// outOfPlace answers a chunk for which there is no transaction. Chunks pipelined
// behind a refused one do not count as errors.
func (c *Conn) outOfPlace() {
	switch {
	case c.dropChunks && c.tx == nil:
		c.junk++
		c.wire.reply(503, "5.5.1", "the message has already been refused")
	case c.tx == nil:
		c.fail(503, "5.5.1", "send MAIL first")
	case c.tx.refused > 0:
		c.fail(554, "5.5.1", "no valid recipients")
	default:
		c.fail(503, "5.5.1", "send RCPT first")
	}
}

// chunkReader reads a message that arrives in chunks. It turns CRLF into LF and ends
// the last line; there is no dot stuffing. Between chunks it answers commands. A
// message whose final chunk never arrives is discarded.
type chunkReader struct {
	text
	c    *Conn
	left int64  // octets of this chunk still to come
	last bool   // this is the final chunk
	cr   bool   // the previous octet was a CR
	open bool   // the last line has no end yet
	over bool   // the message is complete or given up
	next string // the command that came instead of the next chunk
}

// ended reports whether the final chunk has been read to its end.
func (d *chunkReader) ended() bool { return d.last && d.left == 0 && d.lost == nil }

// Read implements io.Reader.
func (d *chunkReader) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		switch {
		case d.lost != nil || d.over:
			return 0, d.outcome()
		case d.left > 0 && d.wire.Empty():
			d.fill()
		case d.left > 0:
			n = d.step(p)
		case d.defect != nil:
			d.over = true
		case d.last:
			n = d.end(p)
		default:
			d.between()
		}
	}
	return n, nil
}

// skip discards the rest of the chunk.
func (d *chunkReader) skip() {
	for d.left > 0 && d.lost == nil {
		if d.wire.Empty() {
			d.fill()
			continue
		}
		n := min(d.left, int64(len(d.wire.Buffered())))
		d.wire.Skip(int(n))
		d.left -= n
	}
}

// step consumes octets of the buffer and returns how many it put into dst.
func (d *chunkReader) step(dst []byte) int {
	b := d.wire.Buffered()
	b = b[:min(int64(len(b)), int64(len(dst)), d.left)]
	switch {
	case d.cr && b[0] == '\n':
		d.cr, d.open = false, false
		d.take(1)
		return d.newline(dst)
	case d.cr:
		d.cr, d.open = false, false
		return d.bareCR(dst)
	}
	i := bytes.IndexByte(b, '\r')
	if i < 0 {
		i = len(b)
	} else {
		d.cr = true
		d.take(1)
	}
	d.take(i)
	if i > 0 {
		d.open = b[i-1] != '\n'
	}
	return d.inside(dst, b[:i])
}

func (d *chunkReader) take(n int) {
	d.wire.Skip(n)
	d.left -= int64(n)
}

// end completes a message whose last line has no end.
func (d *chunkReader) end(dst []byte) int {
	switch {
	case d.cr:
		d.cr, d.open = false, false
		return d.bareCR(dst)
	case d.open:
		d.open = false
		return d.newline(dst)
	}
	d.over = true
	return 0
}

// between acknowledges the chunk and handles commands up to the next one.
func (d *chunkReader) between() {
	d.c.wire.reply(250, "2.0.0", "chunk received")
	for !d.over && d.lost == nil && d.left == 0 && !d.last {
		line, err := d.wire.readLine(maxLine)
		switch err {
		case nil:
			again := d.command(string(line))
			if again {
				return
			}
		case errLong, errBytes:
			d.c.fail(500, "5.5.2", err.Error())
		default:
			d.lose(err)
			return
		}
		if d.over {
			return
		}
		if err := d.c.limits(); err != nil {
			d.giveUp("")
			d.lost = temporary(421, "4.7.0", "the session has ended", err)
		}
	}
}

// command handles one line between chunks. It reports whether Read can go on, with
// another chunk or with the end of the message.
func (d *chunkReader) command(line string) (again bool) {
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "BDAT":
		ch, ok := parseChunk(arg)
		if !ok || !d.c.fits(ch) {
			d.giveUp(line)
			return true
		}
		if ch.size == 0 && !ch.last { // an empty chunk
			d.c.junk++
			d.c.wire.reply(250, "2.0.0", "chunk received")
			return false
		}
		d.left, d.last = ch.size, ch.last
		return true
	case "NOOP", "HELP", "VRFY":
		_ = d.c.run(line) // none of these ends the session
	case "MAIL", "RCPT", "DATA", "AUTH", "EXPN":
		d.c.fail(503, "5.5.1", "BDAT transfer in progress: send BDAT or RSET")
	default:
		d.giveUp(line)
	}
	return false
}

// giveUp discards the message. next is run in its place.
func (d *chunkReader) giveUp(next string) {
	d.over, d.next = true, next
	if d.defect == nil {
		// For the Session: the client gets the reply to next.
		d.defect = &status.Error{Exit: status.TempFail, Reply: 451, Enhanced: "4.4.2",
			Text: "the client did not finish the message", Err: io.ErrUnexpectedEOF}
	}
}
