package submit

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"paperpath/internal/check"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// Limits of a program that may not read the settings; the server enforces those
// in control/.
const (
	postHeader = 16 << 20 // octets of a header
	postFields = 1 << 17  // fields in it
)

// post sends the message to the server of run/submit in the home, which learns
// from the kernel who the user is. giveUpRoot is called once it has.
func (s *sendmail) post(ctx context.Context, home string, giveUpRoot func() error) error {
	// The first connection is for errors to come before a person types, and is
	// then closed: a job of cron may write its output for hours.
	first, err := connect(ctx, home, s.away)
	if err != nil {
		return err
	}
	m := &submission{host: first.host, domain: first.word(keyDomain), now: s.now,
		read: func(b spool.Body) (*message.Header, error) {
			return check.HeaderWithin(postHeader, postFields, b)
		}}
	first.Close()
	if err := m.setEnvelope(s.Options, first.login()); err != nil {
		return err
	}
	buf := spool.NewBuffer(tempFile)
	defer buf.Close()
	if err := s.read(buf, first.maxBytes()); err != nil {
		return err
	}
	to, err := connect(ctx, home, s.away)
	if err != nil {
		return err
	}
	defer to.Close()
	// The server knows the user by now; nothing is parsed as root.
	if err := giveUpRoot(); err != nil {
		return err
	}
	_, body, err := m.complete(buf)
	if err != nil {
		return err
	}
	for _, env := range m.envelopes() {
		reply, err := to.send(env, body)
		if err != nil {
			return err
		}
		s.tell(visible.Line(reply))
	}
	to.smtp.Quit() // the message is accepted, whatever the reply
	return nil
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
