package smtpd

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"paperpath/internal/status"
)

// maxLogin is the longest login or password, in octets.
const maxLogin = 1024

// authAllowed reports whether a password may come over this connection.
func (c *Conn) authAllowed() bool { return c.tls != nil || c.cfg.AuthInClear }

// auth is AUTH (RFC 4954).
func (c *Conn) auth(arg string) error {
	mechanism, initial, given := strings.Cut(arg, " ")
	switch mechanism = strings.ToUpper(mechanism); {
	case !c.cfg.Auth:
		c.fail(502, "5.5.1", "AUTH is not available")
	case !c.esmtp:
		c.fail(503, "5.5.1", "EHLO comes first")
	case c.login != "":
		c.fail(503, "5.5.1", "you are logged in already")
	case c.tx != nil:
		c.fail(503, "5.5.1", "a transaction is open") // RFC 4954 4
	case mechanism == "":
		c.fail(501, "5.5.4", "a mechanism is missing")
	case mechanism != "PLAIN" && mechanism != "LOGIN":
		c.fail(504, "5.5.4", "the mechanisms are PLAIN and LOGIN")
	case !c.authAllowed():
		c.fail(538, "5.7.11", "TLS comes first")
	default:
		return c.exchange(mechanism, strings.TrimLeft(initial, " \t"), given)
	}
	return nil
}

// exchange asks for login and password, and has them checked. Whatever is
// wrong with them counts as a failed login.
func (c *Conn) exchange(mechanism, initial string, given bool) error {
	get := c.plain
	if mechanism == "LOGIN" {
		get = c.loginPair
	}
	login, password, err := get(initial, given)
	if err == nil {
		err = wellFormed(login, password)
	}
	if e, ok := err.(*brokenWire); ok {
		return c.lost(e.error)
	}
	if err == nil {
		err = c.ask(func() error { return c.session.Authenticate(c.ctx, mechanism, login, password) })
	}
	if err != nil {
		if !status.IsTemporary(err) {
			c.logins++
		}
		return c.refuse(err)
	}
	c.login, c.logins = login, 0
	c.wire.reply(235, "2.7.0", "logged in")
	return nil
}

// wellFormed keeps from the tables what no login or password is. The answer is
// that for a wrong password.
func wellFormed(login, password string) error {
	for _, s := range []string{login, password} {
		if s == "" || len(s) > maxLogin || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return badLogin()
		}
	}
	return nil
}

func badLogin() error {
	return &status.Error{Exit: status.NotAllowed, Reply: 535, Enhanced: "5.7.8", Text: "wrong login or password"}
}

// plain is the mechanism PLAIN (RFC 4616).
func (c *Conn) plain(initial string, given bool) (login, password string, err error) {
	text, err := c.response(initial, given, "")
	if err != nil {
		return "", "", err
	}
	part := strings.Split(text, "\x00")
	if len(part) != 3 {
		return "", "", syntax(501, "5.5.2", "that is not PLAIN")
	}
	if part[0] != "" && part[0] != part[1] {
		return "", "", badLogin() // nobody acts for another
	}
	return part[1], part[2], nil
}

// loginPair is the mechanism LOGIN, which no RFC describes: two questions, of
// which the first may be answered with the command.
func (c *Conn) loginPair(initial string, given bool) (login, password string, err error) {
	if login, err = c.response(initial, given, "Username:"); err != nil {
		return "", "", err
	}
	password, err = c.response("", false, "Password:")
	return login, password, err
}

// response returns the decoded initial response, or the answer to a question.
func (c *Conn) response(initial string, given bool, question string) (string, error) {
	text := initial
	switch {
	case given && initial == "=":
		return "", nil // RFC 4954 4: an empty initial response
	case !given:
		c.wire.reply(334, "", base64.StdEncoding.EncodeToString([]byte(question)))
		line, err := c.wire.readLine(maxAuthLine)
		switch {
		case err == errLong:
			return "", syntax(500, "5.5.6", "line too long")
		case err == errBytes:
			return "", syntax(501, "5.5.2", "that is not base64")
		case err != nil:
			return "", &brokenWire{err}
		}
		text = string(line)
	}
	if text == "*" {
		return "", syntax(501, "5.7.0", "cancelled")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", syntax(501, "5.5.2", "that is not base64")
	}
	return string(raw), nil
}

// brokenWire is an error of the connection inside an exchange.
type brokenWire struct{ error }
