package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// trouble is what a bad host does at one place of a session.
type trouble struct {
	at   string // "": the greeting; a verb, with its number for RCPT; "." for the end of the text; "EHLO in TLS"
	say  string // instead of its reply, with line ends
	then string // "": go on; or one of the ends below
}

// What a host does behind what it says.
const (
	closes = "closes"
	resets = "resets"
	silent = "is silent"
	slow   = "takes its time" // and then goes on
)

// manners are how a bad host behaves. It obeys SMTP except for its trouble.
type manners struct {
	trouble
	pipelining, chunking bool
	tls                  *tls.Config // nil: it does not offer TLS
	cut                  bool        // its reply ends too early
	cutTLS               int         // octets of the handshake after which it closes; 0: all go out
}

// badHost is a host for one case.
type badHost struct {
	manners

	mu       sync.Mutex
	accepted map[string]bool // recipients whose 2xx went out
	refused  map[string]bool // whose 5xx went out
	taken    map[string]bool // those of texts whose 2xx went out
	clear    int             // MAIL commands in the clear
}

// badSession is a session with a badHost.
type badSession struct {
	*badHost
	c     net.Conn
	r     *bufio.Reader
	inTLS bool
	rcpts int
	to    []string // accepted in this transaction
	said  bool     // the trouble has been
}

// serve has one session.
func (h *badHost) serve(c net.Conn) {
	s := &badSession{badHost: h, c: c, r: bufio.NewReader(c)}
	defer c.Close()
	if !s.reply("", "220 peer.example ESMTP\r\n") {
		return
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil || !s.command(strings.TrimSuffix(line, "\r\n")) {
			return
		}
	}
}

// command answers a command; false ends the session.
func (s *badSession) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO":
		if s.inTLS {
			return s.reply("EHLO in TLS", s.offer())
		}
		return s.reply("EHLO", s.offer())
	case "STARTTLS":
		return s.reply("STARTTLS", "220 go ahead\r\n") && s.startTLS()
	case "MAIL":
		s.mail()
	case "RCPT":
		s.rcpts++
		return s.rcpt(rest)
	case "DATA":
		return s.data()
	case "BDAT":
		size, _ := strconv.Atoi(strings.TrimSuffix(rest, " LAST"))
		if _, err := io.CopyN(io.Discard, s.r, int64(size)); err != nil {
			return false
		}
		return s.end()
	case "QUIT":
		s.reply("QUIT", "221 bye\r\n")
		return false
	}
	return s.reply(verb, "250 2.0.0 ok\r\n")
}

func (s *badSession) offer() string {
	lines := "250-peer.example\r\n"
	if s.pipelining {
		lines += "250-PIPELINING\r\n"
	}
	if s.chunking {
		lines += "250-CHUNKING\r\n"
	}
	if s.tls != nil && !s.inTLS {
		lines += "250-STARTTLS\r\n"
	}
	return lines + "250 8BITMIME\r\n"
}

func (s *badSession) mail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcpts, s.to = 0, nil
	if !s.inTLS {
		s.clear++
	}
}

// rcpt answers RCPT, and notes what the client can know then.
func (s *badSession) rcpt(rest string) bool {
	address, _, _ := strings.Cut(strings.TrimPrefix(rest, "TO:<"), ">")
	said, ok := s.answer("RCPT "+strconv.Itoa(s.rcpts), "250 2.1.5 ok\r\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case complete(said, '2'):
		s.to = append(s.to, address)
		s.accepted[address] = true
	case complete(said, '5'):
		s.refused[address] = true
	}
	return ok
}

func (s *badSession) data() bool {
	said, ok := s.answer("DATA", "354 go on\r\n")
	if !ok || !strings.HasPrefix(said, "354") {
		s.refuse(said, s.to)
		return ok
	}
	if _, err := readText(s.r); err != nil {
		return false
	}
	return s.end()
}

// end answers the end of a text.
func (s *badSession) end() bool {
	said, ok := s.answer(".", "250 2.0.0 taken as 4711\r\n")
	s.mu.Lock()
	if complete(said, '2') {
		for _, address := range s.to {
			s.taken[address] = true
		}
	}
	s.mu.Unlock()
	s.refuse(said, s.to)
	return ok
}

func (s *badSession) refuse(said string, to []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, address := range to {
		s.refused[address] = s.refused[address] || complete(said, '5')
	}
}

// complete reports whether a reply of a class has come to its end.
func complete(said string, class byte) bool {
	if said == "" || said[0] != class || !strings.HasSuffix(said, "\n") {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	last := lines[len(lines)-1]
	return len(last) >= 3 && last[0] == class && (len(last) == 3 || last[3] != '-')
}

func (s *badSession) reply(at, usual string) bool {
	_, ok := s.answer(at, usual)
	return ok
}

// answer says what is usual, or makes its trouble, once. It returns what went out, and
// whether the session goes on.
func (s *badSession) answer(at, usual string) (said string, ok bool) {
	if at != s.at || s.said {
		fmt.Fprint(s.c, usual)
		return usual, true
	}
	s.said = true
	if s.then == slow {
		time.Sleep(10 * time.Millisecond) // the client is to wait, no matter how long
		fmt.Fprint(s.c, usual)
		return usual, true
	}
	fmt.Fprint(s.c, s.say)
	switch s.then {
	case closes:
		s.hangUp()
		return s.say, false
	case resets:
		if c, ok := s.c.(*net.TCPConn); ok {
			c.SetLinger(0)
		}
		return "", false // nobody knows what of it arrives
	case silent:
		io.Copy(io.Discard, s.r)
		return s.say, false
	}
	return s.say, true
}

// hangUp closes so that what was said arrives: a connection with octets that were not
// read is reset.
func (s *badSession) hangUp() {
	if c, ok := s.c.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	io.Copy(io.Discard, s.r)
}

// startTLS begins TLS, or breaks it.
func (s *badSession) startTLS() bool {
	if s.at == "STARTTLS" && s.say != "" && !strings.HasPrefix(s.say, "220") {
		return true
	}
	var raw net.Conn = s.c
	if s.cutTLS > 0 {
		raw = &cutConn{Conn: s.c, left: s.cutTLS}
	}
	c := tls.Server(raw, s.tls)
	if err := c.HandshakeContext(context.Background()); err != nil {
		return false
	}
	s.c, s.r, s.inTLS = c, bufio.NewReader(c), true
	return true
}

// cutConn closes after some octets.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Write(p []byte) (int, error) {
	if len(p) > c.left {
		n, _ := c.Conn.Write(p[:c.left])
		c.Conn.Close()
		return n, io.ErrClosedPipe
	}
	c.left -= len(p)
	return c.Conn.Write(p)
}

// badHosts listens for all of them: the port that a client asks for says which.
type badHosts struct {
	t     *testing.T
	l     net.Listener
	mu    sync.Mutex
	hosts map[string]*badHost // by the port of the route
	of    map[string]*badHost // by the address of the client
	wait  sync.WaitGroup
}

func newBadHosts(t *testing.T) *badHosts {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &badHosts{t: t, l: l, hosts: map[string]*badHost{}, of: map[string]*badHost{}}
	b.wait.Add(1)
	go b.listen()
	t.Cleanup(func() {
		l.Close()
		b.wait.Wait()
	})
	return b
}

func (b *badHosts) listen() {
	defer b.wait.Done()
	for {
		c, err := b.l.Accept()
		if err != nil {
			return
		}
		b.wait.Add(1)
		go func() {
			defer b.wait.Done()
			for {
				b.mu.Lock()
				h := b.of[c.RemoteAddr().String()]
				delete(b.of, c.RemoteAddr().String()) // the port may come again
				b.mu.Unlock()
				if h != nil {
					h.serve(c)
					return
				}
				time.Sleep(time.Millisecond) // the client has not said yet who it is
			}
		}()
	}
}

// dial connects to the host of a port.
func (b *badHosts) dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	c, err := new(net.Dialer).DialContext(ctx, network, b.l.Addr().String())
	if err == nil {
		b.mu.Lock()
		b.of[c.LocalAddr().String()] = b.hosts[port]
		b.mu.Unlock()
	}
	return c, err
}
