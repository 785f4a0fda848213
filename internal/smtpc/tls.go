package smtpc

import (
	"bufio"
	"context"
	"crypto/tls"
)

// Secure begins TLS on the connection, as after STARTTLS.
func (s *Client) Secure(cfg *tls.Config) error {
	c := s.conn
	c.allow(c.times.Handshake, false)
	secure := tls.Client(c.raw, cfg)
	if err := secure.HandshakeContext(context.Background()); err != nil { // the deadline bounds it
		c.cut(Plain(err))
		return &Error{Command: "TLS handshake", Err: Plain(err)}
	}
	c.rw, c.r = secure, bufio.NewReaderSize(secure, maxReadLine)
	s.state = secure.ConnectionState()
	return nil
}
