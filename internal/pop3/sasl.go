package pop3

import (
	"errors"
	"strings"

	"paperpath/internal/auth"
)

// errCancelled and errLongAnswer end an exchange, not the session.
const (
	errCancelled  = auth.Malformed("cancelled")
	errLongAnswer = auth.Malformed("line too long")
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
	name, initial, given := strings.Cut(arg, " ")
	x, err := auth.Start(name, s.peer(), s.cfg.Users)
	switch {
	case errors.Is(err, auth.ErrClearText):
		return s.wrong(clearTextRefusal)
	case err != nil:
		return s.wrong(err.Error())
	}
	s.userName = ""
	err = s.exchange(x, strings.TrimLeft(initial, " "), given)
	var problem auth.Malformed
	var lost *lostClient
	switch {
	case errors.As(err, &problem):
		return s.wrong(problem.Error())
	case errors.As(err, &lost):
		return lost.error
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

// exchange asks until the exchange has an end.
func (s *session) exchange(x *auth.Exchange, initial string, given bool) (err error) {
	var response []byte
	if given {
		if response, err = auth.Decode(initial); err != nil {
			return err
		}
	}
	for {
		challenge, done, err := x.Next(s.ctx, response)
		if err != nil || done {
			return err
		}
		if response, err = s.ask(challenge); err != nil {
			return err
		}
	}
}

// ask sends a challenge and returns the answer, which may be as long as a line
// of AUTH; "*" cancels (RFC 5034 4).
func (s *session) ask(challenge []byte) ([]byte, error) {
	s.wire.print("+ %s\r\n", auth.Encode(challenge))
	s.wire.allow(s.nextLimit())
	line, err := s.wire.readLine()
	switch {
	case errors.Is(err, errLongLine):
		return nil, errLongAnswer
	case err != nil:
		return nil, &lostClient{err}
	case string(line) == "*":
		return nil, errCancelled
	}
	return auth.Decode(string(line))
}

// lostClient is an error of the connection inside an exchange.
type lostClient struct{ error }
