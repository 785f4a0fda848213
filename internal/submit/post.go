package submit

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"paperpath/internal/check"
	"paperpath/internal/home"
	"paperpath/internal/message"
	"paperpath/internal/spool"
	"paperpath/internal/visible"
)

// Limits of a caller who may not read the settings; the server knows those in
// force.
const (
	postHeader = 16 << 20 // octets of a header
	postFields = 1 << 17  // fields in it
)

// post hands the message on standard input to the server of run/submit. The
// kernel tells that who the caller is.
func post(ctx context.Context, h *home.Home, o Options) error {
	// Once before the message is read, so that nobody types in vain; then the
	// connection is not kept waiting, for the input of cron may last for hours.
	first, err := connect(ctx, h.Dir)
	if err != nil {
		return err
	}
	m := submission{host: first.host, domain: first.words[keyDomain], now: h.Clock.Now(),
		read: func(b spool.Body) (*message.Header, error) {
			return check.HeaderWithin(postHeader, postFields, b)
		}}
	first.Close()
	if err := m.address(o, first.login()); err != nil {
		return err
	}
	buf := spool.NewBuffer(scratch)
	defer buf.Close()
	if err := read(h.Input(ctx), buf, first.maxBytes(), o.IgnoreDots); err != nil {
		return err
	}
	to, err := connect(ctx, h.Dir)
	if err != nil {
		return err
	}
	defer to.Close()
	// The server knows who called: nothing is read as root from here on.
	if err := h.GiveUpRoot(); err != nil {
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
