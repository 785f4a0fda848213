package pop3

import (
	"errors"
	"strings"

	"paperpath/internal/auth"
)

// peer is what SASL needs to know about the connection.
func (s *session) peer() auth.Peer {
	return auth.Peer{Policy: s.cfg.SASL, TLS: s.tls, Leaf: s.leaf, Private: s.cfg.ClearText}
}

// auth is AUTH (RFC 5034).
func (s *session) auth(arg string) error {
	if arg == "" {
		return s.listMechanisms()
	}
	name, initial, _ := strings.Cut(arg, " ")
	x, err := auth.Start(name, s.peer(), s.cfg.Users)
	switch {
	case errors.Is(err, auth.ErrClearText):
		return s.wrong(clearTextRefusal)
	case err != nil:
		return s.wrong(err.Error())
	}
	s.userName = ""
	err = x.Run(s.ctx, strings.TrimLeft(initial, " "), s.challenge)
	var problem auth.Malformed
	var lost *auth.Lost
	switch {
	case errors.As(err, &problem):
		return s.wrong(problem.Error())
	case errors.As(err, &lost):
		return lost.Err
	}
	return s.loggedIn(x.Mechanism(), x.Login(), err)
}

// listMechanisms answers AUTH without an argument, which is in no RFC, but which old
// clients (Outlook Express, early Netscape) send to ask for the mechanisms.
func (s *session) listMechanisms() error {
	s.ok("mechanisms follow")
	for _, m := range auth.Mechanisms(s.peer()) {
		s.wire.print("%s\r\n", m)
	}
	s.wire.print(".\r\n")
	return nil
}

// challenge sends a challenge and returns the client's line, which may be as long as
// that of AUTH (RFC 5034 4).
func (s *session) challenge(text string) (string, error) {
	s.wire.print("+ %s\r\n", text)
	s.wire.allow(s.nextLimit())
	line, err := s.wire.readLine()
	if errors.Is(err, errLongLine) {
		err = auth.ErrLongLine
	}
	return string(line), err
}
