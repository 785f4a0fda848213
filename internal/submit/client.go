package submit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/clock"
	"paperpath/internal/listen"
	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// socketName is the socket of the server with the role local, in the home.
const socketName = "run/submit"

// Keywords in its reply to EHLO, beside those of SMTP.
const (
	keyDomain = "X-DOMAIN" // the domain of addresses that have none
	keyUser   = "X-USER"   // the client's login name, as the server knows it
	keyBytes  = "X-BYTES"  // control/databytes; SIZE is no help, it counts CR
)

const (
	clientTimeout = 5 * time.Minute // for a reply, or for the server to read on
	busyTimeout   = time.Minute     // for a server that has too many clients

	// awayTimeout is for a server that is being started again, by mailctl start after a
	// second or by systemd after five: the callers of sendmail do not try again.
	awayTimeout = 10 * time.Second
)

// submitClient is an SMTP client of run/submit. go-smtp speaks the protocol.
type submitClient struct {
	smtp *smtp.Client
	conn *heardConn
	host string // the server's name
}

// dial connects to run/submit once.
func dial(home string) (net.Conn, error) {
	path := filepath.Join(home, socketName)
	conn, err := listen.DialUnix(path, 10*time.Second)
	if err == nil {
		return conn, nil
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the rest of it is the path again
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, status.Temp("4.3.0", "no permission to connect to "+path+
			" (mailctl init, run as root, opens the directories above it)", err)
	}
	return nil, status.Temp("4.3.0", "no server is listening on "+path+" (mailctl start runs it)", err)
}

// connect connects to run/submit and says hello. It waits as again does.
func connect(ctx context.Context, home string, away time.Duration) (c *submitClient, err error) {
	err = again(ctx, away, func() error {
		c, err = connectOnce(home)
		return err
	})
	return c, err
}

// again repeats what connects to run/submit while the server has too many clients, and for
// the time away while there is none, for the callers of sendmail seldom do.
func again(ctx context.Context, away time.Duration, connect func() error) error {
	begin := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := connect()
		if time.Since(begin) > tryFor(err, away) {
			return err
		}
		if clock.Wait(ctx, pause); ctx.Err() != nil {
			return err
		}
	}
}

// tryFor is how long a caller tries again after err.
func tryFor(err error, away time.Duration) time.Duration {
	var e *status.Error
	switch {
	case err == nil:
		return -1
	case errors.Is(err, unix.EAGAIN), // the listener's queue is full
		errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.7.0":
		return busyTimeout
	case nobodyListens(err), errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET),
		errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.3.2": // it ends
		return away
	}
	return -1
}

// nobodyListens reports whether there is no server on the socket. One that may not be
// connected to is there.
func nobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}

func connectOnce(home string) (*submitClient, error) {
	conn, err := dial(home)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err := c.hello(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func newClient(conn net.Conn) *submitClient {
	c := &submitClient{conn: &heardConn{Conn: conn}}
	c.smtp = smtp.NewClient(c.conn)
	return c
}

// heardConn is a connection that has a deadline for each read and each write, and keeps
// the beginning of what it reads: the greeting names the server, and go-smtp drops it.
type heardConn struct {
	net.Conn
	first []byte
}

// maxGreeting is how much of the first line can be the server's name.
const maxGreeting = 512

// Read implements net.Conn.
func (c *heardConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(clientTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.first = append(c.first, b[:min(n, maxGreeting-len(c.first))]...)
	return n, err
}

// Write implements net.Conn.
func (c *heardConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(clientTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// name is the server's in its greeting: "220 mx.example.org ESMTP".
func (c *heardConn) name() string {
	line, _, _ := strings.Cut(string(c.first), "\r\n")
	if words := strings.Split(line, " "); len(words) > 1 {
		return words[1]
	}
	return ""
}

// Close ends the connection. A text without its final dot is no message.
func (c *submitClient) Close() { c.conn.Close() }

// word returns the parameters of an EHLO keyword.
func (c *submitClient) word(name string) string {
	_, value := c.smtp.Extension(name)
	return value
}

// maxBytes is the largest size of a message, in octets; the server checks it too.
func (c *submitClient) maxBytes() int64 {
	n, err := strconv.ParseInt(c.word(keyBytes), 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// login is our login name as the server knows it. A server in another container
// may know only the uid: then it is the name that we have here.
func (c *submitClient) login() string {
	me := localUser{uid: os.Getuid()}
	if name := c.word(keyUser); name != "" && !isUIDName(name) {
		return name
	}
	return me.name()
}

func (c *submitClient) hello() error {
	if err := c.smtp.Hello("localhost"); err != nil {
		return failed(err)
	}
	c.host = c.conn.name()
	if addr.CheckDomain(c.host) != nil || addr.CheckDomain(c.word(keyDomain)) != nil {
		return status.Temp("4.3.0", "the server on "+socketName+" is not mailsubmit with the role local", nil)
	}
	return nil
}

// failed returns what an error of the client means.
func failed(err error) error {
	var refusal *smtp.SMTPError
	if errors.As(err, &refusal) {
		return replyError(refusal)
	}
	return connectionLost(err)
}

func connectionLost(err error) error {
	return status.Temp("4.4.2", "lost the connection to "+socketName, err)
}

// replyError returns the error that the server made the reply of.
func replyError(e *smtp.SMTPError) error {
	c := e.EnhancedCode
	if c == smtp.EnhancedCodeNotSet {
		c[0] = e.Code / 100
	}
	enhanced := fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2])
	text, _, _ := strings.Cut(e.Message, "\n")
	exit := status.TempFail
	switch {
	case e.Code == 452 && enhanced == "4.5.3": // RFC 5321 4.5.3.1.10
		return tooMany("the recipients allowed in a message")
	case e.Code < 500:
	case strings.HasPrefix(enhanced, "5.7."):
		exit = status.NotAllowed
	case enhanced == "5.1.1":
		exit = status.NoMailbox
	case e.Code == 501 || e.Code == 553:
		exit = status.Usage
	default:
		exit = status.Refused
	}
	return &status.Error{Exit: exit, Reply: e.Code, Enhanced: enhanced, Text: text}
}

// send sends a message, and returns the text of the reply.
func (c *submitClient) send(env spool.Envelope, body spool.Body) (string, error) {
	o := params.MailOptions(env.From.Params)
	all := env.From.Addr + strings.Join(addresses(env), "")
	o.UTF8 = strings.ContainsFunc(all, func(r rune) bool { return r >= utf8.RuneSelf })
	if err := c.smtp.Mail(env.From.Addr, o); err != nil {
		return "", failed(err)
	}
	for _, r := range env.To {
		if err := c.smtp.Rcpt(r.Addr, params.RcptOptions(r.Params)); err != nil {
			return "", failed(err)
		}
	}
	return c.data(body)
}

// data sends the message. On an error the final dot is never sent, so that the
// server does not take a part of the message for all of it.
func (c *submitClient) data(body spool.Body) (string, error) {
	w, err := c.smtp.Data()
	if err != nil {
		return "", failed(err)
	}
	if _, err := io.Copy(w, io.NewSectionReader(body, 0, body.Size())); err != nil {
		return "", connectionLost(err)
	}
	reply, err := w.CloseWithResponse()
	if err != nil {
		return "", failed(err)
	}
	_, text, _ := strings.Cut(reply.StatusText, " ")
	return text, nil
}
