package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	udpSize    = 1232            // octets: avoids fragments (RFC 6891 6.2.5)
	maxServers = 3               // of resolv.conf, as in the C library
	rounds     = 2               // how often each server is asked
	tryTime    = 5 * time.Second // for an answer
)

// ask returns the first conclusive answer: records, NODATA or NXDOMAIN. A server that
// gives none of them counts as one that does not answer, and the next one is asked.
func (r *Resolver) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	servers, err := r.servers()
	if err != nil {
		return nil, err
	}
	for range rounds {
		for _, server := range servers {
			var m *dns.Msg
			if m, err = r.askOne(ctx, server, name, qtype); err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%s: %w", server, err)
			}
			err = fmt.Errorf("%s: %w", server, err)
		}
	}
	return nil, err
}

// askOne asks one server: over UDP, without EDNS if the server refuses that (RFC 6891 7),
// over TCP if the answer is truncated (RFC 7766 5).
func (r *Resolver) askOne(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype) // with a random id
	q.AuthenticatedData = true
	q.SetEdns0(udpSize, false)
	m, err := r.exchange(ctx, "udp", server, q)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		q.Extra = nil
		q.Id = dns.Id()
		m, err = r.exchange(ctx, "udp", server, q)
	}
	if err == nil && m.Truncated {
		q.Id = dns.Id()
		m, err = r.exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		return nil, err
	}
	return m, decides(m)
}

// decides returns an error if the answer is not conclusive.
func decides(m *dns.Msg) error {
	switch {
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return errors.New("answer " + rcode(m.Rcode))
	case m.Truncated:
		return errors.New("answer cut short")
	case len(m.Answer) == 0 && !m.Authoritative && !m.RecursionAvailable:
		return errors.New("answer of a server that does not look further")
	}
	return nil
}

func rcode(n int) string {
	if s, ok := dns.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", n)
}

// exchange sends q and waits for the answer. Over UDP anybody can send packets, so what
// is not an answer to q is ignored until the time is up.
func (r *Resolver) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.tryTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	co := &dns.Conn{Conn: c, UDPSize: udpSize}
	if err := co.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		m, err := co.ReadMsg()
		if err == nil && answers(m, q) {
			return m, nil
		}
		var trouble net.Error
		switch {
		case ctx.Err() != nil:
			return nil, ended(ctx)
		case network == "tcp" && err == nil:
			return nil, errors.New("answer to another question")
		case network == "tcp" || errors.As(err, &trouble):
			return nil, err
		}
	}
}

// ended says why ctx ended.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return ctx.Err()
}

// answers reports whether m is the answer to q: the same id and question.
func answers(m, q *dns.Msg) bool {
	if m.Id != q.Id || !m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return false
	}
	a, b := m.Question[0], q.Question[0]
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}
