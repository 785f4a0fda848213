package smtpd

import (
	"errors"
	"strings"

	"paperpath/internal/auth"
	"paperpath/internal/status"
)

// peer is what SASL has to know of the connection.
func (c *Conn) peer() auth.Peer {
	return auth.Peer{Policy: c.cfg.SASL, TLS: c.tls, Leaf: c.leaf, Private: c.cfg.AuthInClear}
}

// mechanisms returns what a client may use for AUTH now.
func (c *Conn) mechanisms() []string {
	if _, ok := c.session.(Authenticator); !ok || !c.cfg.Auth {
		return nil
	}
	return auth.Mechanisms(c.peer())
}

// auth is AUTH (RFC 4954). Behind HELO it works where EHLO would have listed it:
// old clients greet so and know what they may do from their settings.
func (c *Conn) auth(arg string) error {
	mechanism, initial, given := strings.Cut(arg, " ")
	users, can := c.session.(Authenticator)
	switch {
	case !c.cfg.Auth || !can:
		c.fail(502, "5.5.1", "AUTH is not available")
	case c.helo == "":
		c.fail(503, "5.5.1", "EHLO comes first")
	case c.login != "":
		c.fail(503, "5.5.1", "you are logged in already")
	case c.tx != nil:
		c.fail(503, "5.5.1", "a transaction is open") // RFC 4954 4
	case mechanism == "":
		c.fail(501, "5.5.4", "a mechanism is missing")
	default:
		x, err := auth.Start(mechanism, c.peer(), users)
		switch {
		case err == auth.ErrClearText:
			c.fail(538, "5.7.11", "TLS comes first")
		case err != nil:
			c.fail(504, "5.5.4", "the mechanisms are "+strings.Join(c.mechanisms(), " "))
		default:
			return c.exchange(users, x, strings.TrimLeft(initial, " \t"), given)
		}
	}
	return nil
}

// exchange carries an exchange out. Whatever is wrong in it counts as a failed
// login.
func (c *Conn) exchange(users Authenticator, x *auth.Exchange, initial string, given bool) error {
	err := c.converse(x, initial, given)
	var broken *brokenWire
	if errors.As(err, &broken) {
		return c.lost(broken.error)
	}
	var own *syntaxError
	if !errors.As(err, &own) && c.panicked == nil {
		authErr := err
		err = c.ask(func() error { return users.Authenticated(c.ctx, x.Mechanism(), x.Login(), authErr) })
	}
	if err != nil {
		if !status.IsTemporary(err) {
			c.logins++
		} else {
			c.errors++ // who is told to come again later does not try on and on
		}
		return c.refuse(err)
	}
	c.login, c.logins = x.Login(), 0
	c.wire.reply(235, "2.7.0", "logged in")
	return nil
}

// converse asks until the exchange has an end.
func (c *Conn) converse(x *auth.Exchange, initial string, given bool) error {
	var response []byte
	if given {
		var err error
		if response, err = decode(initial); err != nil {
			return err
		}
	}
	for {
		var challenge []byte
		var done bool
		err := c.ask(func() (err error) { challenge, done, err = x.Next(c.ctx, response); return err })
		if err != nil || done {
			return badSyntax(err)
		}
		if response, err = c.response(challenge); err != nil {
			return err
		}
	}
}

// response sends a challenge and returns the answer.
func (c *Conn) response(challenge []byte) ([]byte, error) {
	c.wire.reply(334, "", auth.Encode(challenge))
	line, err := c.wire.readLine(maxAuthLine)
	switch {
	case err == errLong:
		return nil, &syntaxError{syntax(500, "5.5.6", "line too long")}
	case err == errBytes:
		return nil, badSyntax(auth.Malformed("that is not base64"))
	case err != nil:
		return nil, &brokenWire{err}
	case string(line) == "*":
		return nil, &syntaxError{syntax(501, "5.7.0", "cancelled")}
	}
	return decode(string(line))
}

func decode(text string) ([]byte, error) {
	data, err := auth.Decode(text)
	return data, badSyntax(err)
}

// syntaxError is an exchange that the client cancelled or got wrong: nobody
// was refused.
type syntaxError struct{ error }

func (e *syntaxError) Unwrap() error { return e.error }

// badSyntax gives what is malformed its reply.
func badSyntax(err error) error {
	var m auth.Malformed
	if errors.As(err, &m) {
		return &syntaxError{syntax(501, "5.5.2", m.Error())}
	}
	return err
}

// brokenWire is an error of the connection inside an exchange.
type brokenWire struct{ error }
