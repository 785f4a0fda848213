package submit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Options are what the sendmail face was told.
type Options struct {
	Recipients []string // operands
	FromHeader bool     // -t: the recipients stand in the header too
	Sender     string   // -f: the reverse path
	SenderSet  bool
	FullName   string // -F
	IgnoreDots bool   // -i
	Verbose    bool   // -v: print the key
	Notify     string // -N: when to report (RFC 3461 4.1)
	Return     string // -R: what a report returns (RFC 3461 4.3)
	EnvID      string // -V: in reports (RFC 3461 4.4)
	VERP       string // -XV: delimiters of a variable envelope return path
}

// Message accepts the message on standard input into check/. A nil error says
// that it is durable there. Only the owner of the spool writes it; the messages
// of everybody else go through run/submit.
func Message(ctx context.Context, h *home.Home, o Options) error {
	if len(o.Recipients) == 0 && !o.FromHeader {
		return status.UsageError("no recipients (name them, or use -t)")
	}
	if !ownsSpool(h.Dir) {
		return post(ctx, h, o)
	}
	who := localUser{uid: os.Getuid(), via: "stdin"}
	m := submission{now: h.Clock.Now()}
	err := direct(ctx, h, o, &m, who)
	switch status.Exit(err) {
	case status.Refused, status.NotAllowed:
		h.Log.Refused(m.from.Addr, strings.Join(o.Recipients, " "), err.Error(), who.client(""))
	}
	return err
}

// ownsSpool reports whether the caller is the owner of the spool and may write
// it. Where there is no spool at all, neither run/submit nor an error that
// says so is far. Both are asked: in a user namespace the ids of strangers
// look the same.
func ownsSpool(home string) bool {
	path := filepath.Join(home, "spool")
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		_, err := os.Lstat(filepath.Join(home, socketName))
		return err != nil
	}
	return int(st.Uid) == os.Geteuid() && unix.Access(path, unix.W_OK|unix.X_OK) == nil
}

// direct writes the spool.
func direct(ctx context.Context, h *home.Home, o Options, m *submission, who localUser) error {
	a, err := newAcceptor(h)
	if err != nil {
		return err
	}
	m.host, m.read = a.host, a.readHeader
	if m.domain, err = ourDomain(h.Control); err != nil {
		return err
	}
	if err := m.address(o, who.name()); err != nil {
		return err
	}
	if err := a.checkSender(who.submitter(), m.identity.sender); err != nil {
		return err
	}
	limit, err := h.Control.Databytes()
	if err != nil {
		return err
	}
	buf := a.spool.Buffer()
	defer buf.Close()
	if err := read(h.Input(ctx), buf, limit, o.IgnoreDots); err != nil {
		return err
	}
	keys, err := a.accept(m, who, "", buf)
	if err == nil && o.Verbose {
		fmt.Fprintf(h.Stderr, "%s: accepted as %s\n", h.Name, strings.Join(keys, " "))
	}
	return err
}

// ourDomain is the domain of addresses without one, as headers can hold it.
func ourDomain(c *control.Control) (string, error) {
	domain, err := route.FirstDomain(c)
	return control.FoldDomain(domain), err
}

// address fills in the envelope that the options tell.
func (m *submission) address(o Options, login string) error {
	var err error
	if m.identity, err = identityOf(o, login, m.domain, os.Getenv); err != nil {
		return err
	}
	m.from.Addr = m.identity.sender.String()
	if err := m.reports(o); err != nil {
		return err
	}
	m.fromHeader, m.verp = o.FromHeader, o.VERP
	list, err := recipients(o.Recipients)
	m.add(list)
	return err
}

// recipients reads operands: each is an address or a list of them.
func recipients(words []string) ([]addr.Address, error) {
	var all []addr.Address
	for _, word := range words {
		list, err := addr.ParseList(word)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%q holds no address", word)
		}
		if err != nil {
			return nil, status.UsageError("recipient %v", err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// read takes the message on standard input, limit octets at most.
func read(stdin io.Reader, buf *spool.Buffer, limit int64, ignoreDots bool) error {
	in := intake{r: bufio.NewReaderSize(stdin, 64<<10), w: buf, limit: limit, dotEnds: !ignoreDots}
	if err := in.copy(); err != nil {
		return err
	}
	if buf.Size() == 0 {
		return status.Refuse("5.6.0", "no message on standard input")
	}
	return nil
}
