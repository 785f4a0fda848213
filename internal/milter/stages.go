package milter

import (
	"context"

	"github.com/emersion/go-milter"
)

// Hello shows the milter who opened the session.
func (s *Session) Hello(ctx context.Context, p Peer) (Answer, error) {
	p = p.with()
	addr, family := p.Client.Addr(), milter.FamilyInet
	text := addr.WithZone("").String()
	if addr.Is6() {
		family = milter.FamilyInet6
	}
	return s.ask(ctx, AtConnect, p.macros(), func() (*milter.Action, error) {
		return s.client.Conn(clean(p.Name), family, p.Client.Port(), text)
	})
}

// Helo shows it the client's HELO or EHLO. There may be several: after STARTTLS the first
// one is void (RFC 3207 4.2).
func (s *Session) Helo(ctx context.Context, g Greeting) (Answer, error) {
	return s.ask(ctx, AtHelo, g.macros(), func() (*milter.Action, error) {
		return s.client.Helo(clean(g.Name))
	})
}

// Sender begins a message.
func (s *Session) Sender(ctx context.Context, from Sender) (Answer, error) {
	s.endMessage()
	if s.state == wantsAll {
		s.sent.open, s.sent.key = true, from.Key
	}
	return s.ask(ctx, AtSender, from.macros(), func() (*milter.Action, error) {
		return s.client.Mail(clean(from.Addr), cleanAll(from.Params))
	})
}

// Recipient adds a recipient. If the answer refuses them, the others stay.
func (s *Session) Recipient(ctx context.Context, to Recipient) (Answer, error) {
	a, err := s.ask(ctx, AtRecipient, to.macros(s.sent.key), func() (*milter.Action, error) {
		return s.client.Rcpt(clean(to.Addr), cleanAll(to.Params))
	})
	switch {
	case err != nil:
	case a.Err() != nil:
		s.sent.bad++
	default:
		s.sent.to = append(s.sent.to, to.Addr)
	}
	return a, err
}

func cleanAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}
