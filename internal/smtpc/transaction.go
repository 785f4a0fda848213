package smtpc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Message is a transaction: an envelope and a text.
type Message struct {
	Mail string   // what follows MAIL: FROM:<a@x.example> and its parameters
	Rcpt []string // what follows each RCPT: TO:<b@y.example> and its parameters

	// Text opens the text: CRLF line ends, no bare CR or LF, the last line ended. It
	// has Size octets: a shorter or longer one is an error, and the session ends before
	// the host can take it for complete.
	Text func() io.Reader
	Size int64

	// Begun is called with the answers to the envelope when the text is about to be sent, if it
	// is not nil.
	Begun func(*Result)

	// Done is called with the result at the end. Where all has gone well, and the next small
	// text can go out at once, it is called as soon as that is out.
	Done func(*Result)
}

// Result is what a host said to a transaction. A recipient i has its message if
// and only if Taken(i).
type Result struct {
	Mail  Reply
	Rcpt  []Reply // those that were read
	Data  Reply   // to DATA, if one was read
	Final Reply   // to the end of the text

	// Err is why the session ended before all of them were read.
	Err error
	// Command is the command without a reply, as it was sent.
	Command string
	// Words is what the host said when it ended the session: a 421, or a reply
	// that came while the text was sent.
	Words Reply

	Begun   bool  // the text was begun
	Ours    error // why the text could not be read; the host has no whole message
	Sent    bool  // the end of the text went out: without Final the outcome is unknown
	Unheard bool  // the session ended before the first reply to this transaction, and before its text was out
	Ahead   bool  // the envelope of the next message went out after this text

	Took time.Duration // the wait for the last reply
}

// clean reports whether the host has taken the message for all recipients.
func (r *Result) clean() bool {
	for _, one := range r.Rcpt {
		if one.Class() != 2 {
			return false
		}
	}
	return r.Err == nil && r.Final.Class() == 2
}

// Taken reports whether the host has taken the message for recipient i.
func (r *Result) Taken(i int) bool {
	return r.Mail.Class() == 2 && i < len(r.Rcpt) && r.Rcpt[i].Class() == 2 && r.Final.Class() == 2
}

// accepted reports whether there is a recipient to send the text for.
func (r *Result) accepted() bool {
	if r.Mail.Class() != 2 {
		return false
	}
	for _, one := range r.Rcpt {
		if one.Class() == 2 {
			return true
		}
	}
	return false
}

// Options are how a session sends.
type Options struct {
	Pipeline bool // several commands in a flight, where the host offers it
	Chunk    bool // BDAT, where the host offers it
	Ahead    bool // the next envelope in the flight of the end of a text
	Inflight int  // whole transactions that may be out without an answer, where the host offers both
}

// Send sends first, and after it what next returns, until that is nil or the session is
// over. next is called while the text before it is being sent, and must not block. Each
// message's Done has been called once when Send returns.
func (s *Client) Send(o Options, first *Message, next func() *Message) {
	_, pipelines := s.offered["PIPELINING"]
	_, chunks := s.offered["CHUNKING"]
	f := &flight{Client: s, pipelined: o.Pipeline && pipelines, chunked: o.Chunk && chunks}
	defer f.tell() // also where something panics: the host has that message
	if f.pipelined && f.chunked && o.Inflight > 1 {
		f.abreast(first, next, o.Inflight)
		return
	}
	for t := f.begin(first); t != nil; {
		t = f.run(t, next, o.Ahead)
	}
}

// flight is a run of transactions.
type flight struct {
	*Client
	pipelined, chunked bool
	owed               *transaction // has its result, which its Done was not told so far
}

// transaction is a message on its way.
type transaction struct {
	*Message
	res     *Result
	reset   bool // its envelope begins with RSET
	written int  // commands of its envelope that are out, or in the flight
	heard   int  // replies to them
}

func (f *flight) begin(m *Message) *transaction {
	return &transaction{Message: m, res: &Result{}, reset: f.dirty}
}

// commands is how many commands the envelope has.
func (f *flight) commands(t *transaction) int {
	n := 1 + len(t.Rcpt)
	if t.reset {
		n++
	}
	if !f.chunked {
		n++
	}
	return n
}

// at names the nth command of the envelope, and what follows it.
func (t *transaction) at(n int) (verb, rest string) {
	if t.reset {
		n--
	}
	switch {
	case n < 0:
		return "RSET", ""
	case n == 0:
		return "MAIL", t.Mail
	case n <= len(t.Rcpt):
		return "RCPT", t.Rcpt[n-1]
	}
	return "DATA", ""
}

// line is the nth command.
func (t *transaction) line(n int) string {
	verb, rest := t.at(n)
	return strings.TrimSuffix(verb+" "+rest, " ")
}

// maxFlight is how many octets of commands are out without a reply: more could
// make both sides wait for the other to read (RFC 2920 3.1).
const maxFlight = 16 << 10

// run finishes a transaction and returns the next one, whose envelope may have gone out
// already; nil if there is none.
func (f *flight) run(t *transaction, next func() *Message, ahead bool) *transaction {
	if !f.envelope(t) {
		f.end(t)
		return nil
	}
	var behind *transaction
	take := func() {
		if m := next(); m != nil {
			behind = f.begin(m)
		}
	}
	if f.wanted(t) {
		if t.Size > pieceSize {
			f.tell() // the text may take long
		}
		if t.Begun != nil {
			t.Begun(t.res)
		}
		f.text(t, func() {
			if ahead && f.pipelined {
				take()
			}
			if behind != nil {
				behind.reset, t.res.Ahead = true, true
				f.write(behind)
			}
		})
	}
	f.end(t)
	if behind == nil {
		f.tell()
		if !f.Over() {
			take()
		}
	}
	return behind
}

// end notes how a transaction ended. One that went well is told later: the line waits for the
// next text, while a caller has much to do for the former one.
func (f *flight) end(t *transaction) {
	f.tell()
	t.res.Took = f.conn.took
	t.res.Unheard = t.res.Err != nil && t.heard == 0 && !t.res.Sent
	f.dirty = t.res.Final.Class() != 2
	if f.owed = t; !t.res.clean() {
		f.tell()
	}
}

// reply reads a reply. Nobody waits for one while a result is not told.
func (f *flight) reply(limit time.Duration, past bool) (Reply, error) {
	if f.owed != nil && !f.conn.answered() {
		f.tell()
	}
	return f.conn.reply(limit, past, nil)
}

// tell calls Done of the transaction that has ended.
func (f *flight) tell() {
	if t := f.owed; t != nil {
		f.owed = nil
		t.Done(t.res)
	}
}

// write puts as much of an envelope into the flight as may go out before the
// next reply is read.
func (f *flight) write(t *transaction) {
	before := len(f.conn.out)
	for n := f.commands(t); t.written < n; t.written++ {
		if len(f.conn.out)-before >= maxFlight || !f.pipelined && t.written > t.heard {
			return
		}
		f.conn.command(t.line(t.written))
	}
}

// envelope sends what is left of an envelope and reads the replies. It reports whether
// the session can go on.
func (f *flight) envelope(t *transaction) bool {
	for n := f.commands(t); t.heard < n; {
		if t.heard == t.written {
			if f.stop(t) {
				return true
			}
			if err := f.conn.silent(); err != nil {
				return f.lost(t, t.line(t.heard), err)
			}
			f.write(t)
			if err := f.conn.flush(); err != nil {
				return f.lost(t, t.line(t.heard), err)
			}
		}
		if !f.answer(t) {
			return false
		}
	}
	return true
}

// stop reports whether the replies so far make the rest of the envelope pointless; then
// it is not sent.
func (f *flight) stop(t *transaction) bool {
	if t.res.Mail.Class() >= 4 {
		return true
	}
	verb, _ := t.at(t.heard)
	return verb == "DATA" && !t.res.accepted()
}

// answer reads the reply to the next command of an envelope.
func (f *flight) answer(t *transaction) bool {
	verb, _ := t.at(t.heard)
	line := t.line(t.heard)
	r, err := f.reply(f.limit(verb), false)
	if err != nil {
		return f.lost(t, line, err)
	}
	t.heard++
	if r.Code == 421 {
		f.refused = errors.New(r.Text)
	}
	possible := r.Class() == 2 && r.Code != 221 || r.Class() >= 4
	switch verb {
	case "RSET":
		possible = r.Class() == 2 && r.Code != 221 || r.Code == 421
	case "MAIL":
		t.res.Mail = r
	case "RCPT":
		t.res.Rcpt = append(t.res.Rcpt, r)
	case "DATA":
		t.res.Data = r
		possible = r.Code == 354 || r.Class() >= 4
	}
	if !possible {
		return f.lost(t, line, f.impossible(verb, r).Err)
	}
	if f.refused != nil {
		t.res.Words = r
		return f.lost(t, line, f.refused)
	}
	return true
}

// lost notes that the session ended inside a transaction.
func (f *flight) lost(t *transaction, command string, err error) bool {
	t.res.Err, t.res.Command = err, command
	f.conn.cut(err)
	return false
}

// limit is how long the answer to a command may take.
func (f *flight) limit(verb string) time.Duration {
	switch verb {
	case "RCPT":
		return f.conn.times.Rcpt
	case "DATA":
		return f.conn.times.Data
	}
	return f.conn.times.Mail
}

// wanted reports whether the text is to be sent. A host that says 354 though no
// recipient is accepted waits for a text: it gets an empty one, which goes to no one.
func (f *flight) wanted(t *transaction) bool {
	if t.res.accepted() && (f.chunked || t.res.Data.Code == 354) {
		return true
	}
	if t.res.Data.Code != 354 {
		return false
	}
	f.conn.command(".")
	if err := f.conn.flush(); err != nil {
		return f.lost(t, "final dot", err)
	}
	r, err := f.reply(f.conn.times.Answer, true)
	if err != nil {
		return f.lost(t, "final dot", err)
	}
	if r.Code == 421 {
		return f.lost(t, "final dot", fmt.Errorf("%s", r.Text))
	}
	return false
}
