package submit

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/input"
	"paperpath/internal/route"
	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// face accepts one message from standard input.
type face struct {
	sendmail.Options
	home *home.Home
	in   *input.Reader
	uid  int // of the caller
}

// Message accepts the message on standard input into check/. Without an error it
// is durable there. Only the owner of the spool, or the program's own user, writes to it; the
// messages of other users go through run/submit. Where nobody listens there, root becomes that user:
// cron and the system's other programs do not hand in their mail a second time.
func Message(ctx context.Context, h *home.Home, o sendmail.Options) error {
	s := &face{o, h, h.Input(ctx), os.Getuid()}
	if !ownsSpool(h) {
		if stands, err := standIn(h); err != nil {
			return err
		} else if !stands {
			c := &sendmail.Caller{Options: o, Name: h.Name, Home: h.Dir, Now: h.Clock.Now(), Stdin: s.in,
				Stderr: h.Stderr, Away: sendmail.AwayTimeout, Begun: h.GiveUpRoot}
			return c.Post()
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
	conn, err := sendmail.Dial(h.Dir)
	if err == nil {
		conn.Close()
	}
	if !sendmail.NobodyListens(err) {
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
		_, err := os.Lstat(filepath.Join(h.Dir, sendmail.Socket))
		return err != nil
	}
	if h.IsOwnUser() {
		return unix.Access(filepath.Join(path, string(spool.InboxCheck)), unix.W_OK|unix.X_OK) == nil
	}
	return int(st.Uid) == os.Geteuid() && unix.Access(path, unix.W_OK|unix.X_OK) == nil
}

// store stores the message in the spool.
func (s *face) store(a *acceptor) error {
	who := localUser{uid: s.uid, via: "stdin"}
	m := &sendmail.Submission{Host: a.host, Now: s.home.Clock.Now(), Read: a.readHeader}
	keys, err := s.accept(a, m, who)
	switch status.Exit(err) {
	case status.OK:
		s.Tell(s.home.Name, s.home.Stderr, "accepted as "+strings.Join(keys, " "))
	case status.Refused, status.NotAllowed:
		a.log.Refused(m.From.Addr, strings.Join(s.Recipients, " "), err.Error(), "", who.client(""))
	case status.TempFail:
		if !control.IsBrokenRow(err) && !check.IsVerdict(err) && !errors.Is(err, home.ErrInterrupted) { // as of a session (refusal)
			a.log.Trouble("", "submit", err)
		}
	}
	return err
}

func (s *face) accept(a *acceptor, m *sendmail.Submission, who localUser) (keys []string, err error) {
	if m.Domain, err = ourDomain(a.control); err != nil {
		return nil, err
	}
	if err := m.SetEnvelope(s.Options, who.name()); err != nil {
		return nil, err
	}
	if err := a.checkSender(who.submitter(), m.Identity.Sender); err != nil {
		return nil, err
	}
	limit, err := a.control.Databytes()
	if err != nil {
		return nil, err
	}
	buf := a.spool.Buffer()
	defer buf.Close()
	if err := s.ReadMessage(s.in, buf, limit); err != nil {
		return nil, err
	}
	return a.accept(m, who, "", buf)
}

// ourDomain is the domain of addresses that have none, in the form for headers.
func ourDomain(c *control.Control) (string, error) {
	domain, err := route.FirstDomain(c)
	return addr.FoldDomain(domain), err
}
