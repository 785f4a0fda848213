package smtpd

import (
	"errors"
	"time"
)

// handshakeTime is the limit for a TLS handshake.
const handshakeTime = time.Minute

// handshake starts TLS. What the client sent in clear text after STARTTLS is
// discarded, not run inside TLS (CVE-2011-0411).
func (c *Conn) handshake() error {
	if c.cfg.TLS == nil {
		return errors.New("TLS without a certificate")
	}
	most := min(handshakeTime, c.cfg.CommandTimeout)
	if haste := c.wire.haste(); haste > 0 {
		most = min(most, haste)
	}
	c.wire.allow(time.Now().Add(most), errIdle)
	cfg, leaf := c.sasl.ServerTLS(c.cfg.TLS)
	state, err := c.wire.StartTLS(c.ctx, cfg)
	if err != nil {
		return err
	}
	c.tls, c.leaf = state, leaf()
	return nil
}

// startTLS handles STARTTLS (RFC 3207). After it the session begins anew (4.2); after
// a failed handshake it does not go on in clear text.
func (c *Conn) startTLS(arg string) error {
	switch {
	case c.cfg.TLS == nil:
		c.fail(502, "5.5.1", "TLS not available")
	case arg != "":
		c.fail(501, "5.5.4", "STARTTLS takes no parameters")
	case c.tls != nil:
		c.fail(503, "5.5.1", "TLS already active")
	case c.login != "":
		c.fail(503, "5.5.1", "STARTTLS not allowed after AUTH")
	default:
		c.wire.reply(220, "2.0.0", "ready to start TLS")
		c.reset()
		c.helo, c.esmtp = "", false
		if err := c.handshake(); err != nil {
			return &brokenTLS{err}
		}
	}
	return nil
}

// brokenTLS ends a session without a further reply.
type brokenTLS struct{ error }

func (e *brokenTLS) Unwrap() error { return e.error }
