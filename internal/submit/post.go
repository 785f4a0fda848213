package submit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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

	"paperpath/internal/check"
	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// socketName is where the server of local submitters listens, in the home.
const socketName = "run/submit"

// Keywords in its answer to EHLO, beside those of SMTP.
const (
	keyDomain = "X-DOMAIN" // the domain of addresses without one
	keyUser   = "X-USER"   // the login name of the caller, as the server knows them
	keyBytes  = "X-BYTES"  // control/databytes, which SIZE cannot say: that counts line ends twice
)

// Limits of a caller who may not read the settings; the server knows those in
// force.
const (
	postHeader = 16 << 20        // octets of a header
	postFields = 1 << 17         // fields in it
	postWait   = 5 * time.Minute // for an answer
	postBusy   = time.Minute     // for a server that has too many callers
)

// line is a connection to run/submit.
type line struct {
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

// call connects to run/submit and says hello. Whoever calls sendmail seldom
// tries again, so while there are too many callers this does.
func call(ctx context.Context, home string) (*line, error) {
	begin := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		l, err := callOnce(home)
		var e *status.Error
		full := errors.Is(err, unix.EAGAIN) // the listener's queue
		busy := errors.As(err, &e) && e.Reply == 421 && e.Enhanced == "4.7.0"
		if !full && !busy || time.Since(begin) > postBusy {
			return l, err
		}
		if clock.Wait(ctx, pause); ctx.Err() != nil {
			return nil, err
		}
	}
}

func callOnce(home string) (*line, error) {
	conn, err := dial(home)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, text: textproto.NewConn(conn), words: map[string]string{}}
	if err := l.hello(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *line) Close() { l.text.Close() }

// bytes is how large a message may be, in octets; the server has the last word.
func (l *line) bytes() int64 {
	n, err := strconv.ParseInt(l.words[keyBytes], 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// login is the caller's name: as the server knows it, and where they have none
// there, as in a container, the one that they have here.
func (l *line) login() string {
	me := caller{uid: os.Getuid()}
	if name := l.words[keyUser]; name != "" && !nameless(name) {
		return name
	}
	return me.name()
}

func (l *line) hello() error {
	greeting, err := l.answer(220)
	if err != nil {
		return err
	}
	l.host, _, _ = strings.Cut(greeting, " ")
	text, err := l.command(250, "EHLO localhost")
	if err != nil {
		return err
	}
	for _, word := range strings.Split(text, "\n")[1:] {
		name, value, _ := strings.Cut(word, " ")
		l.words[strings.ToUpper(name)] = value
	}
	if control.CheckDomain(l.host) != nil || control.CheckDomain(l.words[keyDomain]) != nil {
		return status.Temp("4.3.0", "what listens at "+socketName+" is no mailsubmit with the role local", nil)
	}
	return nil
}

// command sends a line and reads its answer.
func (l *line) command(want int, format string, args ...any) (string, error) {
	l.conn.SetDeadline(time.Now().Add(postWait))
	if err := l.text.PrintfLine(format, args...); err != nil {
		return "", lost(err)
	}
	return l.answer(want)
}

func (l *line) answer(want int) (string, error) {
	l.conn.SetDeadline(time.Now().Add(postWait))
	_, text, err := l.text.ReadResponse(want)
	var refusal *textproto.Error
	switch {
	case errors.As(err, &refusal):
		return "", refused(refusal)
	case err != nil:
		return "", lost(err)
	}
	return text, nil
}

func lost(err error) error {
	return status.Temp("4.4.2", "the connection to "+socketName+" is lost", err)
}

// refused makes of a reply the error that it was made of.
func refused(e *textproto.Error) error {
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

// post hands the message on standard input to the server of run/submit. The
// kernel tells that who the caller is.
func post(ctx context.Context, h *home.Home, o Options) error {
	// Once before the message is read, so that nobody types in vain; then the
	// connection is not kept waiting, for the input of cron may last for hours.
	first, err := call(ctx, h.Dir)
	if err != nil {
		return err
	}
	l := missive{host: first.host, domain: first.words[keyDomain], now: h.Clock.Now(),
		read: func(b spool.Body) (*message.Header, error) {
			return check.HeaderWithin(postHeader, postFields, b)
		}}
	first.Close()
	if err := l.address(o, first.login()); err != nil {
		return err
	}
	buf := spool.NewBuffer(scratch)
	defer buf.Close()
	if err := read(h.Input(ctx), buf, first.bytes(), o.IgnoreDots); err != nil {
		return err
	}
	to, err := call(ctx, h.Dir)
	if err != nil {
		return err
	}
	defer to.Close()
	// The server knows who called: nothing is read as root from here on.
	if err := h.GiveUpRoot(); err != nil {
		return err
	}
	_, body, err := l.complete(buf)
	if err != nil {
		return err
	}
	for _, env := range l.envelopes() {
		reply, err := to.send(env, body)
		if err != nil {
			return err
		}
		if o.Verbose {
			fmt.Fprintf(h.Stderr, "%s: %s\n", h.Name, visible.Line(reply))
		}
	}
	to.command(221, "QUIT") // the message is taken, whatever the answer
	return nil
}

// scratch makes a file without a name for a message that is too large for the
// memory: in $TMPDIR, and where nothing can be written there after all in
// memory, which the caller's own limits bound.
func scratch() (*os.File, error) {
	f, err := os.CreateTemp("", "mailsubmit")
	if err == nil {
		if err = os.Remove(f.Name()); err == nil {
			return f, nil
		}
		f.Close()
	}
	fd, memErr := unix.MemfdCreate("mailsubmit", unix.MFD_CLOEXEC)
	if memErr != nil {
		return nil, fmt.Errorf("make a temporary file: %w", errors.Join(err, memErr))
	}
	return os.NewFile(uintptr(fd), "(memory)"), nil
}

// send speaks one transaction.
func (l *line) send(env spool.Envelope, body spool.Body) (string, error) {
	if _, err := l.command(250, "MAIL FROM:<%s>%s", env.From.Addr, mailParams(env)); err != nil {
		return "", err
	}
	for _, r := range env.To {
		if _, err := l.command(250, "RCPT TO:<%s>%s", r.Addr, blank(r.Params)); err != nil {
			return "", err
		}
	}
	if _, err := l.command(354, "DATA"); err != nil {
		return "", err
	}
	if err := l.data(body); err != nil {
		return "", lost(err)
	}
	reply, err := l.answer(250)
	_, text, _ := strings.Cut(reply, " ")
	return text, err
}

// mailParams are the parameters of MAIL that the envelope needs.
func mailParams(env spool.Envelope) string {
	params := " BODY=8BITMIME" + blank(env.From.Params)
	all := env.From.Addr + strings.Join(addresses(env), "")
	if strings.ContainsFunc(all, func(r rune) bool { return r >= utf8.RuneSelf }) {
		params += " SMTPUTF8"
	}
	return params
}

// blank puts one before what is not empty.
func blank(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// data sends the message with CRLF line ends and dots doubled. On an error the
// final dot is never sent, so that the message is not half taken.
func (l *line) data(body spool.Body) error {
	r := bufio.NewReaderSize(io.NewSectionReader(body, 0, body.Size()), 64<<10)
	w := bufio.NewWriterSize(l.conn, 64<<10)
	start, last := true, byte('\n')
	for {
		chunk, err := r.ReadSlice('\n')
		if len(chunk) > 0 {
			l.conn.SetWriteDeadline(time.Now().Add(postWait))
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
