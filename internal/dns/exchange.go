package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	udpSize    = 1232            // octets: avoids fragments (RFC 6891 6.2.5)
	maxServers = 3               // of resolv.conf, as in the C library
	rounds     = 2               // how often each server is asked
	tryTime    = 5 * time.Second // for an answer
)

// refusal is what a server says instead of an answer.
type refusal string

func (r refusal) Error() string { return string(r) }

// ask returns the first conclusive answer: records, NODATA or NXDOMAIN. A server that
// gives none of them counts as one that does not answer, and the next one is asked.
func (m *memory) ask(ctx context.Context, name string, qtype Type) (*reply, error) {
	var err error
	for range rounds {
		for _, server := range m.servers {
			var r *reply
			if r, err = m.askOne(ctx, server, name, qtype); err == nil {
				r.secure = r.secure && m.trusted
				return r, nil
			}
			err = fmt.Errorf("%s: %w", server, err)
			if ctx.Err() != nil {
				return nil, err
			}
		}
	}
	return nil, err
}

// askOne asks one server: over UDP, without EDNS if the server refuses that (RFC 6891 7),
// over TCP if the answer is truncated (RFC 7766 5).
func (m *memory) askOne(ctx context.Context, server, name string, qtype Type) (*reply, error) {
	edns := true
	r, err := m.exchange(ctx, "udp", server, name, qtype, edns)
	if err == nil && (r.rcode == formErr || r.rcode == notImpl) {
		edns = false
		r, err = m.exchange(ctx, "udp", server, name, qtype, edns)
	}
	if err == nil && r.truncated {
		r, err = m.exchange(ctx, "tcp", server, name, qtype, edns)
	}
	if err != nil {
		return nil, err
	}
	return r, decides(r)
}

// decides returns an error if the answer is not conclusive.
func decides(r *reply) error {
	switch {
	case r.rcode != noError && r.rcode != nxDomain:
		return refusal("answer " + rcodeName(r.rcode))
	case r.truncated:
		return refusal("answer cut short")
	case len(r.records) == 0 && !r.authoritative && !r.recursion:
		return refusal("answer of a server that does not look further")
	}
	return nil
}

// exchange sends a question and waits for the answer. Over UDP anybody can send packets,
// so what is not the answer is ignored until the time is up.
func (m *memory) exchange(ctx context.Context, network, server, name string, qtype Type, edns bool) (*reply, error) {
	q, err := newQuery(name, qtype, edns)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, m.tryTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	var r *reply
	if network == "tcp" {
		r, err = q.overTCP(c)
	} else {
		r, err = q.overUDP(c)
	}
	if err != nil && ctx.Err() != nil {
		return nil, ended(ctx)
	}
	return r, err
}

// overUDP returns the first packet that is the answer.
func (q query) overUDP(c net.Conn) (*reply, error) {
	if _, err := c.Write(q.packet); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096) // some send more than we asked for
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if r, err := q.read(buf[:n]); err == nil {
			return r, nil
		}
	}
}

// overTCP returns the answer, which must come first (RFC 1035 4.2.2).
func (q query) overTCP(c net.Conn) (*reply, error) {
	packet := binary.BigEndian.AppendUint16(nil, uint16(len(q.packet)))
	if _, err := c.Write(append(packet, q.packet...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return nil, err
	}
	return q.read(buf)
}

// ended says why ctx ended.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return ctx.Err()
}
