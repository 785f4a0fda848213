package relay

import (
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"paperpath/internal/status"
)

// A message with REQUIRETLS goes only to a host that a route names, whose certificate
// proves that name, and that offers REQUIRETLS itself (RFC 8689 4.2.1).
func TestRequireTLS(t *testing.T) {
	conf := serverTLS(t)
	for name, c := range map[string]struct {
		change func(*smtp.Server, *lab)
		why    string
	}{
		"all as it must be": {func(s *smtp.Server, l *lab) { s.TLSConfig, s.EnableREQUIRETLS = conf, true }, ""},
		"no TLS":            {func(s *smtp.Server, l *lab) {}, "does not offer TLS"},
		"not offered":       {func(s *smtp.Server, l *lab) { s.TLSConfig = conf }, "does not offer REQUIRETLS"},
		"unknown issuer": {func(s *smtp.Server, l *lab) {
			s.TLSConfig, s.EnableREQUIRETLS = conf, true
			l.set("tls-roots", "system")
		}, "its certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.trust(conf)
			b := newServer(t, l, func(s *smtp.Server) { c.change(s, l) })
			m := l.message(letter, far)
			m.From.Params = "REQUIRETLS"
			err := l.sendMessage(m)[0].Err
			switch {
			case c.why == "":
				if err != nil || len(b.mails) != 1 || !b.mails[0].RequireTLS || !b.overTLS[0] {
					t.Errorf("%v, %+v", err, b.mails)
				}
			case err == nil || !strings.Contains(err.Error(), c.why) || status.Enhanced(err) != "5.7.30" || len(b.texts) != 0:
				t.Errorf("%v, %d messages", err, len(b.texts))
			}
		})
	}
}

// Nothing proves the name in an MX record.
func TestRequireTLSByMX(t *testing.T) {
	s := &session{cipher: "TLS1.3", terms: terms{host: host{name: "mx.example"}}}
	if why := s.bound(); !strings.Contains(why, "MX record") {
		t.Error(why)
	}
}

// TestTermsOfREQUIRETLS: such a message does not go in the session of one without.
func TestTermsOfREQUIRETLS(t *testing.T) {
	conf := serverTLS(t)
	l := newLab(t)
	l.trust(conf)
	b := newServer(t, l, func(s *smtp.Server) { s.TLSConfig, s.EnableREQUIRETLS = conf, true })
	for _, words := range []string{"", "REQUIRETLS", "", "REQUIRETLS"} {
		m := l.message(letter, far)
		m.From.Params = words
		if err := l.sendMessage(m)[0].Err; err != nil {
			t.Fatal(err)
		}
	}
	if open, _ := l.sessions(); open != 2 || len(b.mails) != 4 {
		t.Errorf("%d sessions, %d messages", open, len(b.mails))
	}
}
