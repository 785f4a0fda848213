package sendmail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"paperpath/internal/addr"
	"paperpath/internal/compose"
	"paperpath/internal/status"
)

// Keywords in its reply to EHLO, beside those of SMTP.
const (
	KeyDomain = "X-DOMAIN" // the domain of addresses that have none
	KeyUser   = "X-USER"   // the client's login name, as the server knows it
	KeyBytes  = "X-BYTES"  // control/databytes; SIZE is no help, it counts CR
)

const (
	clientTimeout = 5 * time.Minute // for a reply, or for the server to read on
	maxLine       = 4096            // octets of a line of a reply
	maxLines      = 100             // of a reply

	// window is how many commands are sent before their replies are read: neither they nor the
	// replies can fill the socket, which would stop both sides.
	window = 50
)

// client is an SMTP client of run/submit. It knows as much of SMTP as that server needs. What
// go-smtp and its TLS need to start takes longer than the whole session.
type client struct {
	conn  stream
	in    *bufio.Reader
	out   *bufio.Writer
	host  string            // the server's name
	words map[string]string // keywords of its EHLO, with their parameters
}

// stream is a connection.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// timed has a deadline for each read and each write.
type timed struct{ stream }

// Read implements io.Reader.
func (t timed) Read(b []byte) (int, error) {
	if err := t.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return 0, err
	}
	return t.stream.Read(b)
}

// Write implements io.Writer.
func (t timed) Write(b []byte) (int, error) {
	if err := t.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return 0, err
	}
	return t.stream.Write(b)
}

func newClient(conn stream) *client {
	t := timed{conn}
	return &client{conn: conn, in: bufio.NewReaderSize(t, maxLine), out: bufio.NewWriterSize(t, 32<<10)}
}

// Close ends the connection. A text without its final dot is no message.
func (c *client) Close() { c.conn.Close() }

// reply is what the server said to a command.
type reply struct {
	code  int
	lines []string
}

// errProtocol says that the server does not speak SMTP.
var errProtocol = errors.New("not a reply of SMTP")

// reply reads a reply (RFC 5321 4.2). One with another code than want is an error.
func (c *client) reply(want int) (r reply, err error) {
	for more := true; more; {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return r, connectionLost(err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		code, err := strconv.Atoi(text[:min(len(text), 3)])
		if err != nil || code < 200 || code > 599 || len(r.lines) == maxLines || len(r.lines) > 0 && code != r.code {
			return r, connectionLost(errProtocol)
		}
		more = len(text) > 3 && text[3] == '-'
		r.code, r.lines = code, append(r.lines, text[min(len(text), 4):])
	}
	if r.code != want {
		return r, r.err()
	}
	return r, nil
}

// text is the first line, and its enhanced code (RFC 2034), "" if it has none.
func (r reply) text() (enhanced, text string) {
	code, rest, found := strings.Cut(r.lines[0], " ")
	var class, subject, detail int
	if n, err := fmt.Sscanf(code, "%d.%d.%d", &class, &subject, &detail); found && err == nil && n == 3 {
		return fmt.Sprintf("%d.%d.%d", class, subject, detail), rest
	}
	return "", r.lines[0]
}

func connectionLost(err error) error {
	return status.Temp("4.4.2", "lost the connection to "+Socket, err)
}

// err returns the error that the server made the reply of.
func (r reply) err() error {
	enhanced, text := r.text()
	if enhanced == "" {
		enhanced = fmt.Sprintf("%d.0.0", r.code/100)
	}
	exit := status.TempFail
	switch {
	case r.code == 452 && enhanced == "4.5.3": // RFC 5321 4.5.3.1.10
		return status.Refuse("5.5.3", "more than the recipients allowed in a message")
	case r.code < 500:
	case strings.HasPrefix(enhanced, "5.7."):
		exit = status.NotAllowed
	case enhanced == "5.1.1":
		exit = status.NoMailbox
	case r.code == 501 || r.code == 553:
		exit = status.Usage
	default:
		exit = status.Refused
	}
	return &status.Error{Exit: exit, Reply: r.code, Enhanced: enhanced, Text: text}
}

// hello greets the server, and learns what it says of itself.
func (c *client) hello() error {
	greeting, err := c.reply(220)
	if err != nil {
		return err
	}
	c.host, _, _ = strings.Cut(greeting.lines[0], " ")
	c.command("EHLO localhost")
	if err := c.flush(); err != nil {
		return err
	}
	says, err := c.reply(250)
	if err != nil {
		return err
	}
	c.words = map[string]string{}
	for _, line := range says.lines[1:] {
		name, value, _ := strings.Cut(line, " ")
		c.words[strings.ToUpper(name)] = value
	}
	if addr.CheckDomain(c.host) != nil || addr.CheckDomain(c.words[KeyDomain]) != nil {
		return status.Temp("4.3.0", "the server on "+Socket+" is not mailsubmit with the role local", nil)
	}
	return nil
}

// maxBytes is the largest size of a message, in octets; the server checks it too.
func (c *client) maxBytes() int64 {
	n, err := strconv.ParseInt(c.words[KeyBytes], 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// login is our login name as the server knows it. A server in another container
// may know only the uid: then it is the name that we have here.
func (c *client) login() string {
	if name := c.words[KeyUser]; name != "" && !isUIDName(name) {
		return name
	}
	return UserName(os.Getuid())
}

// UserName is the login name of a user, or uidN if there is none.
func UserName(uid int) string {
	id := strconv.Itoa(uid)
	if known, err := user.LookupId(id); err == nil && known.Username != "" {
		return known.Username
	}
	return "uid" + id
}

// isUIDName reports whether a name is just uidN.
func isUIDName(name string) bool {
	digits, ok := strings.CutPrefix(name, "uid")
	_, err := strconv.Atoi(digits)
	return ok && err == nil
}

// command writes a command into the buffer, whose errors flush has.
func (c *client) command(words ...string) {
	_, _ = c.out.WriteString(strings.TrimRight(strings.Join(words, " "), " ") + "\r\n")
}

func (c *client) flush() error {
	if err := c.out.Flush(); err != nil {
		return connectionLost(err)
	}
	return nil
}

// send sends a message, and returns the text of the reply. last says that no other follows.
func (c *client) send(env Envelope, body compose.Body, last bool) (string, error) {
	if err := c.envelope(env); err != nil {
		return "", err
	}
	if err := c.text(body, last); err != nil {
		return "", err
	}
	done, err := c.reply(250)
	if err != nil {
		return "", err
	}
	_, text := done.text()
	return text, nil
}

// envelope sends the commands before the text. Unless all of it is accepted there is no text.
func (c *client) envelope(env Envelope) error {
	all := env.From.Addr
	for _, r := range env.To {
		all += r.Addr
	}
	utf8Word := ""
	if strings.ContainsFunc(all, func(r rune) bool { return r >= utf8.RuneSelf }) {
		utf8Word = " SMTPUTF8"
	}
	c.command("MAIL FROM:<"+env.From.Addr+"> BODY=8BITMIME"+utf8Word, env.From.Params)
	waiting := 1
	for _, r := range env.To {
		if waiting == window {
			if err := c.accepted(waiting); err != nil {
				return err
			}
			waiting = 0
		}
		c.command("RCPT TO:<"+r.Addr+">", r.Params)
		waiting++
	}
	c.command("DATA")
	if err := c.accepted(waiting); err != nil {
		return err
	}
	_, err := c.reply(354)
	return err
}

// accepted sends what is in the buffer, and wants n commands to be accepted.
func (c *client) accepted(n int) error {
	if err := c.flush(); err != nil {
		return err
	}
	for range n {
		if _, err := c.reply(250); err != nil {
			return err
		}
	}
	return nil
}

// text sends the text of a message (RFC 5321 4.5.2), and the end of the session behind it if it is
// the last: its reply is not waited for. On an error the final dot is never sent, so that the server
// does not take a part of the message for all of it.
func (c *client) text(body compose.Body, last bool) error {
	in := bufio.NewReaderSize(io.NewSectionReader(body, 0, body.Size()), 32<<10)
	for start := true; ; {
		piece, err := in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return connectionLost(err)
		}
		line, ended := strings.CutSuffix(string(piece), "\n")
		if start && strings.HasPrefix(line, ".") {
			_ = c.out.WriteByte('.')
		}
		_, _ = c.out.WriteString(line)
		if ended || err == io.EOF && len(piece) > 0 {
			_, _ = c.out.WriteString("\r\n")
		}
		if start = ended; err == io.EOF {
			break
		}
	}
	c.command(".")
	if last {
		c.command("QUIT")
	}
	return c.flush()
}
