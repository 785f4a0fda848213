package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/maillog"
	"paperpath/internal/settle"
	"paperpath/internal/smtpc"
	"paperpath/internal/spool"
)

// What a peer can do instead of replying.
const (
	hangUp   = "(close)"
	sayNone  = "(silence)"
	cutText  = "354 (then close in the text)"
	refuseIn = "354 (then 552 and close in the text)"
)

// peer is a real SMTP server whose every reply a test decides.
type peer struct {
	addr  string
	reply func(session int, command string) string

	// secure begins TLS behind the 220 to STARTTLS, or breaks it: nil ends the session.
	// Without it STARTTLS is a command like any other.
	secure func(session int, c net.Conn) net.Conn

	mu       sync.Mutex
	sessions int
	commands []string
	inside   []string // those of commands that came inside TLS
	texts    []string // raw octets after 354, with their final dot if it came
}

// newPeer starts a peer. reply gets the command, "" for the greeting and "." for the
// final dot; if it returns "", the peer accepts the command.
func newPeer(t *testing.T, reply func(session int, command string) string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return peerOn(t, l, reply)
}

// peerOn starts a peer on a listener.
func peerOn(t *testing.T, l net.Listener, reply func(session int, command string) string) *peer {
	t.Helper()
	p := &peer{addr: l.Addr().String(), reply: reply}
	done := make(chan struct{})
	var wait sync.WaitGroup
	t.Cleanup(func() {
		close(done)
		l.Close()
		wait.Wait()
	})
	wait.Add(1)
	go func() {
		defer wait.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Add(1)
			go func() {
				defer wait.Done()
				defer c.Close()
				stop := context.AfterFunc(ended(done), func() { c.Close() })
				defer stop()
				p.serve(c)
			}()
		}
	}()
	return p
}

func ended(done chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-done
		cancel()
	}()
	return ctx
}

func (p *peer) serve(c net.Conn) {
	p.mu.Lock()
	p.sessions++
	n := p.sessions
	p.mu.Unlock()
	r, within := bufio.NewReader(c), false
	for command := ""; ; {
		if !p.answer(c, r, n, command) {
			return
		}
		var ok bool
		if command, ok = p.command(r, within); !ok {
			return
		}
		if command == "STARTTLS" && p.secure != nil {
			fmt.Fprint(c, "220 go on\r\n")
			if c = p.secure(n, c); c == nil {
				return
			}
			r, within = bufio.NewReader(c), true
			if command, ok = p.command(r, within); !ok {
				return
			}
		}
	}
}

// command reads one command.
func (p *peer) command(r *bufio.Reader, within bool) (command string, ok bool) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", false
	}
	command = strings.TrimSuffix(line, "\r\n")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands = append(p.commands, command)
	if within {
		p.inside = append(p.inside, command)
	}
	return command, true
}

// answer replies to one command; false ends the session.
func (p *peer) answer(c net.Conn, r *bufio.Reader, n int, command string) bool {
	reply := p.reply(n, command)
	if reply == "" {
		reply = friendly(command)
	}
	switch reply {
	case hangUp:
		return false
	case sayNone:
		io.Copy(io.Discard, r)
		return false
	case cutText:
		fmt.Fprint(c, "354 go on\r\n")
		r.ReadString('\n')
		return false
	case refuseIn:
		fmt.Fprint(c, "354 go on\r\n")
		r.ReadString('\n')
		fmt.Fprint(c, "552 5.3.4 too much\r\n")
		return false
	}
	if last, ok := strings.CutSuffix(reply, hangUp); ok {
		fmt.Fprint(c, last)
		return false
	}
	fmt.Fprint(c, reply+"\r\n")
	if strings.HasPrefix(reply, "354") {
		text, err := readText(r)
		p.mu.Lock()
		p.texts = append(p.texts, text)
		p.mu.Unlock()
		return err == nil && p.answer(c, r, n, ".")
	}
	return command != "QUIT"
}

func friendly(command string) string {
	verb, _, _ := strings.Cut(command, " ")
	switch verb {
	case "":
		return "220 peer.example ESMTP"
	case "EHLO":
		return "250-peer.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000"
	case "DATA":
		return "354 go on"
	case ".":
		return "250 2.0.0 taken as 4711"
	case "QUIT":
		return "221 bye"
	}
	return "250 2.0.0 ok"
}

func readText(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == ".\r\n" {
			return b.String(), err
		}
	}
}

func (p *peer) seen() (sessions int, commands, texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions, append([]string(nil), p.commands...), append([]string(nil), p.texts...)
}

// count returns how many commands begin so.
func (p *peer) count(prefix string) int {
	_, commands, _ := p.seen()
	n := 0
	for _, c := range commands {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// always replies the same to commands that begin so.
func always(prefix, reply string) func(int, string) string {
	return func(_ int, command string) string {
		if prefix == "" && command == "" || prefix != "" && strings.HasPrefix(command, prefix) {
			return reply
		}
		return ""
	}
}

func kind(int, string) string { return "" }

// world is the DNS and the network of a test.
type world struct {
	mx    map[string][]dns.MX
	addrs map[string][]netip.Addr
	errs  map[string]error
	peers map[string]string // "192.0.2.1:25" to the address of a peer
}

func (w *world) MX(_ context.Context, domain string) ([]dns.MX, error) {
	if err := w.errs["MX "+domain]; err != nil {
		return nil, err
	}
	if list, ok := w.mx[domain]; ok {
		return list, nil
	}
	return nil, &dns.Error{Kind: dns.ErrNoData, Name: domain, Type: "MX"}
}

func (w *world) Addrs(_ context.Context, name string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip}, nil
	}
	if err := w.errs["A "+name]; err != nil {
		return nil, err
	}
	if list, ok := w.addrs[name]; ok {
		return list, nil
	}
	return nil, &dns.Error{Kind: dns.ErrNoDomain, Name: name, Type: "A"}
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if to, ok := w.peers[address]; ok {
		address = to
	} else if !strings.HasPrefix(address, "127.0.0.1:") {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", fmt.Errorf("refused"))}
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// lab is a relay in a home of its own.
type lab struct {
	*Relay
	t    *testing.T
	home string
	w    *world
	done map[int]string // replies to recipients that are done
	mu   sync.Mutex
	now  time.Time
}

func newLab(t *testing.T) *lab {
	t.Helper()
	home := t.TempDir()
	l := &lab{t: t, home: home, done: map[int]string{}, now: time.Now(),
		w: &world{mx: map[string][]dns.MX{}, addrs: map[string][]netip.Addr{}, errs: map[string]error{}, peers: map[string]string{}}}
	l.set("hostname", "mx.example.net")
	for _, name := range []string{"log", "run"} {
		if err := os.MkdirAll(filepath.Join(home, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := control.Open(home, time.Now)
	log := maillog.Open(home, "mailrelay", func() string { return "file" }, time.Now)
	settler := &settle.Settler{Control: c, Log: log, Now: l.clock, Home: home}
	l.Relay = New(c, log, l.clock, settler.Settle)
	t.Cleanup(l.Close)
	l.DNS, l.Dial = l.w, l.w.dial
	l.local = func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.ParseIP("192.0.2.99"), Mask: net.CIDRMask(24, 32)}}, nil
	}
	short := 20 * time.Second
	l.Times = Times{Lookup: short, Connect: short, Session: time.Minute, Times: smtpc.Times{Greeting: short, Hello: short,
		Handshake: short, Mail: short, Rcpt: short, Data: short, Block: short, Answer: short, Quit: short, Grace: short}}
	return l
}

func (l *lab) clock() time.Time { return l.now }

// part ends the sessions that are idle.
func (l *lab) part() {
	l.t.Helper()
	waitFor(l.t, func() bool {
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		l.pool.dismiss(func(*kept) bool { return true })
		return len(l.pool.lines) == 0
	})
}

// set writes a control file so that its change is noticed at once: a file that has just
// been written may still be changing, and lookups that fail wait for that.
func (l *lab) set(name, value string) {
	l.t.Helper()
	path := filepath.Join(l.home, "control", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
		l.t.Fatal(err)
	}
	still := time.Now().Add(-2 * time.Second)
	if err := os.Chtimes(path, still, still); err != nil {
		l.t.Fatal(err)
	}
}

// route sends a domain to a peer.
func (l *lab) route(domain string, p *peer) { l.set("routes", domain+": "+p.addr) }

// host makes name resolve to ip, where p listens; if p is nil, no host does.
func (l *lab) host(name, ip string, p *peer) {
	l.w.addrs[name] = append(l.w.addrs[name], netip.MustParseAddr(ip))
	if p != nil {
		l.w.peers[net.JoinHostPort(ip, "25")] = p.addr
	}
}

const letter = "Received: by mx.example.net\n with local id X; now\nSubject: hello\n\nhello\n.\n..two\nlast\n"

// message is a message from a local sender.
func (l *lab) message(text string, to ...string) *Message {
	m := &Message{Key: "KEY", From: spool.Path{Addr: "alice@example.net"},
		Content: io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))}
	for _, a := range to {
		m.To = append(m.To, spool.Recipient{Addr: a})
	}
	m.Done = func(taken []int, by maillog.Remote, reply string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, i := range taken {
			l.done[i] = strings.TrimSpace(by.TLS + " " + reply)
		}
	}
	return m
}

// send sends a message to all of to and returns their errors.
func (l *lab) send(to ...string) []settle.Result {
	return l.sendMessage(l.message(letter, to...))
}

func (l *lab) sendMessage(m *Message) []settle.Result {
	var todo []int
	for i := range m.To {
		todo = append(todo, i)
	}
	return l.Send(context.Background(), m, todo)
}

func (l *lab) log() string {
	b, err := os.ReadFile(filepath.Join(l.home, "log", "mail.log"))
	if err != nil {
		return ""
	}
	return string(b)
}
