package pop3

import (
	"bytes"
	"errors"
	"math"
	"strings"

	"paperpath/internal/addr"
)

// state is a set of session states (RFC 1939 3). The UPDATE state is within QUIT.
type state int

const (
	authorization state = 1 << iota
	transaction
	anyState = authorization | transaction
)

// command is a row of the table of commands. run answers the client; it returns an
// error only to end the session.
type command struct {
	name string
	in   state
	args arguments
	run  func(s *session, arg string) error
}

// arguments is how a command takes what follows its name.
type arguments int

const (
	none     arguments = iota // nothing may follow
	trimmed                   // without the blanks around it
	verbatim                  // everything after one blank, blanks too (RFC 1939 7, PASS)
)

// commands returns the table.
func commands() []command {
	return []command{
		{"CAPA", anyState, none, (*session).capa},
		{"USER", authorization, trimmed, (*session).user},
		{"PASS", authorization, verbatim, (*session).pass},
		{"AUTH", authorization, trimmed, (*session).auth},
		{"STLS", authorization, none, (*session).stls},
		{"UTF8", authorization, none, (*session).useUTF8},
		{"LANG", anyState, trimmed, (*session).lang},
		{"STAT", transaction, none, (*session).stat},
		{"LIST", transaction, trimmed, (*session).list},
		{"UIDL", transaction, trimmed, (*session).uidl},
		{"RETR", transaction, trimmed, (*session).retr},
		{"TOP", transaction, trimmed, (*session).top},
		{"DELE", transaction, trimmed, (*session).dele},
		{"RSET", transaction, none, (*session).rset},
		{"NOOP", transaction, none, (*session).noop},
		{"QUIT", anyState, none, (*session).quit},
	}
}

// command looks a command up in the table and runs it.
func (s *session) command(line []byte) error {
	name, arg := split(line)
	cmd, known := find(name)
	if problem := s.check(line, cmd, known, arg); problem != "" {
		if speaksHTTP(name) {
			s.errors = s.cfg.MaxErrors // a browser was tricked into connecting: end it now
		}
		return s.wrong(problem)
	}
	if cmd.args == trimmed {
		arg = strings.Trim(arg, " ")
	}
	return cmd.run(s, arg)
}

// check returns what is wrong with a command, "" if nothing is.
func (s *session) check(line []byte, cmd command, known bool, arg string) string {
	limit := maxLine
	if cmd.name == "AUTH" {
		limit = maxAuthLine
	}
	switch {
	case len(line) > limit:
		return "line too long"
	// A tab is not a separator in POP3, and a NUL in a password has been a way around
	// comparisons.
	case bytes.ContainsFunc(line, addr.IsControl):
		return "control characters are not allowed"
	case !known:
		return "unknown command"
	case cmd.in&s.state() == 0 && s.drop == nil:
		return "log in first"
	case cmd.in&s.state() == 0:
		return "you are already logged in"
	case cmd.args == none && strings.Trim(arg, " ") != "":
		return "this command takes no argument"
	}
	return ""
}

func (s *session) state() state {
	if s.drop == nil {
		return authorization
	}
	return transaction
}

// split cuts a line at its first blank.
func split(line []byte) (name, arg string) {
	name, arg, _ = strings.Cut(string(line), " ")
	return name, arg
}

// find looks name up, in any case (RFC 1939 3).
func find(name string) (command, bool) {
	for _, c := range commands() {
		if strings.EqualFold(c.name, name) {
			return c, true
		}
	}
	return command{}, false
}

func speaksHTTP(name string) bool {
	switch name {
	case "GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT":
		return true
	}
	return false
}

// What is wrong with a message number.
var (
	errNotNumber    = errors.New("invalid message number")
	errTrailingText = errors.New("trailing text after the message number")
	errNoMessage    = errors.New("no such message")
	errDeleted      = errors.New("message is deleted")
)

// parseNumber reads the decimal number at the start of arg and returns what follows
// it, without the blanks between: digits alone, no sign, no fraction. A number that
// is too large for an int becomes the largest int: TOP 1 99999999999 means all.
func parseNumber(arg string) (n int, rest string, err error) {
	end := 0
	for end < len(arg) && '0' <= arg[end] && arg[end] <= '9' {
		digit := int(arg[end] - '0')
		if n > (math.MaxInt-digit)/10 {
			n = math.MaxInt
		} else {
			n = n*10 + digit
		}
		end++
	}
	if end == 0 || end < len(arg) && arg[end] != ' ' {
		return 0, "", errNotNumber
	}
	return n, strings.TrimLeft(arg[end:], " "), nil
}

// message returns the message whose number arg is.
func (s *session) message(arg string) (*message, int, error) {
	n, rest, err := parseNumber(arg)
	switch {
	case err != nil:
		return nil, 0, err
	case rest != "":
		return nil, 0, errTrailingText
	}
	return s.drop.number(n)
}

// refuse answers a command whose message has no valid number, or cannot be had.
func (s *session) refuse(err error) error {
	if errors.Is(err, errDeleted) || errors.Is(err, errGone) {
		s.fail("", err.Error()) // not the client's fault
		return nil
	}
	return s.wrong(err.Error())
}
