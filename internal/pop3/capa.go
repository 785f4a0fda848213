package pop3

import (
	"fmt"
	"strings"
	"time"

	"paperpath/internal/auth"
)

// capa is CAPA (RFC 2449 5). The list is the same before and after the login, since
// clients ask only once, but for STLS, which only exists before (RFC 2595 4).
func (s *session) capa(string) error {
	s.ok("capabilities follow")
	for _, line := range s.capabilities() {
		s.wire.print("%s\r\n", line)
	}
	s.wire.print(".\r\n")
	return nil
}

func (s *session) capabilities() []string {
	if s.announced != nil {
		return s.announced
	}
	var lines []string
	if s.mayPassword() {
		lines = append(lines, "USER")
	}
	if m := auth.Mechanisms(s.peer()); len(m) > 0 {
		lines = append(lines, "SASL "+strings.Join(m, " "))
	}
	if s.offersTLS() {
		lines = append(lines, "STLS")
	}
	lines = append(lines, "TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8 USER", "LANG")
	if delay := s.cfg.LoginDelay; delay > 0 {
		lines = append(lines, fmt.Sprintf("LOGIN-DELAY %d", (delay+time.Second-1)/time.Second))
	}
	return append(lines, "EXPIRE "+s.cfg.Expire, "IMPLEMENTATION Paperpath")
}

// offersTLS reports whether the client may send STLS now.
func (s *session) offersTLS() bool {
	return s.cfg.TLS != nil && !s.secure && s.drop == nil
}

// stls is STLS (RFC 2595 4). A failed handshake ends the session: an attacker on the
// path could use it to make the client go on in clear text.
func (s *session) stls(string) error {
	switch {
	case s.secure:
		return s.wrong("TLS is already active")
	case s.cfg.TLS == nil:
		return s.wrong("TLS is not available")
	case s.utf8:
		return s.wrong("STLS must come before UTF8") // RFC 6856 2.1
	}
	s.ok("begin TLS")
	return s.startTLS()
}
