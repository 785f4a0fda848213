package main

import (
	"os"
	"path/filepath"

	"paperpath/internal/authres"
	"paperpath/internal/spool"
	"paperpath/maildir"
	"paperpath/test/harness"
)

// put places an entry in an inbox, from bob, as a local submitter.
func (w *world) put(in spool.Inbox, token string, to ...spool.Recipient) (spool.Key, error) {
	env := spool.Envelope{From: spool.Path{Addr: "bob@example.net"}, To: to}
	return w.accept(in, env, spool.WithLocal, token)
}

// putJunk makes a folder for junk in alice's mailbox, and places an entry that a check
// found to be junk.
func (w *world) putJunk(params string) error {
	if err := maildir.Create(filepath.Join(w.mailbox("alice"), "Maildir", ".Junk")); err != nil {
		return err
	}
	env := spool.Envelope{From: spool.Path{Addr: "bob@example.net"},
		To: []spool.Recipient{{Addr: "alice@example.net", Params: params}}}
	verdict := authres.Method{Name: authres.Paperpath, Result: authres.Junk, Reason: "spf"}
	_, err := w.accept(spool.InboxDeliver, env, spool.WithLocal, token,
		authres.Format(harness.Hostname, []authres.Method{verdict}))
	return err
}

// putWith writes a file in the home of a user, and places an entry for them.
func (w *world) putWith(user, file, text string) error {
	if err := w.rule(user, file, text); err != nil {
		return err
	}
	_, err := w.put(spool.InboxDeliver, token, to(user+"@example.net")...)
	return err
}

// rule writes a file in the home of a user, beside the mailbox.
func (w *world) rule(user, file, text string) error {
	if err := maildir.Create(filepath.Join(w.mailbox(user), "Maildir")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.mailbox(user), file), []byte(text), 0o600)
}

// putLarge places an entry for a user that no pipe takes at once.
func (w *world) putLarge(user string) error {
	env := spool.Envelope{From: spool.Path{Addr: "bob@example.net"}, To: to(user + "@example.net")}
	_, err := w.acceptText(spool.InboxDeliver, env, spool.WithLocal, letter(token, 300<<10))
	return err
}

// accept places a small letter in an inbox as if it had come in that way.
func (w *world) accept(in spool.Inbox, env spool.Envelope, with, token string, results ...string) (spool.Key, error) {
	return w.acceptText(in, env, with, letter(token, small), results...)
}

func (w *world) acceptText(in spool.Inbox, env spool.Envelope, with string, text []byte, results ...string) (spool.Key, error) {
	s, err := spool.Open(w.home, spool.Options{Hostname: harness.Hostname})
	if err != nil {
		return "", err
	}
	defer s.Close()
	trace := spool.Trace{By: harness.Hostname, With: with}
	if with != spool.WithLocal {
		trace.IP = "192.0.2.7"
	}
	return s.Accept(in, env, results, trace, spool.BytesBody(text))
}

// to makes recipients of addresses.
func to(addresses ...string) (list []spool.Recipient) {
	for _, a := range addresses {
		list = append(list, spool.Recipient{Addr: a})
	}
	return list
}
