package submit

import (
	"bufio"
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

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/listen"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// socketName is where the server of local submitters listens, in the home.
const socketName = "run/submit"

// Keywords in its answer to EHLO, beside those of SMTP.
const (
	keyDomain = "X-DOMAIN" // the domain of addresses without one
	keyUser   = "X-USER"   // the login name of the caller, as the server knows them
	keyBytes  = "X-BYTES"  // control/databytes, which SIZE cannot say: that counts line ends twice
)

// Limits of the client.
const (
	postWait = 5 * time.Minute // for an answer
	postBusy = time.Minute     // for a server that has too many clients
)

// submitClient is a connection to run/submit.
type submitClient struct {
	conn  net.Conn
	text  *textproto.Conn
	host  string            // the server's name
	words map[string]string // EHLO keywords with their parameters
}

// dial connects to run/submit. Where nobody listens that is the answer at once.
func dial(home string) (net.Conn, error) {
	path := filepath.Join(home, socketName)
	conn, err := listen.DialUnix(path, 10*time.Second)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // what it adds is the path again
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, status.Temp("4.3.0", "the way to "+path+" is closed (mailctl init, as root, opens it)", err)
		}
		return nil, status.Temp("4.3.0", "nobody takes mail at "+path+" (mailctl start runs its server)", err)
	}
	return conn, nil
}

// connect connects to run/submit and says hello. Whoever calls sendmail seldom
// tries again, so while there are too many callers this does.
func connect(ctx context.Context, home string) (*submitClient, error) {
	begin := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		c, err := connectOnce(home)
		var e *status.Error
		full := errors.Is(err, unix.EAGAIN) // the listener's queue
		busy := errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.7.0"
		if !full && !busy || time.Since(begin) > postBusy {
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
	c := &submitClient{conn: conn, text: textproto.NewConn(conn), words: map[string]string{}}
	if err := c.hello(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *submitClient) Close() { c.text.Close() }

// maxBytes is how large a message may be, in octets; the server has the last word.
func (c *submitClient) maxBytes() int64 {
	n, err := strconv.ParseInt(c.words[keyBytes], 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// login is the caller's name: as the server knows it, and where they have none
// there, as in a container, the one that they have here.
func (c *submitClient) login() string {
	me := localUser{uid: os.Getuid()}
	if name := c.words[keyUser]; name != "" && !isUIDName(name) {
		return name
	}
	return me.name()
}

func (c *submitClient) hello() error {
	greeting, err := c.answer(220)
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
	if control.CheckDomain(c.host) != nil || control.CheckDomain(c.words[keyDomain]) != nil {
		return status.Temp("4.3.0", "what listens at "+socketName+" is no mailsubmit with the role local", nil)
	}
	return nil
}

// command sends a line and reads its answer.
func (c *submitClient) command(want int, format string, args ...any) (string, error) {
	c.conn.SetDeadline(time.Now().Add(postWait))
	if err := c.text.PrintfLine(format, args...); err != nil {
		return "", connectionLost(err)
	}
	return c.answer(want)
}

func (c *submitClient) answer(want int) (string, error) {
	c.conn.SetDeadline(time.Now().Add(postWait))
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
	return status.Temp("4.4.2", "the connection to "+socketName+" is lost", err)
}

// replyError makes of a reply the error that it was made of.
func replyError(e *textproto.Error) error {
	enhanced, text, _ := strings.Cut(e.Msg, " ")
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	exit := status.TempFail
	switch {
	case e.Code == 452 && enhanced == "4.5.3": // RFC 5321 4.5.3.1.10
		return tooMany("the recipients that a message may have")
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

// send speaks one transaction.
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
	reply, err := c.answer(250)
	_, text, _ := strings.Cut(reply, " ")
	return text, err
}

// mailParams are the parameters of MAIL that the envelope needs.
func mailParams(env spool.Envelope) string {
	params := " BODY=8BITMIME" + withSpace(env.From.Params)
	all := env.From.Addr + strings.Join(addresses(env), "")
	if strings.ContainsFunc(all, func(r rune) bool { return r >= utf8.RuneSelf }) {
		params += " SMTPUTF8"
	}
	return params
}

// withSpace puts one before what is not empty.
func withSpace(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// data sends the message with CRLF line ends and dots doubled. On an error the
// final dot is never sent, so that the message is not half taken.
func (c *submitClient) data(body spool.Body) error {
	r := bufio.NewReaderSize(io.NewSectionReader(body, 0, body.Size()), 64<<10)
	w := bufio.NewWriterSize(c.conn, 64<<10)
	start, last := true, byte('\n')
	for {
		chunk, err := r.ReadSlice('\n')
		if len(chunk) > 0 {
			c.conn.SetWriteDeadline(time.Now().Add(postWait))
			if start && chunk[0] == '.' {
				w.WriteByte('.')
			}
			last = chunk[len(chunk)-1]
			if start = last == '\n'; start {
				w.Write(chunk[:len(chunk)-1])
				w.WriteString("\r\n")
			} else {
				w.Write(chunk)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if last != '\n' {
		w.WriteString("\r\n")
	}
	w.WriteString(".\r\n")
	return w.Flush() // a bufio.Writer keeps the first error
}
