package pop3

import (
	"errors"
	"time"

	"paperpath/maildir"
)

// enter opens the mailbox of the user who has logged in, and takes the snapshot. A
// mailbox of another owner is opened by a process of that owner.
func (s *session) enter(account Account) error {
	switch err := s.cfg.Gate.enter(account.Login, s.cfg.LoginDelay, s.cfg.MaxPerUser); {
	case errors.Is(err, errTooSoon):
		s.cfg.Log.Limited("logindelay", s.client)
		s.fail("LOGIN-DELAY", err.Error())
		return nil
	case err != nil:
		s.cfg.Log.Limited("user", s.client)
		s.fail("IN-USE", err.Error())
		return nil
	}
	s.admitted = account.Login
	s.wire.hurry(time.Time{})
	if s.cfg.HandOver != nil && account.Foreign {
		err := s.handOver(account)
		s.leave()
		return err
	}
	if s.drop = s.openMailbox(account); s.drop == nil {
		s.leave()
		return nil
	}
	s.cfg.Gate.entered(account.Login, s.cfg.LoginDelay)
	s.ok("%d messages", len(s.drop.messages))
	return nil
}

// leave ends the user's session at the gate.
func (s *session) leave() {
	if s.admitted != "" {
		s.cfg.Gate.leave(s.admitted)
		s.admitted = ""
	}
}

// openMailbox opens the mailbox, or answers why it cannot.
func (s *session) openMailbox(account Account) *drop {
	d, err := openDrop(account, s.cfg.Log)
	switch {
	case err == nil:
		return d
	case errors.Is(err, maildir.ErrBusy):
		s.fail("IN-USE", "mailbox is locked by another session")
	case errors.Is(err, errNoFolder):
		s.fail("", errNoFolder.Error())
	default:
		s.trouble("open mailbox", err)
	}
	return nil
}
