package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"paperpath/internal/maillog"
	"paperpath/internal/smtpc"
	"paperpath/internal/status"
)

// inside begins TLS on a connection to a host that expects it before its greeting (RFC
// 8314 3.3). The error says that the host cannot be used for now.
func (r *Relay) inside(ctx context.Context, t terms, c net.Conn) (*tls.Conn, *failure) {
	ctx, cancel := context.WithTimeout(ctx, r.Times.Handshake)
	defer cancel()
	secure := tls.Client(c, r.tlsConfig(t))
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, &failure{host: t.host, elsewhere: true,
			err: status.Temp("4.7.5", fmt.Sprintf("%s: TLS handshake: %v", t.host, smtpc.Plain(err)), nil)}
	}
	return secure, nil
}

// secured notes what the TLS of a session is worth.
func (s *session) secured(r *Relay, st tls.ConnectionState) {
	s.state = &st
	s.distrust = verify(st, s.host.name, r.roots)
	s.cipher = maillog.TLS(&st)
}

// tlsConfig is for a session on these terms.
func (r *Relay) tlsConfig(t terms) *tls.Config {
	return &tls.Config{
		ServerName:         t.host.name,
		InsecureSkipVerify: true, // unauthenticated TLS is better than none (RFC 7435 3)
		MinVersion:         tls.VersionTLS12,

		GetClientCertificate: r.clientCertificate(t),
	}
}
