package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// open begins a session for m, by TLS where the host offers it. Where TLS then
// does not work it goes on in the clear, for nobody has asked for TLS (RFC 7435);
// for a message that does ask, the host fails for now.
func (r *Relay) open(ctx context.Context, m *Message, h host, helo string) (*session, *failure) {
	s, f := r.connect(ctx, h, helo)
	if f != nil || !s.offers("STARTTLS") {
		return s, f
	}
	refused := s.startTLS(ctx, r.Times, r.roots)
	if refused == nil {
		return s, nil
	}
	if m.requireTLS() {
		s.quit()
		text := fmt.Sprintf("%s: STARTTLS: %v, and the message is for TLS alone (REQUIRETLS)", h, refused)
		return nil, &failure{host: h, elsewhere: true, err: status.Temp("4.7.5", text, nil)}
	}
	r.Log.Trouble(m.Key, "STARTTLS with "+h.String()+", going on in the clear", refused)
	if s.goesOn() {
		s.refused = refused
		return s, nil
	}
	s.quit()
	if s, f = r.connect(ctx, h, helo); f != nil {
		f.err.Text += fmt.Sprintf(" (in the clear, for STARTTLS: %v)", refused)
		f.silent = false // it has answered before
		return nil, f
	}
	s.refused = refused
	return s, nil
}

// goesOn reports whether the host that has refused STARTTLS still listens: it
// may have said so (RFC 5321 3.8), or simply have closed the connection.
func (s *session) goesOn() bool {
	if s.wire.broken != nil || s.wire.reply.code == 421 {
		return false
	}
	return s.wire.do("RSET") == nil && s.ok()
}

// startTLS changes to TLS (RFC 3207). go-smtp's own way says EHLO localhost
// first and trusts what it has read before, so the client is replaced: the new
// one knows only what was said inside TLS. Its greeting, which SMTP does not
// repeat there, is made up.
func (s *session) startTLS(ctx context.Context, t Times, roots *x509.CertPool) error {
	if err := s.wire.do("STARTTLS"); err != nil {
		return err
	}
	if s.wire.reply.code != 220 {
		return errors.New(s.wire.reply.text)
	}
	if s.wire.r.Buffered() > 0 { // injected, perhaps (RFC 3207 6)
		s.wire.cut(errEarly)
		return errEarly
	}
	c := tls.Client(s.wire.Conn, &tls.Config{
		ServerName:         s.host.name,
		InsecureSkipVerify: true, // unauthenticated TLS is better than none (RFC 7435 3)
		MinVersion:         tls.VersionTLS12,
	})
	shaking, cancel := context.WithTimeout(ctx, t.Handshake)
	defer cancel()
	if err := c.HandshakeContext(shaking); err != nil {
		s.wire.cut(err)
		return fmt.Errorf("handshake: %w", plain(err))
	}
	s.halt()
	s.wire = newWire(c, t, s.wire.latest())
	s.halt = context.AfterFunc(ctx, s.wire.stop)
	s.wire.out.WriteString("220 TLS\r\n")
	s.smtp = smtp.NewClient(s.wire)
	if err := s.smtp.Hello(s.helo); err != nil {
		s.wire.cut(err)
		return fmt.Errorf("EHLO inside TLS: %w", err)
	}
	st := c.ConnectionState()
	s.distrust = verify(st, s.host.name, roots)
	s.tls = maillog.TLS(&st)
	return nil
}
