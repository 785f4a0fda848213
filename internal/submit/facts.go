package submit

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"

	"paperpath/internal/check"
	"paperpath/internal/milter"
)

// facts are what milters are told about the session.
func (s *session) facts(ctx context.Context, tx transaction) check.Facts {
	f := check.Facts{Peer: s.peer(ctx), TLS: greetingOf(s.conn.TLSState()), Params: tx.params}
	if s.login != "" {
		f.AuthType = s.mech
	}
	return f
}

// peer is the client. Its name is waited for: filters judge by it.
func (s *session) peer(ctx context.Context) milter.Peer {
	p := milter.Peer{Daemon: string(s.server.role), Version: "Paperpath", Local: s.ours}
	p.Name, p.PTR = s.ptr.names(ctx)
	if ip, err := netip.ParseAddr(s.conn.ClientIP()); err == nil {
		port := uint16(0)
		if s.theirs.Addr().Unmap() == ip.Unmap() { // else XCLIENT names another client
			port = s.theirs.Port()
		}
		p.Client = netip.AddrPortFrom(ip, port)
		if p.Name == "" && ip.IsLoopback() {
			p.Name, p.PTR = "localhost", "localhost"
		}
	}
	return p
}

// addrPort is the address of one end of a connection; the zero value where it has none.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return tcp.AddrPort()
}

// greetingOf is what TLS says of a session.
func greetingOf(state *tls.ConnectionState) milter.Greeting {
	if state == nil {
		return milter.Greeting{}
	}
	cipher := tls.CipherSuiteName(state.CipherSuite)
	g := milter.Greeting{TLSVersion: "TLSv" + strings.TrimPrefix(tls.VersionName(state.Version), "TLS "), Cipher: cipher}
	switch {
	case strings.Contains(cipher, "_128_"):
		g.CipherBits = 128
	case strings.Contains(cipher, "_256_"), strings.Contains(cipher, "CHACHA20"):
		g.CipherBits = 256
	}
	if len(state.VerifiedChains) > 0 { // what nobody has verified is no fact
		cert := state.PeerCertificates[0]
		g.CertSubject, g.CertIssuer = cert.Subject.CommonName, cert.Issuer.CommonName
	}
	return g
}
