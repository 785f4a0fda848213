package pop3

import (
	"errors"

	"paperpath/maildir"
)

// enter opens the mailbox that a login has proved to be the client's, and
// takes the snapshot.
func (s *session) enter(account Account) error {
	d, err := openDrop(account, s.cfg.Log)
	switch {
	case errors.Is(err, maildir.ErrBusy):
		s.fail("IN-USE", "another session has this mailbox")
		return nil
	case errors.Is(err, errNoFolder):
		s.fail("", errNoFolder.Error())
		return nil
	case err != nil:
		return s.trouble("open mailbox", err)
	}
	s.drop = d
	s.ok("%d messages", len(d.messages))
	return nil
}
