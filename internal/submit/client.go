package submit

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/clock"
	"paperpath/internal/listen"
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
)

// submitClient is an SMTP client of run/submit. go-smtp's, which speaks LMTP for
// mailrelay, does not do here: it drops the texts of the greeting and of the first line
// after EHLO, which name the server, and so the Message-IDs and addresses that we make; it
// takes the parameters of an envelope apart only to build them anew; and after an error in
// the text its Close ends the message with a dot.
type submitClient struct {
	text  *textproto.Conn
	host  string            // the server's name
	words map[string]string // EHLO keywords with their parameters
}

// dial connects to run/submit. It does not wait for a server to be started.
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

// connect connects to run/submit and says hello. It tries again while the server
// has too many clients, for the callers of sendmail seldom do.
func connect(ctx context.Context, home string) (*submitClient, error) {
	begin := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		c, err := connectOnce(home)
		var e *status.Error
		full := errors.Is(err, unix.EAGAIN) // the listener's queue
		busy := errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.7.0"
		if !full && !busy || time.Since(begin) > busyTimeout {
			return c, err
		}
		if clock.Wait(ctx, pause); ctx.Err() != nil {
			return nil, err
		}
	}
}

func connectOnce(home string) (*submitClient, error) {
	conn, err := dial(home)
	if err != nil {
		return nil, err
	}
	c := &submitClient{text: textproto.NewConn(timedConn{conn}), words: map[string]string{}}
	if err := c.hello(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// timedConn has a deadline for each read and each write.
type timedConn struct{ net.Conn }

func (c timedConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(clientTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c timedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(clientTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *submitClient) Close() { c.text.Close() }

// maxBytes is the largest size of a message, in octets; the server checks it too.
func (c *submitClient) maxBytes() int64 {
	n, err := strconv.ParseInt(c.words[keyBytes], 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// login is our login name as the server knows it. A server in another container
// may know only the uid: then it is the name that we have here.
func (c *submitClient) login() string {
	me := localUser{uid: os.Getuid()}
	if name := c.words[keyUser]; name != "" && !isUIDName(name) {
		return name
	}
	return me.name()
}

func (c *submitClient) hello() error {
	greeting, err := c.reply(220)
	if err != nil {
		return err
	}
	c.host, _, _ = strings.Cut(greeting, " ")
	text, err := c.command(250, "EHLO localhost")
	if err != nil {
		return err
	}
	for _, word := range strings.Split(text, "\n")[1:] {
		name, value, _ := strings.Cut(word, " ")
		c.words[strings.ToUpper(name)] = value
	}
	if addr.CheckDomain(c.host) != nil || addr.CheckDomain(c.words[keyDomain]) != nil {
		return status.Temp("4.3.0", "the server on "+socketName+" is not mailsubmit with the role local", nil)
	}
	return nil
}

// command sends a command and reads the reply.
func (c *submitClient) command(want int, format string, args ...any) (string, error) {
	if err := c.text.PrintfLine(format, args...); err != nil {
		return "", connectionLost(err)
	}
	return c.reply(want)
}

func (c *submitClient) reply(want int) (string, error) {
	_, text, err := c.text.ReadResponse(want)
	var refusal *textproto.Error
	switch {
	case errors.As(err, &refusal):
		return "", replyError(refusal)
	case err != nil:
		return "", connectionLost(err)
	}
	return text, nil
}

func connectionLost(err error) error {
	return status.Temp("4.4.2", "lost the connection to "+socketName, err)
}

// replyError returns the error that the server made the reply of.
func replyError(e *textproto.Error) error {
	enhanced, text, _ := strings.Cut(e.Msg, " ")
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
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
	if _, err := c.command(250, "MAIL FROM:<%s>%s", env.From.Addr, mailParams(env)); err != nil {
		return "", err
	}
	for _, r := range env.To {
		if _, err := c.command(250, "RCPT TO:<%s>%s", r.Addr, withSpace(r.Params)); err != nil {
			return "", err
		}
	}
	if _, err := c.command(354, "DATA"); err != nil {
		return "", err
	}
	if err := c.data(body); err != nil {
		return "", connectionLost(err)
	}
	reply, err := c.reply(250)
	_, text, _ := strings.Cut(reply, " ")
	return text, err
}

// mailParams returns the parameters of MAIL for the envelope.
func mailParams(env spool.Envelope) string {
	params := " BODY=8BITMIME" + withSpace(env.From.Params)
	all := env.From.Addr + strings.Join(addresses(env), "")
	if strings.ContainsFunc(all, func(r rune) bool { return r >= utf8.RuneSelf }) {
		params += " SMTPUTF8"
	}
	return params
}

// withSpace puts a space before s unless it is empty.
func withSpace(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// data sends the message. On an error the final dot is never sent, so that the
// server does not take a part of the message for all of it.
func (c *submitClient) data(body spool.Body) error {
	w := c.text.DotWriter()
	if _, err := io.Copy(w, io.NewSectionReader(body, 0, body.Size())); err != nil {
		return err
	}
	return w.Close()
}
