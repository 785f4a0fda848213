package sendmail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/compose"
	"paperpath/internal/input"
	"paperpath/internal/message"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Limits of a program that may not read the settings; the server enforces those
// in control/.
const (
	postHeader = 16 << 20 // octets of a header
	postFields = 1 << 17  // fields in it
)

// Caller hands in a message from standard input.
type Caller struct {
	Options
	Name   string // of the program
	Home   string // its directory
	Now    time.Time
	Stdin  *input.Reader
	Stderr io.Writer

	Away  time.Duration // how long to wait for a server on run/submit
	Begun func() error  // called once the message is read, and the server knows the user: it gives up root
}

// Unread is an error before anything of the message was read, and not of a signal.
type Unread struct{ error }

// Unwrap returns the cause.
func (u Unread) Unwrap() error { return u.error }

// Post sends the message to the server of run/submit in the home, which learns
// from the kernel who the user is.
func (c *Caller) Post() error {
	to, err := connect(c.Stdin.Context, c.Home, c.Away)
	var signal interrupted
	switch {
	case errors.As(err, &signal):
		return err
	case err != nil:
		return Unread{err}
	}
	defer func() { to.Close() }()
	m := &Submission{Host: to.host, Domain: to.words[KeyDomain], Now: c.Now,
		Read: func(b compose.Body) (*message.Header, error) {
			return compose.Header(postHeader, postFields, b)
		}}
	if err := m.SetEnvelope(c.Options, to.login()); err != nil {
		return Unread{err}
	}
	// The first connection is for errors to come before a person types, and is
	// closed when the message is waited for: a job of cron may write its output for hours.
	waits := false
	c.Stdin.Waits = func() { to.Close(); waits = true }
	buf := message.NewBuffer(tempFile, nil)
	defer buf.Close()
	if err := c.ReadMessage(c.Stdin, buf, to.maxBytes()); err != nil {
		return err
	}
	if waits {
		again, err := connect(c.Stdin.Context, c.Home, c.Away)
		if err != nil {
			return err
		}
		to = again
	}
	// The server knows the user by now; nothing is parsed as root.
	if err := c.Begun(); err != nil {
		return err
	}
	_, body, err := m.Complete(buf)
	if err != nil {
		return err
	}
	return c.send(to, m.Envelopes(), body)
}

func (c *Caller) send(to *client, envelopes []Envelope, body compose.Body) error {
	for i, env := range envelopes {
		reply, err := to.send(env, body, i == len(envelopes)-1)
		if err != nil {
			return err
		}
		c.Tell(c.Name, c.Stderr, visible.Line(reply))
	}
	return nil
}

// Tell prints what became of the message, for -v.
func (o Options) Tell(name string, stderr io.Writer, text string) {
	if o.Verbose {
		fmt.Fprintf(stderr, "%s: %s\n", name, text)
	}
}

// ReadMessage reads a message from standard input, limit octets at most.
func (o Options) ReadMessage(stdin io.Reader, buf *message.Buffer, limit int64) error {
	in := intake{r: bufio.NewReaderSize(stdin, 64<<10), w: buf, limit: limit, dotEnds: !o.IgnoreDots}
	if err := in.copy(); err != nil {
		return err
	}
	if buf.Size() == 0 {
		return status.Refuse("5.6.0", "no message on standard input")
	}
	return nil
}

// SetEnvelope sets the envelope that the options describe.
func (m *Submission) SetEnvelope(o Options, login string) error {
	var err error
	if m.Identity, err = identityOf(o, login, m.Domain, os.Getenv); err != nil {
		return err
	}
	m.From.Addr = m.Identity.Sender.String()
	if err := m.setDSN(o); err != nil {
		return err
	}
	m.FromHeader, m.VERP = o.FromHeader, o.VERP
	list, err := Recipients(o.Recipients)
	m.Add(list)
	return err
}

// Recipients parses operands, each an address or a list of them.
func Recipients(words []string) ([]addr.Address, error) {
	var all []addr.Address
	for _, word := range words {
		list, err := addr.ParseList(word)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%q contains no address", word)
		}
		if err != nil {
			return nil, status.UsageError("recipient %v", err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// tempFile makes a file without a name for a message that is too large for the
// buffer: in $TMPDIR, or in memory if nothing can be written there; the limits
// of the user's processes bound that.
func tempFile() (*os.File, error) {
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
