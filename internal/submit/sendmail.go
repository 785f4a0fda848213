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
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Options are those of the sendmail face.
type Options struct {
	Recipients []string // operands
	FromHeader bool     // -t: the header names recipients too
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

// sendmail accepts one message from standard input.
type sendmail struct {
	Options
	name   string // of the program
	now    time.Time
	stdin  io.Reader
	stderr io.Writer
	uid    int           // of the caller
	away   time.Duration // how long to wait for a server on run/submit
}

// Message accepts the message on standard input into check/. Without an error it
// is durable there. Only the owner of the spool, or the program's own user, writes to it; the
// messages of other users go through run/submit. Where nobody listens there, root becomes that user:
// cron and the system's other programs do not hand in their mail a second time.
func Message(ctx context.Context, h *home.Home, o Options) error {
	if len(o.Recipients) == 0 && !o.FromHeader {
		return status.UsageError("no recipients (name them, or use -t)")
	}
	s := &sendmail{Options: o, name: h.Name, now: h.Clock.Now(), stdin: h.Input(ctx), stderr: h.Stderr,
		uid: os.Getuid(), away: awayTimeout}
	if !ownsSpool(h) {
		if stands, err := standIn(h); err != nil {
			return err
		} else if !stands {
			return s.post(ctx, h.Dir, h.GiveUpRoot)
		}
	}
	a, err := newAcceptor(h)
	if err != nil {
		return err
	}
	return s.store(a)
}

// standIn makes root the user who writes to the spool if nobody listens on run/submit. It reports
// whether it has.
func standIn(h *home.Home) (bool, error) {
	if _, _, root := h.Owner(); !root {
		return false, nil
	}
	conn, err := dial(h.Dir)
	if err == nil {
		conn.Close()
	}
	if !nobodyListens(err) {
		return false, nil
	}
	if err := h.GiveUpRoot(); err != nil {
		return false, err
	}
	return ownsSpool(h), nil
}

// ownsSpool reports whether this process runs as the owner of the spool, or as the user of
// the program in a home that has one for each, and may write there. Both are asked: in a user namespace the ids of strangers look the
// same. Where there is neither a spool nor run/submit it reports true, for the
// error of the missing spool says what to do.
func ownsSpool(h *home.Home) bool {
	path := filepath.Join(h.Dir, "spool")
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		_, err := os.Lstat(filepath.Join(h.Dir, socketName))
		return err != nil
	}
	if h.IsOwnUser() {
		return unix.Access(filepath.Join(path, string(spool.InboxCheck)), unix.W_OK|unix.X_OK) == nil
	}
	return int(st.Uid) == os.Geteuid() && unix.Access(path, unix.W_OK|unix.X_OK) == nil
}

// store stores the message in the spool.
func (s *sendmail) store(a *acceptor) error {
	who := localUser{uid: s.uid, via: "stdin"}
	m := &submission{host: a.host, now: s.now, read: a.readHeader}
	keys, err := s.accept(a, m, who)
	switch status.Exit(err) {
	case status.OK:
		s.tell("accepted as " + strings.Join(keys, " "))
	case status.Refused, status.NotAllowed:
		a.log.Refused(m.from.Addr, strings.Join(s.Recipients, " "), err.Error(), "", who.client(""))
	case status.TempFail:
		if !control.IsBrokenRow(err) && !check.IsVerdict(err) && !errors.Is(err, home.ErrInterrupted) { // as of a session (refusal)
			a.log.Trouble("", "submit", err)
		}
	}
	return err
}

func (s *sendmail) accept(a *acceptor, m *submission, who localUser) (keys []string, err error) {
	if m.domain, err = ourDomain(a.control); err != nil {
		return nil, err
	}
	if err := m.setEnvelope(s.Options, who.name()); err != nil {
		return nil, err
	}
	if err := a.checkSender(who.submitter(), m.identity.sender); err != nil {
		return nil, err
	}
	limit, err := a.control.Databytes()
	if err != nil {
		return nil, err
	}
	buf := a.spool.Buffer()
	defer buf.Close()
	if err := s.read(buf, limit); err != nil {
		return nil, err
	}
	return a.accept(m, who, "", buf)
}

// tell prints what became of the message, for -v.
func (s *sendmail) tell(text string) {
	if s.Verbose {
		fmt.Fprintf(s.stderr, "%s: %s\n", s.name, text)
	}
}

// ourDomain is the domain of addresses that have none, in the form for headers.
func ourDomain(c *control.Control) (string, error) {
	domain, err := route.FirstDomain(c)
	return addr.FoldDomain(domain), err
}

// setEnvelope sets the envelope that the options describe.
func (m *submission) setEnvelope(o Options, login string) error {
	var err error
	if m.identity, err = identityOf(o, login, m.domain, os.Getenv); err != nil {
		return err
	}
	m.from.Addr = m.identity.sender.String()
	if err := m.setDSN(o); err != nil {
		return err
	}
	m.fromHeader, m.verp = o.FromHeader, o.VERP
	list, err := recipients(o.Recipients)
	m.add(list)
	return err
}

// recipients parses operands, each an address or a list of them.
func recipients(words []string) ([]addr.Address, error) {
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

// read reads the message, limit octets at most.
func (s *sendmail) read(buf *spool.Buffer, limit int64) error {
	in := intake{r: bufio.NewReaderSize(s.stdin, 64<<10), w: buf, limit: limit, dotEnds: !s.IgnoreDots}
	if err := in.copy(); err != nil {
		return err
	}
	if buf.Size() == 0 {
		return status.Refuse("5.6.0", "no message on standard input")
	}
	return nil
}
