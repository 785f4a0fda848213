package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Sink is the SMTP server that everything is sent to. It only counts: a message is
// known by its recipients, of which no two messages share one.
type Sink struct {
	extensions []string
	listeners  []net.Listener

	mu           sync.Mutex
	got          map[string]int // messages by recipient
	sessions     int
	transactions int
	last         time.Time // when the last message was accepted
	awaited      int       // recipients until done is closed
	done         chan struct{}
}

// NewSink makes a sink that listens nowhere yet.
func NewSink() *Sink {
	words := []string{"sink.example", "PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"}
	s := &Sink{extensions: words}
	s.Await(0)
	return s
}

// Listen serves a free port of ip and returns the address.
func (s *Sink) Listen(ip string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", err
	}
	s.listeners = append(s.listeners, l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return l.Addr().String(), nil
}

// Close ends all listeners.
func (s *Sink) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// Await forgets what came and begins to wait for n recipients.
func (s *Sink) Await(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.sessions, s.transactions, s.awaited = map[string]int{}, 0, 0, n
	s.done = make(chan struct{})
}

// Done is closed when all has come that is awaited.
func (s *Sink) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Count is what has arrived.
type Count struct {
	Recipients, Twice, Sessions, Transactions int
	Last                                      time.Time
}

// Count returns it.
func (s *Sink) Count() Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Count{Recipients: len(s.got), Sessions: s.sessions, Transactions: s.transactions, Last: s.last}
	for _, n := range s.got {
		if n > 1 {
			c.Twice++
		}
	}
	return c
}

func (s *Sink) accepted(to []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transactions++
	s.last = time.Now()
	before := len(s.got)
	for _, rcpt := range to {
		s.got[rcpt]++
	}
	if before < s.awaited && len(s.got) >= s.awaited {
		close(s.done)
	}
}

// guest is one session.
type guest struct {
	*Sink
	r  *bufio.Reader
	w  *bufio.Writer
	to []string
}

// serve speaks SMTP: the replies to what came together go out together.
func (s *Sink) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	s.sessions++
	s.mu.Unlock()
	g := &guest{Sink: s, r: bufio.NewReaderSize(c, 64<<10), w: bufio.NewWriter(c)}
	g.say("220 sink.example ESMTP")
	for {
		if g.r.Buffered() == 0 && g.w.Flush() != nil {
			return
		}
		line, err := g.r.ReadSlice('\n')
		if err != nil || !g.command(string(bytes.TrimRight(line, "\r\n"))) {
			g.w.Flush()
			return
		}
	}
}

func (g *guest) say(line string) { g.w.WriteString(line + "\r\n") }

// command answers one command; false ends the session.
func (g *guest) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		for i, word := range g.extensions {
			sep := map[bool]string{true: " ", false: "-"}[i == len(g.extensions)-1]
			g.say("250" + sep + word)
		}
	case "HELO", "NOOP":
		g.say("250 sink.example")
	case "MAIL", "RSET":
		g.to = nil
		g.say("250 2.1.0 ok")
	case "RCPT":
		_, path, _ := strings.Cut(rest, "<")
		address, _, _ := strings.Cut(path, ">")
		g.to = append(g.to, address)
		g.say("250 2.1.5 ok")
	case "DATA":
		return g.data()
	case "BDAT":
		return g.chunk(strings.Fields(rest))
	case "QUIT":
		g.say("221 2.0.0 bye")
		return false
	default:
		g.say("502 5.5.1 no such command")
	}
	return true
}

func (g *guest) data() bool {
	g.say("354 go on")
	if g.w.Flush() != nil {
		return false
	}
	for {
		line, err := g.r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
	}
	g.end()
	return true
}

func (g *guest) chunk(words []string) bool {
	if len(words) == 0 {
		return false
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return false
	}
	if _, err := io.CopyN(io.Discard, g.r, n); err != nil {
		return false
	}
	if len(words) == 1 {
		g.say(fmt.Sprintf("250 2.0.0 %d octets", n))
		return true
	}
	g.end()
	return true
}

func (g *guest) end() {
	g.accepted(g.to)
	g.to = nil
	g.say("250 2.0.0 taken")
}
