package smtpd

import (
	"errors"
	"strings"

	"paperpath/internal/auth"
	"paperpath/internal/status"
)

// peer is what SASL needs to know about the connection.
func (c *Conn) peer() auth.Peer {
	return auth.Peer{Policy: c.sasl, TLS: c.tls, Leaf: c.leaf, Private: c.private}
}

// mechanisms returns the mechanisms that AUTH offers now.
func (c *Conn) mechanisms() []string {
	if _, ok := c.session.(Authenticator); !ok || !c.cfg.Auth {
		return nil
	}
	return auth.Mechanisms(c.peer())
}

// auth handles AUTH (RFC 4954). It also works after HELO if EHLO would have listed
// it: old clients say HELO and know from their settings that they may log in.
func (c *Conn) auth(arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	users, can := c.session.(Authenticator)
	switch {
	case !c.cfg.Auth || !can:
		c.fail(502, "5.5.1", "AUTH not available")
	case c.helo == "":
		c.fail(503, "5.5.1", "send EHLO first")
	case c.login != "":
		c.fail(503, "5.5.1", "already authenticated")
	case c.tx != nil:
		c.fail(503, "5.5.1", "not allowed during a mail transaction") // RFC 4954 4
	case mechanism == "":
		c.fail(501, "5.5.4", "missing mechanism")
	default:
		x, err := auth.Start(mechanism, c.peer(), users)
		switch {
		case err == auth.ErrClearText:
			c.fail(538, "5.7.11", "encryption required for authentication")
		case err != nil:
			c.fail(504, "5.5.4", "unsupported mechanism; available: "+strings.Join(c.mechanisms(), " "))
		default:
			return c.exchange(users, x, strings.TrimLeft(initial, " \t"))
		}
	}
	return nil
}

// exchange runs a SASL exchange. Any error of the client's in it counts as a failed
// login.
func (c *Conn) exchange(users Authenticator, x *auth.Exchange, initial string) error {
	err := c.ask(func() error { return x.Run(c.ctx, initial, c.challenge) })
	var lost *auth.Lost
	if errors.As(err, &lost) {
		return c.lost(lost.Err)
	}
	var own auth.Malformed
	if errors.As(err, &own) {
		err = malformed(own)
	} else if c.panicked == nil {
		authErr := err
		err = c.ask(func() error { return users.Authenticated(c.ctx, x.Mechanism(), x.Login(), authErr) })
	}
	if err != nil {
		if !status.IsTemporary(err) {
			c.logins++
		} else {
			c.errors++ // so that a client told to retry later cannot retry without end
		}
		return c.refuse(err)
	}
	c.login, c.logins = x.Login(), 0
	c.wire.reply(235, "2.7.0", "authentication successful")
	return nil
}

// challenge sends a challenge and returns the line with which the client answers.
func (c *Conn) challenge(text string) (string, error) {
	c.wire.reply(334, "", text)
	line, err := c.wire.readLine(maxAuthLine)
	switch err {
	case errLong:
		err = auth.ErrLongLine
	case errBytes:
		err = auth.ErrBase64
	}
	return string(line), err
}

// malformed returns the refusal of an exchange that the client cancelled or got
// wrong (RFC 4954 4, 6).
func malformed(err auth.Malformed) error {
	switch err {
	case auth.ErrCancelled:
		return syntax(501, "5.7.0", err.Error())
	case auth.ErrLongLine:
		return syntax(500, "5.5.6", err.Error())
	}
	return syntax(501, "5.5.2", err.Error())
}
