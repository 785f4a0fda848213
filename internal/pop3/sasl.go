package pop3

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
)

// mechanism is a SASL mechanism (RFC 4422, 5034). run gets what the client
// sent with AUTH, nil for nothing, and asks for more.
type mechanism struct {
	name string
	run  func(initial []byte, ask ask) (name, password string, err error)
}

// ask sends a challenge and returns the answer.
type ask func(challenge string) ([]byte, error)

func mechanisms() []mechanism {
	return []mechanism{{"PLAIN", plain}, {"LOGIN", loginMechanism}}
}

// errExchange is an exchange that the client cancelled or got wrong. The
// session goes on.
type errExchange string

func (e errExchange) Error() string { return string(e) }

// auth is AUTH (RFC 5034).
func (s *session) auth(arg string) error {
	if arg == "" {
		return s.listMechanisms()
	}
	name, initial, given := strings.Cut(arg, " ")
	m, known := findMechanism(name)
	switch {
	case !s.mayLogin():
		return s.wrong(clearTextRefusal)
	case !known:
		return s.wrong("unknown mechanism")
	}
	s.named = ""
	user, password, err := s.exchange(m, initial, given)
	var problem errExchange
	switch {
	case errors.As(err, &problem):
		return s.wrong(problem.Error())
	case err != nil:
		return err
	}
	return s.login(m.name, user, password)
}

func findMechanism(name string) (mechanism, bool) {
	for _, m := range mechanisms() {
		if strings.EqualFold(m.name, name) {
			return m, true
		}
	}
	return mechanism{}, false
}

// listMechanisms answers AUTH without an argument, which no RFC has and old
// clients (Outlook Express, early Netscape) use to ask what there is.
func (s *session) listMechanisms() error {
	s.ok("mechanisms follow")
	if s.mayLogin() {
		for _, m := range mechanisms() {
			s.wire.print("%s\r\n", m.name)
		}
	}
	s.wire.print(".\r\n")
	return nil
}

// exchange carries a mechanism out.
func (s *session) exchange(m mechanism, initial string, given bool) (user, password string, err error) {
	if !given {
		return m.run(nil, s.ask)
	}
	first, err := decode([]byte(strings.TrimLeft(initial, " ")))
	if err != nil {
		return "", "", err
	}
	return m.run(first, s.ask)
}

// ask is the ask of a session. An answer may be as long as a line of AUTH; "*"
// cancels (RFC 5034 4).
func (s *session) ask(challenge string) ([]byte, error) {
	s.wire.print("+ %s\r\n", base64.StdEncoding.EncodeToString([]byte(challenge)))
	s.wire.allow(s.nextLimit())
	line, err := s.wire.readLine()
	switch {
	case errors.Is(err, errLongLine):
		return nil, errExchange("line too long")
	case err != nil:
		return nil, err
	case string(line) == "*":
		return nil, errExchange("cancelled")
	case len(line) == 0:
		return []byte{}, nil
	}
	return decode(line)
}

// decode reads base64; "=" is data of no length (RFC 5034 4).
func decode(text []byte) ([]byte, error) {
	if string(text) == "=" {
		return []byte{}, nil
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	// The decoder passes over line ends; there are none inside a line, but a
	// bare CR there would be.
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil || bytes.IndexByte(text, '\r') >= 0 || n == 0 {
		return nil, errExchange("that is not base64")
	}
	return data[:n], nil
}

// plain is PLAIN (RFC 4616): authzid NUL authcid NUL password. Nobody may act
// for somebody else.
func plain(initial []byte, ask ask) (name, password string, err error) {
	message := initial
	if message == nil {
		if message, err = ask(""); err != nil {
			return "", "", err
		}
	}
	part := strings.Split(string(message), "\x00")
	switch {
	case len(part) != 3 || part[1] == "":
		return "", "", errExchange("that is no PLAIN message")
	case part[0] != "" && part[0] != part[1]:
		return "", "", errExchange("nobody logs in for somebody else here")
	}
	return part[1], part[2], nil
}

// loginMechanism is LOGIN, which no RFC has and Outlook uses. The texts of its
// challenges are what clients look for.
func loginMechanism(initial []byte, ask ask) (name, password string, err error) {
	user := initial
	if user == nil {
		if user, err = ask("Username:"); err != nil {
			return "", "", err
		}
	}
	secret, err := ask("Password:")
	switch {
	case err != nil:
		return "", "", err
	case len(user) == 0 || bytes.IndexByte(user, 0) >= 0 || bytes.IndexByte(secret, 0) >= 0:
		return "", "", errExchange("that is no name and password")
	}
	return string(user), string(secret), nil
}
