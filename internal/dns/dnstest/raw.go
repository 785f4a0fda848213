package dnstest

import (
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Ask is a question to a Raw server.
type Ask struct {
	Network string   // udp or tcp
	Msg     *dns.Msg // the question
	Packet  []byte   // the same, as it came

	// Send sends octets as they are: over TCP, their length (RFC 1035 4.2.2) is part of them.
	// An error says that the client has gone.
	Send func([]byte) error
}

// Reply sends a message that Go can pack, with its length over TCP.
func (a Ask) Reply(m *dns.Msg) error {
	b, err := m.Pack()
	if err != nil {
		return err
	}
	return a.Packets(b)
}

// Packets sends packets that nobody looks at, with their length over TCP.
func (a Ask) Packets(list ...[]byte) error {
	for _, b := range list {
		if a.Network == "tcp" {
			b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
		}
		if err := a.Send(b); err != nil {
			return err
		}
	}
	return nil
}

// Answer returns an answer with these records, in the notation of zone files.
func (a Ask) Answer(records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(a.Msg)
	m.Question = slices.Clone(m.Question)
	m.RecursionAvailable = true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err) // a fault of the test
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// Raw starts a server that sends whatever answer does, and returns its address. answer is
// called concurrently.
func Raw(t testing.TB, answer func(Ask)) string {
	t.Helper()
	s := &Server{}
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	s.end.Go(func() { s.rawPackets(answer) })
	s.end.Go(func() { s.rawConnections(answer) })
	t.Cleanup(s.Close)
	return s.tcp.Addr().String()
}

// rawAsk reads a question.
func rawAsk(network string, packet []byte, send func([]byte) error) (Ask, bool) {
	m := new(dns.Msg)
	if m.Unpack(packet) != nil || len(m.Question) != 1 {
		return Ask{}, false
	}
	return Ask{Network: network, Msg: m, Packet: packet, Send: send}, true
}

func (s *Server) rawPackets(answer func(Ask)) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		send := func(b []byte) error { _, err := s.udp.WriteTo(b, from); return err }
		if a, ok := rawAsk("udp", slices.Clone(buf[:n]), send); ok {
			s.end.Go(func() { answer(a) })
		}
	}
}

func (s *Server) rawConnections(answer func(Ask)) {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.end.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			packet := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, packet); err != nil {
				return
			}
			send := func(b []byte) error { _, err := c.Write(b); return err }
			if a, ok := rawAsk("tcp", packet, send); ok {
				answer(a)
			}
		})
	}
}
