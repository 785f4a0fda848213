package relay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"paperpath/internal/visible"
)

const (
	maxReply    = 64 << 10 // octets of one reply
	maxLine     = 1000     // octets of a reply line that are passed on
	keptReply   = 4 << 10  // octets of a reply that are kept for people
	maxReadLine = 8 << 10  // octets of a reply line that are read
)

// Times are the limits of a session (RFC 5321 4.5.3.2).
type Times struct {
	Lookup    time.Duration // for all that an attempt asks the DNS
	Connect   time.Duration
	Greeting  time.Duration
	Hello     time.Duration
	Handshake time.Duration // of TLS
	Mail      time.Duration
	Rcpt      time.Duration
	Data      time.Duration // until the 354
	Block     time.Duration // for one piece of the text
	Answer    time.Duration // to the final dot
	Quit      time.Duration
	Session   time.Duration // for everything up to the final dot
	Grace     time.Duration // from the signal to stop until the connection is cut
}

// DefaultTimes returns the times of RFC 5321 4.5.3.2, and our own where it has
// none.
func DefaultTimes() Times {
	return Times{
		Lookup: 30 * time.Second, Connect: 30 * time.Second, Greeting: 5 * time.Minute, Hello: 5 * time.Minute,
		Handshake: time.Minute, Mail: 5 * time.Minute, Rcpt: 5 * time.Minute, Data: 2 * time.Minute,
		Block: 3 * time.Minute, Answer: 10 * time.Minute, Quit: 5 * time.Second,
		Session: 2 * time.Hour, Grace: 5 * time.Second,
	}
}

var (
	errEarly  = errors.New("it answers before it is asked")
	errLong   = fmt.Errorf("its reply is longer than %d octets", maxReply)
	errCut    = errors.New("it closed the connection")
	errSilent = errors.New("no answer in time")
)

// reply is one whole reply as it came, made printable.
type reply struct {
	code int
	text string // all its lines, a blank between them
}

// class is the first digit, all that an unknown code says (RFC 5321 4.3.2); 0
// where no whole reply came.
func (r reply) class() int { return r.code / 100 }

// wire stands between go-smtp's client and the connection. Its deadlines hold
// whatever the client sets; it hands out one whole, printable, bounded reply a
// command and nothing that came unasked; it remembers the reply; and once it
// is cut not one more octet goes out, so that a text which we could not
// finish is never ended with a dot.
type wire struct {
	net.Conn
	times Times
	r     *bufio.Reader
	out   bytes.Buffer // what the client has not yet read of the reply

	command string // the last one sent; "" before the first
	reply   reply  // to it
	replied bool   // the reply is whole
	hello   bool   // it is the answer to EHLO: keywords in capitals (RFC 5321 2.4)
	body    bool   // what is written is the text
	broken  error  // for good

	mu      sync.Mutex
	end     time.Time // no deadline is later: the session's limit
	stopped bool
}

func newWire(c net.Conn, t Times, end time.Time) *wire {
	return &wire{Conn: c, times: t, r: bufio.NewReaderSize(c, maxReadLine), end: end}
}

// SetDeadline is the client's, which clears deadlines when it should not.
func (w *wire) SetDeadline(time.Time) error { return nil }

// allow gives what comes next so much time. past is whether the final dot is
// out: from then on only the answer tells what happened, and the session's own
// limit does not cut it off.
func (w *wire) allow(d time.Duration, past bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Now().Add(d)
	if at.After(w.end) && (!past || w.stopped) {
		at = w.end
	}
	w.Conn.SetDeadline(at)
}

// latest is when the session must end.
func (w *wire) latest() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end
}

// stop lets the session go on for a moment, since a transaction cut between
// the final dot and its answer comes twice.
func (w *wire) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.end = time.Now().Add(w.times.Grace)
	w.Conn.SetDeadline(w.end)
}

// cut ends the connection; nothing is written to it any more.
func (w *wire) cut(why error) {
	if w.broken == nil {
		w.broken = why
	}
	w.Conn.Close()
}

// Close is the client's, which closes after a refused greeting, before QUIT
// could be said (RFC 5321 3.1).
func (w *wire) Close() error { return nil }

// expect forgets the last reply: what names a command now but fails before it
// is sent has none.
func (w *wire) expect(command string) {
	w.command = command
	w.reply, w.replied = reply{}, false
}

// Write sends a command, or a piece of the text.
func (w *wire) Write(p []byte) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	if w.r.Buffered() > 0 && !w.body {
		w.cut(errEarly)
		return 0, errEarly
	}
	if w.body {
		w.allow(w.times.Block, false)
	} else {
		w.expect(strings.TrimRight(string(p), "\r\n"))
		w.hello = strings.HasPrefix(w.command, "EHLO ")
		w.allow(w.limit(w.command), false)
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.broken = plain(err)
		return n, w.broken
	}
	return n, nil
}

// text begins the text, behind the 354.
func (w *wire) text() {
	w.expect("message text")
	w.body = true
}

// lastWords reads what the host said before it stopped reading the text.
func (w *wire) lastWords() {
	w.body = false
	w.allow(w.times.Quit, true)
	_ = w.readReply() // mostly it has said nothing
}

// limit is how long the answer to a command may take.
func (w *wire) limit(command string) time.Duration {
	verb, _, _ := strings.Cut(command, " ")
	switch verb {
	case "MAIL", "RSET":
		return w.times.Mail
	case "RCPT":
		return w.times.Rcpt
	case "DATA":
		return w.times.Data
	case "QUIT":
		return w.times.Quit
	}
	return w.times.Hello
}

// answer makes the next reply the one to the final dot, which is out.
func (w *wire) answer() {
	w.expect("final dot")
	w.body = false
	w.allow(w.times.Answer, true)
}

// Read gives the client the reply to the last command.
func (w *wire) Read(p []byte) (int, error) {
	if w.out.Len() == 0 {
		if w.broken != nil {
			return 0, w.broken
		}
		if w.body {
			w.answer()
		}
		if err := w.readReply(); err != nil {
			w.cut(err)
			return 0, w.broken
		}
	}
	return w.out.Read(p)
}

// readReply reads one reply to its last line (RFC 5321 4.2.1).
func (w *wire) readReply() error {
	if w.replied {
		return errors.New("the reply was read already")
	}
	var lines []string
	for size := 0; ; {
		line, n, err := w.readLine()
		if err != nil {
			return err
		}
		if size += n; size > maxReply {
			return errLong
		}
		code, more, ok := splitReply(line)
		if !ok || len(lines) > 0 && code != w.reply.code {
			return fmt.Errorf("its answer is not SMTP: \"%s\"", visible.Shorten(line, 80))
		}
		w.reply.code = code
		lines = append(lines, line)
		if !more {
			break
		}
	}
	w.reply.text = visible.Shorten(strings.Join(lines, " "), keptReply)
	w.replied = true
	for _, line := range lines {
		if w.hello {
			line = strings.ToUpper(line)
		}
		if len(line) == 3 {
			line += " " // the client wants a text
		}
		w.out.WriteString(visible.Shorten(line, maxLine) + "\r\n")
	}
	return nil
}

// readLine returns a line in printable ASCII, and its size with its end.
func (w *wire) readLine() (string, int, error) {
	line, err := w.r.ReadSlice('\n')
	switch {
	case err == nil:
		text := bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
		return visible.ASCII(string(text)), len(line), nil
	case errors.Is(err, bufio.ErrBufferFull):
		return "", 0, fmt.Errorf("a line of its reply is longer than %d octets", maxReadLine)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", 0, fmt.Errorf("%w after \"%s\"", errCut, visible.ASCII(string(line[:min(len(line), 80)])))
	}
	return "", 0, plain(err)
}

// splitReply reads the code of a reply line, and whether another follows.
func splitReply(line string) (code int, more, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, false
		}
		code = code*10 + int(line[i]-'0')
	}
	return code, len(line) > 3 && line[3] == '-', code >= 200 && code < 600
}

// do sends a command itself, past the client.
func (w *wire) do(command string) error {
	if _, err := w.Write([]byte(command + "\r\n")); err != nil {
		return err
	}
	if err := w.readReply(); err != nil {
		w.cut(err)
		return err
	}
	w.out.Reset()
	return nil
}

// plain says what happened to a connection without the addresses that net's
// errors repeat.
func plain(err error) error {
	var op *net.OpError
	var call *os.SyscallError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errSilent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
