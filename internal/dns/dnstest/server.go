// Package dnstest is a DNS server for tests, in the process of the test. It answers like
// a resolver, from a zone of a few lines, and does on demand what bad servers do.
//
// A line is a record as zone files have it, with the TTL 60 unless it says another:
//
//	example.org     MX  10 mx.example.org
//	mx.example.org  300 A  192.0.2.1
//	*.list.example  A   127.0.0.2
//	long.example    TXT "one string" "another"
//
// or what the server does for a name, alone or for one type:
//
//	x.example       !silent
//	y.example TXT   !servfail
//
// The words are:
//
//	!silent         no answer
//	!servfail !refused !formerr !notimp !nxdomain     this code
//	!delay=50ms     the answer comes later
//	!cut            truncated over UDP, whole over TCP
//	!cuttwice       truncated over TCP too
//	!cutclose       truncated over UDP, no answer over TCP
//	!garbage        packets without sense come before the answer
//	!wrongid        an answer with another id comes before it, !onlywrongid: alone
//	!wrongname      the answer to another question comes before it
//	!noedns         FORMERR to a question with EDNS
//	!referral       neither an answer nor recursion
//	!stray          records of another name
//	!nofollow       CNAMEs are not followed
//	!ad             the answer has the AD bit
//
// Names that are not there get NXDOMAIN, with the SOA of the nearest zone that has one.
package dnstest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds how long a TCP client may take for its question.
const patience = 10 * time.Second

// Server is a DNS server on a port of 127.0.0.1.
type Server struct {
	Addr string // address:port, for UDP and TCP

	udp net.PacketConn
	tcp net.Listener
	end sync.WaitGroup

	mu    sync.Mutex
	zone  zone
	asked []string
}

// New starts a server that ends with the test.
func New(t testing.TB, zone string) *Server {
	t.Helper()
	s, err := Start(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server; the caller closes it.
func Start(zone string) (*Server, error) {
	s := &Server{}
	if err := s.Set(zone); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.Addr = s.tcp.Addr().String()
	s.end.Go(s.packets)
	s.end.Go(s.connections)
	return s, nil
}

// listen finds a port that is free for both.
func (s *Server) listen() error {
	var err error
	for range 20 {
		if s.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		if s.udp, err = net.ListenPacket("udp", s.tcp.Addr().String()); err == nil {
			return nil
		}
		s.tcp.Close()
	}
	return err
}

// Close ends the server; its port answers no more.
func (s *Server) Close() {
	s.tcp.Close()
	s.udp.Close()
	s.end.Wait()
}

// Set replaces the zone.
func (s *Server) Set(text string) error {
	z, err := parse(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = z
	return nil
}

// Asked returns the questions so far, each as "example.org MX udp".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Count returns how many questions began with the words, all of them for "".
func (s *Server) Count(words string) int {
	n := 0
	for _, q := range s.Asked() {
		if strings.HasPrefix(q+" ", words+" ") || words == "" {
			n++
		}
	}
	return n
}

// CountBy returns how many questions came over the network, "udp" or "tcp".
func (s *Server) CountBy(network string) int {
	n := 0
	for _, q := range s.Asked() {
		if strings.HasSuffix(q, " "+network) {
			n++
		}
	}
	return n
}

func (s *Server) packets() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		question := slices.Clone(buf[:n])
		s.end.Go(func() {
			for _, b := range s.answer(question, "udp") {
				s.udp.WriteTo(b, from)
			}
		})
	}
}

func (s *Server) connections() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.end.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			for s.converse(c) == nil {
			}
		})
	}
}

// converse answers one question over TCP (RFC 1035 4.2.2).
func (s *Server) converse(c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, question); err != nil {
		return err
	}
	packets := s.answer(question, "tcp")
	for _, b := range packets {
		binary.BigEndian.PutUint16(size[:], uint16(len(b)))
		if _, err := c.Write(append(size[:], b...)); err != nil {
			return err
		}
	}
	if len(packets) == 0 {
		return errors.New("no answer")
	}
	return nil
}

// answer returns the packets that answer a question.
func (s *Server) answer(question []byte, network string) [][]byte {
	s.mu.Lock()
	z := s.zone
	s.mu.Unlock()
	q, ok := z.question(question, network == "tcp")
	if !ok {
		return nil
	}
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSuffix(q.name, ".")+" "+q.kind+" "+network)
	s.mu.Unlock()
	time.Sleep(q.faults.delay())
	return q.packets()
}
