package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/route"
	"paperpath/internal/rules"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
	"paperpath/maildir"
)

// hasRules reports whether there are rules for a message, or a vacation.
func hasRules(home string, u *control.User, to addr.Address) (bool, error) {
	if _, err := maildirOf(home, u); err != nil { // before anything of a user's is read
		return false, err
	}
	d, err := rules.Open(u.Home, os.Geteuid())
	if err != nil {
		return false, err
	}
	defer d.Close()
	d.ShareWith(u.SharedBy(home))
	r, err := d.Find(extension(u, to))
	if r != nil || err != nil {
		return true, err
	}
	v, err := d.Vacation()
	return v != nil || err != nil, nil // a broken one keeps no mail from its mailbox
}

// byRules does with a message what the rules of its user say: here, or as the owner of the
// mailbox. What they forward is a new entry in the spool. What was done before a failure is
// done again when the caller tries again, so what can fail is asked before.
func (m *MDA) byRules(ctx context.Context, address string, to addr.Address, u *control.User, msg *incoming) (warn bool, err error) {
	s, err := m.spill(to, u, msg)
	if err != nil {
		return false, err
	}
	defer s.file.Close()
	h, err := readHeader(s.copy.Incoming(s.file))
	if err != nil {
		return false, err
	}
	facts := &mdaFacts{MDA: m, address: address, u: u, h: h, from: msg.from, size: s.copy.Len()}
	work := &mail{home: m.Home, user: u, to: to, from: msg.from, key: s.copy.Key, size: s.copy.Len(),
		folder: m.Folder, now: m.Now, log: m.Log,
		body: s.copy.WithResults(s.file), message: func() io.Reader { return s.copy.Incoming(s.file) }, about: facts}
	d, err := m.perform(ctx, work, s)
	if err != nil {
		return false, err
	}
	if d.Taken != "" {
		return false, status.Temp("4.2.0", "cannot store the message", errors.New("another message is "+visible.Line(d.Taken)))
	}
	delimiters, err := m.Control.Delimiters()
	if err != nil {
		return false, err
	}
	p, err := d.plan(work.own(delimiters))
	if err != nil {
		return false, err
	}
	return d.Warn, m.send(work, p, s, d.Answer)
}

// perform has the work done by whoever may open the mailbox.
func (m *MDA) perform(ctx context.Context, work *mail, s *spilled) (done, error) {
	uid, gid, ours, err := ownerOf(m.Home, work.user)
	if err != nil {
		return done{}, err
	}
	if ours {
		return work.perform(ctx, s.copy, s.file, func(path string) error {
			m.Log.Delivered(work.key, work.to.String(), path, "copy")
			return nil
		})
	}
	file, err := spool.ReadOnly(int(s.file.Fd()))
	if err != nil {
		return done{}, err
	}
	defer file.Close()
	return asOwner(ctx, m.Owners, work, uid, gid, s.copy, file)
}

// spilled is a message in a file without a name: below the field that names its recipient, by
// which it is known if it comes back.
type spilled struct {
	file *os.File
	copy spool.Copy
}

func (m *MDA) spill(to addr.Address, u *control.User, msg *incoming) (s *spilled, err error) {
	max, err := m.limits(u)
	if err != nil {
		return nil, err
	}
	host, err := m.Control.Hostname()
	if err != nil {
		return nil, err
	}
	octets, inodes, err := m.Control.Reserve()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "maildeliver")
	if err != nil {
		return nil, err
	}
	trace := "Delivered-To: " + to.String() + "\n"
	c := &counted{w: spool.KeepReserve(octets, inodes, os.TempDir(), f)}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.WriteString(c, trace)
	}
	if err == nil {
		err = msg.copyTo(c, max)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	at := int64(len(trace))
	return &spilled{f, spool.Copy{Key: string(spool.NewKey(m.Now(), host)), Head: m.head(msg, to),
		Results: at, Message: at, Size: c.n, Octets: octets, Inodes: inodes}}, nil
}

// head are the fields that we put on top of a message.
func (m *MDA) head(msg *incoming, to addr.Address) string {
	original := ""
	if !m.Original.IsNull() && m.Original != to {
		original = "X-Original-To: " + m.Original.String() + "\n"
	}
	return fmt.Sprintf("Return-Path: <%s>\n%sDelivered-To: %s\n", msg.from, original, to)
}

// send puts into the spool what is forwarded, and the answer of a vacation. The calling mail
// system may have taken the message from anybody, so its sender gets no reports that a check has
// not proved.
func (m *MDA) send(work *mail, p plan, s *spilled, answer []byte) error {
	if len(p.forwards) == 0 && len(answer) == 0 {
		return nil
	}
	sp, err := m.Spool()
	if err != nil {
		return err
	}
	host, err := m.Control.Hostname()
	if err != nil {
		return err
	}
	for _, part := range p.sendings(work.from.String()) {
		if len(part.to) == 0 {
			break // only an answer
		}
		env := spool.Envelope{From: spool.Path{Addr: part.from}}
		var to []string
		for _, a := range part.to {
			env.To = append(env.To, spool.Recipient{Addr: a.String()})
			to = append(to, a.String())
		}
		k, err := sp.Accept(spool.InboxRoute, env, nil, spool.Trace{By: host, With: "LMTP"},
			io.NewSectionReader(s.file, 0, s.copy.Size))
		if err != nil {
			return err
		}
		m.Log.Split(work.key, string(k), string(spool.InboxRoute), to)
	}
	if len(answer) > 0 {
		env := spool.Envelope{To: []spool.Recipient{{Addr: work.from.String(), Params: "NOTIFY=NEVER"}}}
		k, err := sp.Accept(spool.InboxRoute, env, nil, spool.Trace{By: host, With: spool.WithBounce}, spool.BytesBody(answer))
		if err != nil { // the message is where it belongs
			m.Log.Trouble(work.key, "vacation of "+work.user.Address, err)
			return nil
		}
		m.Log.Reported(work.key, string(k), "vacation", work.from.String())
	}
	return nil
}

// mdaFacts answers for a message on standard input.
type mdaFacts struct {
	*MDA
	address string
	u       *control.User
	h       *message.Header
	from    addr.Address
	size    int64
}

func (f *mdaFacts) Delimiters() (string, error) { return f.Control.Delimiters() }
func (f *mdaFacts) Hostname() (string, error)   { return f.Control.Hostname() }
func (f *mdaFacts) JunkFolder() (string, error) { return folderForJunk(f.Control) }
func (f *mdaFacts) Programs() (bool, error)     { return mayPrograms(f.Control, f.u) }
func (f *mdaFacts) Spend() (bool, error)        { return f.Answers.Spend() }
func (f *mdaFacts) Junk() (bool, error)         { return f.isJunk(f.h) }

func (f *mdaFacts) MayForward() error {
	if _, err := f.Spool(); err != nil {
		return status.Temp("4.3.5", "a rule forwards, and there is no spool for that", err)
	}
	return nil
}

func (f *mdaFacts) Passed() (bool, error) {
	delimiters, err := f.Control.Delimiters()
	if err != nil {
		return false, err
	}
	row, err := addr.Parse(f.u.Address)
	return err == nil && route.PassedOf(f.h, delimiters).Expanded(row), err
}

func (f *mdaFacts) Wish() (control.Wish, error) {
	return route.Accepts(f.Control, f.address, f.u, route.Asked{Size: f.size, Submitted: true,
		Senders: func() ([]string, error) { return route.Senders(f.from.String(), f.h), nil }})
}

// MayAnswer reports whether the first result field of our host proves the sender: mailcheck has
// written it, in the pipe in front of us.
func (f *mdaFacts) MayAnswer() (bool, error) {
	host, err := f.Control.Hostname()
	if err != nil || f.from.IsNull() || settle.Automatic(f.h) {
		return false, err
	}
	for _, field := range f.h.All(authres.Name) {
		if found, err := authres.Parse(field.Value); err == nil && authres.ClaimedBy(field.Value, host) {
			return settle.Proved(found, f.from.String()), nil
		}
	}
	return false, nil
}

func (f *mdaFacts) Room(used maildir.Usage, fits bool) (bool, error) {
	return f.quotas().judge(f.u, f.size, used, fits)
}
