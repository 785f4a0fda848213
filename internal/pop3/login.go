package pop3

import (
	"slices"

	"paperpath/internal/auth"
)

// authFailed answers both an unknown name and a wrong password (RFC 3206 5, CWE-204).
const authFailed = "authentication failed"

// clearTextRefusal answers a login that would show the password to the network. It
// has no response code: after [AUTH] clients ask the user for another password.
const clearTextRefusal = "plaintext authentication disallowed: use TLS"

// mayPassword reports whether this client may use USER, which is PLAIN in another form.
func (s *session) mayPassword() bool { return slices.Contains(auth.Mechanisms(s.peer()), auth.Plain) }

// user takes the name for PASS. Every name gets the same answer.
func (s *session) user(name string) error {
	switch {
	case !s.mayPassword():
		return s.wrong(clearTextRefusal)
	case name == "":
		return s.wrong("USER needs a name")
	}
	s.userName = name
	s.ok("send PASS")
	return nil
}

// pass completes USER. The name counts once: after a failure RFC 1939 7 wants USER
// again.
func (s *session) pass(password string) error {
	name := s.userName
	s.userName = ""
	switch {
	case !s.mayPassword():
		return s.wrong(clearTextRefusal)
	case name == "":
		return s.wrong("send USER first")
	}
	// No line contains a NUL, so neither part can.
	x, err := auth.Start(auth.Plain, s.peer(), s.cfg.Users)
	if err == nil {
		_, _, err = x.Next(s.ctx, []byte("\x00"+name+"\x00"+password))
	}
	return s.loggedIn("USER", name, err)
}

// loggedIn ends a login as name. If err is nil it has succeeded, and the session
// enters the mailbox.
func (s *session) loggedIn(mechanism, name string, err error) error {
	client := s.client
	client.Login = name
	var account Account
	if err == nil {
		account, err = s.cfg.Users.Account(name)
	}
	switch {
	case auth.IsWrong(err):
		s.cfg.Log.LoginFailed(mechanism, err.Error(), client)
		s.cfg.Users.Failed(s.ctx, client.Addr, name)
		return s.refuseLogin()
	case auth.LimitOf(err) != "":
		s.cfg.Log.Limited(auth.LimitOf(err), client)
		s.fail("SYS/TEMP", "too many logins, please try again later")
		return s.countTry()
	case err != nil: // not the event login-failed: a filter would ban the client for it
		return s.trouble("login", err)
	}
	s.client.Login = account.Login
	s.cfg.Log.Login(mechanism, s.client)
	return s.enter(account)
}

// refuseLogin answers a failed login.
func (s *session) refuseLogin() error {
	s.fail("AUTH", authFailed)
	return s.countTry()
}

// countTry counts a login that was not admitted.
func (s *session) countTry() error {
	s.tries++
	if s.tries >= s.cfg.MaxTries {
		return errTries
	}
	return nil
}
