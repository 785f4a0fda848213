package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/message"
	"paperpath/internal/rules"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Owners starts processes of mailbox owners.
type Owners interface {
	// Start starts one as a user in a group, with the further groups of an account, "" for none. It
	// has the message open for reading, and speaks with the other end of conn.
	Start(uid, gid int, account string, message *os.File) (conn net.Conn, err error)
}

// Limits of a conversation with a process of another user, whom nobody can make hurry: the home
// may be on a file server that is away.
const (
	quietTime  = 2 * time.Minute // without a word
	stopTime   = programGrace + 5*time.Second
	maxWords   = 2000
	maxSaid    = 1 << 20 // octets of a word
	maxForward = 200
)

// ownerOf returns the user of the machine to whom the mailbox of u belongs; ours is true for
// us. A directory outside mail/ says so where the row does not, if nobody else can replace it.
func ownerOf(home string, u *control.User) (uid, gid int, ours bool, err error) {
	us := os.Geteuid()
	uid, gid = u.UID, u.GID
	if uid < 0 && u.Within(home) || u.SharedBy(home) != 0 {
		return us, gid, true, nil
	}
	if uid >= 0 && (gid >= 0 || uid == us) {
		return uid, gid, uid == us, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(u.Home, &st); err != nil {
		return 0, 0, false, status.Temp("4.2.0", "cannot use the mailbox", fmt.Errorf("%s: %s: %w", u.Where, u.Home, err))
	}
	if uid < 0 {
		uid = int(st.Uid)
		if uid == us {
			return uid, gid, true, nil
		}
		if err := dir.Trusted(u.Home, uid); err != nil { // who can put another one there gets the mail
			return 0, 0, false, status.Temp("4.2.0", "cannot tell who owns the mailbox",
				fmt.Errorf("%s: %w (write the uid into the row)", u.Where, err))
		}
	}
	if gid < 0 {
		gid = int(st.Gid)
	}
	return uid, gid, uid == us, nil
}

// asOwner has the work on m done by a process of the mailbox's owner, which reads the message
// from file. spent says that the answer of a vacation was counted.
func asOwner(ctx context.Context, o Owners, m *mail, uid, gid int, c spool.Copy, file *os.File) (done, error) {
	where := fmt.Errorf("%s: %s belongs to uid %d, and maildeliver runs as uid %d",
		m.user.Where, m.user.Maildir(), uid, os.Geteuid())
	switch {
	case uid == 0 || gid == 0:
		return done{}, status.Temp("4.2.0", "the mailbox belongs to root, as whom no mail is delivered",
			fmt.Errorf("%s: give its mail to a person by control/aliases", m.user.Where))
	case o == nil:
		return done{}, status.Temp("4.2.0", "the mailbox belongs to another user", fmt.Errorf("%w (start it as root)", where))
	}
	conn, err := o.Start(uid, gid, m.user.Account, file)
	if err != nil {
		return done{}, status.Temp("4.2.0", "the mailbox belongs to another user", fmt.Errorf("%w: %w", where, err))
	}
	defer conn.Close()
	t := talk{m: m, conn: conn}
	stop := context.AfterFunc(ctx, t.stop)
	defer stop()
	d, err := t.run(ctx, order{User: *m.user, To: m.to.String(), From: m.from.String(), Ours: m.ours,
		Folder: m.folder, Copy: c, Now: m.now()})
	if err != nil {
		return done{}, fmt.Errorf("as uid %d: %w", uid, err)
	}
	return d, d.check(m, t.spent)
}

// order is what such a process is told.
type order struct {
	User     control.User
	To, From string
	Ours     bool   `json:",omitempty"`
	Folder   string `json:",omitempty"`
	Copy     spool.Copy
	Now      time.Time
}

// done is what it has done, and what it leaves to do.
type done struct {
	Stored   bool     // a mailbox has the message, or had it
	Ran      bool     // a program has it, or a file
	Taken    string   `json:",omitempty"` // the path of another message with its key
	Forwards []string `json:",omitempty"`
	List     bool     `json:",omitempty"` // what is forwarded comes from the owner of a list
	VERP     bool     `json:",omitempty"` // by an address for each recipient
	Warn     bool     `json:",omitempty"`
	Answer   []byte   `json:",omitempty"` // of a vacation
}

// check refuses what no process of ours would say: its user may have taken it over.
func (d *done) check(m *mail, spent bool) error {
	if len(d.Forwards) > maxForward || len(d.Answer) > maxSaid/2 || len(d.Answer) > 0 && (!spent || m.from.IsNull()) {
		return errors.New("the process of the user asks for too much")
	}
	if len(d.Answer) > 0 && !isAnswer(d.Answer, m.user.Address, m.from.String()) {
		return errors.New("the process of the user answers with something else than a vacation")
	}
	return nil
}

// answerFields are those of a vacation (away.compose).
func answerFields() []string {
	return []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
}

// isAnswer reports whether text is the answer of a user to a sender: what we send and sign as the
// user's own says so, and has no field that a vacation has not.
func isAnswer(text []byte, from, to string) bool {
	h, err := message.Read(bytes.NewReader(text), maxHeader, maxFields)
	if err != nil || h.Junk > 0 || h.Value("From") != "<"+from+">" || h.Value("To") != "<"+to+">" ||
		!strings.HasPrefix(h.Value("Auto-Submitted"), "auto-replied") || bytes.IndexByte(text, 0) >= 0 {
		return false
	}
	for _, f := range h.Fields {
		if !slices.Contains(answerFields(), f.Name) || h.Count(f.Name) > 1 || strings.Contains(f.Value, "\r") {
			return false
		}
	}
	return true
}

// plan is what is left of the user's rules.
func (d *done) plan(o *own) (p plan, err error) {
	p.ran = d.Ran
	for _, text := range d.Forwards {
		a, err := addr.Parse(text)
		if err != nil {
			return p, fmt.Errorf("the process of the user forwards to %s: %w", visible.Line(text), err)
		}
		p.forwards = append(p.forwards, a)
	}
	o.returnPath(&p, &rules.Rules{List: d.List, VERP: d.VERP})
	return p, nil
}

// elsewhere is the outcome for an entry whose mailbox belongs to another user of the machine.
func (s *Stage) elsewhere(ctx context.Context, e *spool.Entry, m *mail, uid, gid int) (o spool.Outcome, err error) {
	octets, inodes, err := s.Control.Reserve()
	if err != nil {
		return o, err
	}
	delimiters, err := s.Control.Delimiters()
	if err != nil {
		return o, err
	}
	file, err := e.ReadOnly()
	if err != nil {
		return o, err
	}
	defer file.Close()
	c := e.Copy(octets, inodes)
	m.size = c.Len()
	d, err := asOwner(ctx, s.Owners, m, uid, gid, c, file)
	if err != nil {
		return o, err
	}
	if d.Taken != "" {
		return spool.HoldBecause("another message is " + visible.Line(d.Taken)), nil
	}
	p, err := d.plan(m.own(delimiters))
	if err != nil {
		return o, err
	}
	o = spool.DropBecause("done as the recipient's rules say")
	if d.Stored {
		o = spool.DropBecause("stored by its owner")
	}
	if settle.Wants(e, 0, "SUCCESS") && (d.Stored || p.ran || p.from != nil) {
		o.Notices = s.Settle(e, []settle.Result{{Index: 0, Mailbox: "-"}}).Notices
	}
	o.Children = p.children(e)
	if len(d.Answer) > 0 {
		o.Replies = []spool.Notice{{To: m.from.String(), What: "vacation", Body: d.Answer}}
	}
	return s.warned(e, m.user, o, d.Warn)
}

// said is one word of such a process: a question, an event, or its last one.
type said struct {
	Ask     string   `json:",omitempty"`
	Usage   usage    `json:",omitzero"`  // with the question Room
	Begin   bool     `json:",omitempty"` // a program begins, which may take its time
	Ran     []string `json:",omitempty"` // command, result, output
	Trouble []string `json:",omitempty"` // operation, error
	Stored  string   `json:",omitempty"`
	Done    *done    `json:",omitempty"`
	Failed  *failure `json:",omitempty"`
}

// usage is how full a mailbox is.
type usage struct {
	Octets, Messages int64
	Fits             bool
}

// heard is the answer to a question.
type heard struct {
	Yes    bool     `json:",omitempty"`
	Text   string   `json:",omitempty"`
	Failed *failure `json:",omitempty"`
}

// failure is an error on its way from one process to another.
type failure struct {
	Exit, Reply            int
	Enhanced, Text, Reason string
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := failure{Exit: status.Exit(err), Reason: err.Error()}
	var e *status.Error
	if errors.As(err, &e) {
		f.Reply, f.Enhanced, f.Text, f.Reason = e.Reply, e.Enhanced, e.Text, ""
		if e.Err != nil {
			f.Reason = e.Err.Error()
		}
	}
	return &f
}

// err is the error again. Only what refuses is permanent, as everywhere.
func (f *failure) err() error {
	if f == nil {
		return nil
	}
	reason := errors.New(visible.Shorten(visible.Line(f.Reason), maxReason))
	text := visible.Shorten(visible.Line(f.Text), maxReason)
	has := func(class string) bool { return strings.HasPrefix(f.Enhanced, class) && len(f.Enhanced) <= 9 }
	if f.Exit != status.Refused && f.Exit != status.NoMailbox || f.Reply/100 != 5 || !has("5.") {
		if !has("4.") || text == "" {
			return status.Temp("4.3.0", "the mailbox cannot be used now", reason)
		}
		e := status.Temp(visible.Line(f.Enhanced), text, reason)
		if f.Reply/100 == 4 {
			e.Reply = f.Reply
		}
		return e
	}
	return &status.Error{Exit: f.Exit, Reply: f.Reply, Enhanced: visible.Line(f.Enhanced), Text: text, Err: reason}
}

// maxReason bounds what is kept of the text of such an error.
const maxReason = 600
