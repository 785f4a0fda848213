package dns

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// rough is a DNS server whose every octet a test decides.
type rough struct {
	addr string
	udp  atomic.Int32 // questions by UDP
	tcp  atomic.Int32
}

// newRough starts one. Each answer is a packet; none is silence.
func newRough(t *testing.T, answer func(q *dns.Msg, tcp bool) [][]byte) *rough {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); p.Close() })
	s := &rough{addr: l.Addr().String()}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			s.udp.Add(1)
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) == nil {
				for _, b := range answer(q, false) {
					p.WriteTo(b, from)
				}
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.tcp.Add(1)
			co := &dns.Conn{Conn: c}
			if q, err := co.ReadMsg(); err == nil {
				for _, b := range answer(q, true) {
					co.Write(b)
				}
			}
			c.Close()
		}
	}()
	return s
}

// packed is an answer to q after change.
func packed(t *testing.T, q *dns.Msg, change func(m *dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	change(m)
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

func mx(t *testing.T, owner, host string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(owner + " 60 IN MX 10 " + host)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// TestRoughServers: nothing that a server says can be taken for an answer that
// it is not.
func TestRoughServers(t *testing.T) {
	good := func(m *dns.Msg) { m.Answer = append(m.Answer, mx(t, "x.example.", "a.example.")) }
	for _, c := range []struct {
		name   string
		answer func(q *dns.Msg, tcp bool) [][]byte
		want   string // "" is the good answer
		tcp    int32
	}{
		{"good", func(q *dns.Msg, _ bool) [][]byte { return [][]byte{packed(t, q, good)} }, "", 0},
		{"silence", func(*dns.Msg, bool) [][]byte { return nil }, "temporary", 0},
		{"garbage before it", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{{}, []byte("x"), []byte(strings.Repeat("\xff", 600)), packed(t, q, good)}
		}, "", 0},
		{"wrong id before it", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Id++; m.Rcode = dns.RcodeNameError }), packed(t, q, good)}
		}, "", 0},
		{"wrong question before it", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Question[0].Name = "y.example."; m.Rcode = dns.RcodeNameError }), packed(t, q, good)}
		}, "", 0},
		{"wrong id only", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Id++; good(m) })}
		}, "temporary", 0},
		{"cut, then by TCP", func(q *dns.Msg, tcp bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) {
				if m.Truncated = !tcp; tcp {
					good(m)
				}
			})}
		}, "", 1},
		{"cut, TCP closes", func(q *dns.Msg, tcp bool) [][]byte {
			if tcp {
				return nil
			}
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Truncated = true })}
		}, "temporary", 2},
		{"cut twice", func(q *dns.Msg, tcp bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Truncated = true; good(m) })}
		}, "temporary", 2},
		{"refused", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused })}
		}, "temporary", 0},
		{"no EDNS", func(q *dns.Msg, _ bool) [][]byte {
			if q.IsEdns0() != nil {
				return [][]byte{packed(t, q, func(m *dns.Msg) { m.Rcode = dns.RcodeFormatError })}
			}
			return [][]byte{packed(t, q, good)}
		}, "", 0},
		{"a referral is no answer", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.RecursionAvailable = false })}
		}, "temporary", 0},
		{"record of another name", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) { m.Answer = append(m.Answer, mx(t, "y.example.", "evil.example.")) })}
		}, "NODATA", 0},
		{"CNAMEs in a circle", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) {
				for _, s := range []string{"x.example. 1 IN CNAME y.example.", "y.example. 1 IN CNAME x.example."} {
					rr, _ := dns.NewRR(s)
					m.Answer = append(m.Answer, rr)
				}
			})}
		}, "temporary", 0},
		// mockdns writes its CNAMEs the wrong way round.
		{"CNAME followed in the answer", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) {
				for _, s := range []string{"Z.example. 1 IN CNAME Y.example.", "X.example. 1 IN CNAME z.example."} {
					rr, _ := dns.NewRR(s)
					m.Answer = append(m.Answer, rr)
				}
				m.Answer = append(m.Answer, mx(t, "y.example.", "a.example."))
			})}
		}, "", 0},
		{"CNAME not followed", func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) {
				if q.Question[0].Name == "y.example." {
					m.Answer = append(m.Answer, mx(t, "y.example.", "a.example."))
					return
				}
				rr, _ := dns.NewRR("x.example. 1 IN CNAME y.example.")
				m.Answer = append(m.Answer, rr)
			})}
		}, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newRough(t, c.answer)
			r := newResolver(t, s.addr)
			if c.want == "temporary" {
				r.tryTime = 200 * time.Millisecond
			}
			got, err := r.MX(context.Background(), "x.example")
			if kindOf(err) != c.want || c.want == "" && !slices.Equal(got, []MX{{"a.example", 10}}) {
				t.Errorf("%v, %v; want %q", got, err, c.want)
			}
			if n := s.tcp.Load(); n != c.tcp {
				t.Errorf("%d questions by TCP, want %d", n, c.tcp)
			}
		})
	}
}

// TestHalfAnAnswer: with one family unknown nothing is known, and one that
// exists is enough.
func TestHalfAnAnswer(t *testing.T) {
	for _, c := range []struct {
		a, aaaa int // rcode; -1: an address
		want    string
	}{
		{-1, dns.RcodeServerFailure, ""},
		{-1, dns.RcodeNameError, ""},
		{dns.RcodeSuccess, dns.RcodeServerFailure, "temporary"},
		{dns.RcodeNameError, dns.RcodeServerFailure, "temporary"},
		{dns.RcodeServerFailure, dns.RcodeNameError, "temporary"},
		{dns.RcodeSuccess, dns.RcodeNameError, "NODATA"},
		{dns.RcodeNameError, dns.RcodeNameError, "NXDOMAIN"},
	} {
		s := newRough(t, func(q *dns.Msg, _ bool) [][]byte {
			return [][]byte{packed(t, q, func(m *dns.Msg) {
				code := c.aaaa
				if q.Question[0].Qtype == dns.TypeA {
					code = c.a
				}
				if code < 0 {
					rr, _ := dns.NewRR("x.example. 1 IN A 192.0.2.1")
					m.Answer, code = append(m.Answer, rr), 0
				}
				m.Rcode = code
			})}
		})
		if _, err := newResolver(t, s.addr).Addrs(context.Background(), "x.example"); kindOf(err) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestTwoServers: the second is asked where the first does not answer, and the
// first again before it is given up.
func TestTwoServers(t *testing.T) {
	dead := newRough(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{packed(t, q, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })}
	})
	r := newResolver(t, "")
	conf := "nameserver 127.0.0.1\n"
	if err := os.WriteFile(r.system.path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := r.servers(); err != nil || !slices.Equal(got, []string{"127.0.0.1:53"}) {
		t.Errorf("%v %v", got, err)
	}
	if err := os.WriteFile(r.system.path, []byte(conf+"nameserver ::1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := r.servers(); err != nil || !slices.Equal(got, []string{"127.0.0.1:53", "[::1]:53"}) {
		t.Errorf("changed: %v %v", got, err)
	}
	good := newRough(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{packed(t, q, func(m *dns.Msg) { m.Answer = append(m.Answer, mx(t, "x.example.", "a.example.")) })}
	})
	r.system.parse = func(string) ([]string, error) { return []string{dead.addr, good.addr}, nil }
	r.system.read = false
	if _, err := r.MX(context.Background(), "x.example"); err != nil || dead.udp.Load() != 1 || good.udp.Load() != 1 {
		t.Errorf("%v, %d and %d questions", err, dead.udp.Load(), good.udp.Load())
	}
	r.system.parse = func(string) ([]string, error) { return []string{dead.addr}, nil }
	r.system.read = false
	if _, err := r.MX(context.Background(), "x.example"); kindOf(err) != "temporary" || dead.udp.Load() != 3 {
		t.Errorf("%v, %d questions", err, dead.udp.Load())
	}
}

// TestContext: the caller's time ends a lookup, whoever is silent.
func TestContext(t *testing.T) {
	s := newRough(t, func(*dns.Msg, bool) [][]byte { return nil })
	r := newResolver(t, s.addr)
	r.tryTime = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Addrs(ctx, "x.example"); kindOf(err) != "temporary" {
		t.Error(err)
	}
	if _, err := newResolver(t, "broken").MX(context.Background(), "x.example"); kindOf(err) != "temporary" || !strings.Contains(err.Error(), "control/resolver:1") {
		t.Error(err)
	}
}
