package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"paperpath/internal/smtpc"
)

// inside begins TLS on a connection to a host that expects it before its greeting (RFC
// 8314 3.3). The error says why the host cannot be used for now.
func (r *Relay) inside(ctx context.Context, s *session, c net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Times.Handshake)
	defer cancel()
	secure := tls.Client(c, r.tlsConfig(s.terms))
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("TLS handshake: %w", smtpc.Plain(err))
	}
	if err := s.secured(r, secure.ConnectionState()); err != nil {
		secure.Close()
		return nil, err
	}
	return secure, nil
}

// tlsConfig is for a session on these terms.
func (r *Relay) tlsConfig(t terms) *tls.Config {
	c := t.rule.Config(t.host.name)
	c.GetClientCertificate = r.clientCertificate(t)
	return c
}
