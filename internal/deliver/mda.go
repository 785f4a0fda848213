package deliver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/full"
	"paperpath/internal/maillog"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// MDA stores single messages for another mail system.
type MDA struct {
	Control *control.Control
	Log     *maillog.Log
	Now     func() time.Time
	Full    *full.Marks
	Home    string
	Owners  Owners // of mailboxes of other users; nil: these wait
	Answers answers
	Spool   func() (*spool.Spool, error) // for what users forward

	Folder   string       // of the mailbox; "" is what the address says
	Original addr.Address // the recipient that was accepted, if another one stands for it
}

// Deliver stores the message in for address, or does what the rules of its user say; it is
// durable when Deliver returns nil.
// from is the reverse path; nil takes that of a leading Return-Path. The error has exit
// status 67 if there is no such mailbox, and 65 if the message is refused; all other
// errors are temporary. Each is an event, too: what the caller does with our words, it alone
// knows.
func (m *MDA) Deliver(ctx context.Context, address string, from *addr.Address, in io.Reader) error {
	err := m.deliver(ctx, address, from, in)
	switch {
	case err == nil:
	case status.IsTemporary(err) || status.Exit(err) == status.Usage:
		m.Log.Trouble("", "deliver to "+address, err)
	default:
		m.Log.Failed("", address, status.Enhanced(err), err.Error())
	}
	return err
}

func (m *MDA) deliver(ctx context.Context, address string, from *addr.Address, in io.Reader) error {
	to, u, err := m.mailbox(address)
	if err != nil {
		return err
	}
	warn, err := m.put(ctx, address, to, u, from, in)
	if err == nil && warn {
		m.warn(ctx, u)
	}
	return err
}

// warn puts a letter into a mailbox that has come to be nearly full: the caller has no spool of
// ours through which it could go. The message that filled it is stored.
func (m *MDA) warn(ctx context.Context, u *control.User) {
	now := m.Now()
	letter, err := m.quotas().letter(u, fmt.Sprint("quota.", now.UnixNano()))
	if err == nil {
		again := *m
		again.Folder, again.Original = "", addr.Address{}
		err = again.Deliver(ctx, u.Address, &addr.Address{}, bytes.NewReader(letter))
	}
	if err != nil {
		m.Log.Trouble("", "warn of a full mailbox", err)
	}
}

// put is deliver for a mailbox that is known. warn says that its user is to be told that it is
// nearly full.
func (m *MDA) put(ctx context.Context, address string, to addr.Address, u *control.User, from *addr.Address,
	in io.Reader) (warn bool, err error) {
	_, _, ours, err := ownerOf(m.Home, u)
	byRules := !ours
	if err == nil && ours {
		byRules, err = hasRules(m.Home, u, to)
	}
	if err != nil {
		return false, err
	}
	if name := m.Folder; name != "" && !isFolder(addr.Fold(name)) && addr.Fold(name) != "inbox" {
		return false, noFolder(name)
	}
	msg, err := openIncoming(in, to)
	if err != nil {
		return false, err
	}
	if from != nil {
		msg.from = *from
	}
	if byRules {
		return m.byRules(ctx, address, to, u, msg)
	}
	return m.plain(address, to, u, msg)
}

// plain stores a message of a user without rules: it is written once.
func (m *MDA) plain(address string, to addr.Address, u *control.User, msg *incoming) (warn bool, err error) {
	path, err := prepare(m.Home, u)
	if err != nil {
		return false, err
	}
	if path, err = m.place(path, address, to, u, msg); err != nil {
		return false, err
	}
	key, warn, err := m.store(path, to, u, msg)
	if err != nil {
		return false, err
	}
	m.Log.Delivered(key, to.String(), path, "copy")
	return warn, nil
}

// folder is the folder that the caller names, else that of the extension.
func (m *MDA) folder(root string, u *control.User, to addr.Address) (string, error) {
	if m.Folder == "" {
		b, err := folderOf(box{path: root}, m.Home, u, to)
		return b.path, err
	}
	return namedFolder(root, m.Home, u, m.Folder)
}

// mailbox finds the mailbox of address: its own one, even if it has an alias too, for
// the calling mail system has decided already. An address that is only an alias leads
// to the mailbox that it names, if there is exactly one.
func (m *MDA) mailbox(address string) (to addr.Address, u *control.User, err error) {
	whole, err := route.WithDomain(m.Control, address)
	if err != nil {
		return to, nil, err
	}
	if to, err = addr.Parse(whole); err != nil {
		return to, nil, status.UsageError("%v", err)
	}
	if _, local, err := m.Control.IsLocal(to.Domain); err != nil {
		return to, nil, err
	} else if local {
		if u, err = route.Mailbox(m.Control, to); u != nil || err != nil {
			return to, u, err
		}
	}
	targets, err := route.Resolve(m.Control, "", to, nil)
	if err != nil {
		return to, nil, err
	}
	if len(targets) != 1 || targets[0].Kind != route.Local {
		return to, nil, &status.Error{Exit: status.NoMailbox, Text: "the address does not lead to exactly one mailbox: " + whole}
	}
	return targets[0].Addr, targets[0].User, nil
}

// store writes our two fields and the message below them.
func (m *MDA) store(path string, to addr.Address, u *control.User, msg *incoming) (key string, warn bool, err error) {
	max, err := m.limits(u)
	if err != nil {
		return "", false, err
	}
	host, err := m.Control.Hostname()
	if err != nil {
		return "", false, err
	}
	d, err := maildir.Open(path)
	if err != nil {
		return "", false, err
	}
	defer d.Close()
	octets, inodes, err := m.Control.Reserve()
	if err != nil {
		return "", false, err
	}
	key = string(spool.NewKey(m.Now(), host))
	name, err := d.Store(key, func(w io.Writer) error {
		c := &counted{w: spool.KeepReserve(octets, inodes, d.Path(), w)}
		if _, err := io.WriteString(c, m.head(msg, to)); err != nil {
			return err
		}
		if err := msg.copyTo(c, max); err != nil {
			return err
		}
		warn, err = measure(u, c.n, 1, func(used maildir.Usage, fits bool) (bool, error) { return m.quotas().judge(u, c.n, used, fits) })
		return err
	})
	if err != nil {
		return "", false, err
	}
	if err := d.CountQuota(name); err != nil { // the message is stored
		m.Log.Trouble(key, "count the quota", err)
	}
	return key, warn, nil
}

func (m *MDA) quotas() quotas {
	return quotas{control: m.Control, full: m.Full, log: m.Log, now: m.Now}
}

// counted counts what is written.
type counted struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (m *MDA) limits(u *control.User) (max limits, err error) {
	if max.octets, err = m.Control.Databytes(); err != nil {
		return max, err
	}
	size, err := route.SizeOf(m.Control, u.Address)
	if err != nil {
		return max, err
	}
	if size.Octets < max.octets {
		max.octets, max.large = size.Octets, route.TooLargeFor(size)
	}
	hops, err := m.Control.Limit("hops")
	max.hops = int(hops)
	return max, err
}
