package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/maillog"
)

// events collects the log, and finds the addresses in it.
type events struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.b.Write(p)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.b.String()
}

// addrs are the addresses of the listening events.
func (e *events) addrs() (list []string) {
	for _, line := range strings.Split(e.String(), "\n") {
		if strings.Contains(line, "event=listening") {
			_, a, _ := strings.Cut(line, " addr=")
			list = append(list, strings.Trim(a, `"`))
		}
	}
	return list
}

// run runs the server until stop, and returns when it is ready.
func run(t *testing.T, s *Server) (addrs []string, log *events, stop func() error) {
	t.Helper()
	log = new(events)
	s.Log = maillog.To(log, "test", time.Now)
	ready, end := make(chan struct{}), make(chan error, 1)
	s.Ready = func() { close(ready) }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { end <- s.Run(ctx) }()
	select {
	case <-ready:
	case err := <-end:
		t.Fatal(err)
	}
	stop = func() error {
		cancel()
		select {
		case err := <-end:
			return err
		case <-time.After(20 * time.Second):
			return fmt.Errorf("the server does not end")
		}
	}
	t.Cleanup(cancel)
	return log.addrs(), log, stop
}

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn, bufio.NewReader(conn)
}

func wantLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if line, err := r.ReadString('\n'); line != want+"\n" {
		t.Errorf("got %q, %v; want %q", line, err, want)
	}
}

// echo says hello, and bye when ctx ends or the client does.
func echo(ctx context.Context, conn net.Conn, implicit bool) {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	fmt.Fprintf(conn, "hello %v\n", implicit)
	io.Copy(io.Discard, conn)
	if ctx.Err() != nil {
		fmt.Fprintln(conn, "bye")
	}
}

func TestServer(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "s")
	s := &Server{Addrs: []string{"127.0.0.1:0", "unix:" + sock}, TLSAddrs: []string{"127.0.0.1:0"}, TLS: new(tls.Config), Handle: echo}
	addrs, _, stop := run(t, s)
	if len(addrs) != 3 || addrs[1] != sock {
		t.Fatalf("%q", addrs)
	}
	var readers []*bufio.Reader
	for i, want := range []string{"hello false", "hello false", "hello true"} {
		_, r := dial(t, addrs[i])
		wantLine(t, r, want)
		readers = append(readers, r)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, r := range readers {
		wantLine(t, r, "bye")
	}
	if _, err := net.Dial("tcp", addrs[0]); err == nil {
		t.Error("it still listens")
	}
}

func fixed(l Limits) func() (Limits, error) { return func() (Limits, error) { return l, nil } }

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name            string
		most, perAddr   int
		exempt          func(netip.Addr) bool
		admitted, tries int
	}{
		{"total", 2, 0, nil, 2, 3},
		{"total and exempt", 2, 1, netip.Addr.IsLoopback, 2, 3},
		{"per address", 10, 1, nil, 1, 2},
		{"another is exempt", 10, 1, netip.Addr.IsMulticast, 1, 2},
		{"none", 0, 0, nil, 5, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{Addrs: []string{"127.0.0.1:0"}, Limits: fixed(Limits{Max: tt.most, MaxPerAddr: tt.perAddr, Exempt: tt.exempt}), Handle: echo,
				Refuse: refuse}
			addrs, _, stop := run(t, s)
			var last net.Conn
			for i := range tt.tries {
				conn, r := dial(t, addrs[0])
				if i < tt.admitted {
					wantLine(t, r, "hello false")
					last = conn
					continue
				}
				wantLine(t, r, "full")
				if _, err := r.ReadByte(); err == nil {
					t.Error("not closed")
				}
			}
			// A client that leaves makes room.
			last.Close()
			waitFor(t, func() bool {
				_, r := dial(t, addrs[0])
				line, _ := r.ReadString('\n')
				return line == "hello false\n"
			})
			stop()
		})
	}
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}

// refuse tells a limit from settings that cannot be read.
func refuse(c net.Conn, err error) {
	if err != nil {
		fmt.Fprintln(c, "broken")
		return
	}
	fmt.Fprintln(c, "full")
}

// A client beyond the limits that waits for TLS gets nothing in clear text.
func TestRefuseTLS(t *testing.T) {
	s := &Server{TLSAddrs: []string{"127.0.0.1:0"}, TLS: new(tls.Config), Limits: fixed(Limits{Max: 1}), Handle: echo,
		Refuse: refuse}
	addrs, _, stop := run(t, s)
	_, r := dial(t, addrs[0])
	wantLine(t, r, "hello true")
	_, r = dial(t, addrs[0])
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("%q", rest)
	}
	stop()
}

// A session that does not end is closed.
func TestDrain(t *testing.T) {
	var once sync.Once
	reading := make(chan struct{})
	s := &Server{Addrs: []string{"127.0.0.1:0"}, Drain: 50 * time.Millisecond, Handle: func(_ context.Context, conn net.Conn, _ bool) {
		once.Do(func() { close(reading) })
		io.Copy(io.Discard, conn)
	}}
	addrs, _, stop := run(t, s)
	_, r := dial(t, addrs[0])
	<-reading
	begin := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(begin); d < 50*time.Millisecond {
		t.Errorf("after %v", d)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("not closed: %v", err)
	}
}

func TestPanic(t *testing.T) {
	s := &Server{Addrs: []string{"127.0.0.1:0"}, Limits: fixed(Limits{Max: 1}), Handle: func(_ context.Context, conn net.Conn, _ bool) { panic("as told") }}
	addrs, log, stop := run(t, s)
	for range 3 { // it serves on, and counts right
		_, r := dial(t, addrs[0])
		io.ReadAll(r)
		waitFor(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 0 })
	}
	stop()
	if n := strings.Count(log.String(), "as told"); n < 3 {
		t.Errorf("%d panics in the log: %s", n, log)
	}
}

func TestErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Server{
		{},
		{Addrs: []string{"127.0.0.1:0", taken.Addr().String()}},
		{Addrs: []string{"nonsense"}},
		{Addrs: []string{"unix:" + file}},
		{TLSAddrs: []string{"127.0.0.1:0"}}, // no certificate
	} {
		s.Ready = func() { t.Error("ready") }
		if err := s.Run(t.Context()); err == nil {
			t.Errorf("%v %v: no error", s.Addrs, s.TLSAddrs)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("a file was removed:", err)
	}
}

// A Unix socket that a killed server left is taken over; one in use is not.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Server{Addrs: []string{"unix:" + path}}).Run(t.Context()); err == nil {
		t.Error("a socket in use was taken")
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	addrs, _, stop := run(t, &Server{Addrs: []string{"unix:" + path}, Handle: echo})
	_, r := dial(t, addrs[0])
	wantLine(t, r, "hello false")
	stop()
}

// flaky is a listener that fails a few times.
type flaky struct {
	net.Listener
	left int
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.left--; f.left >= 0 {
		return nil, fmt.Errorf("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptAgain(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	s := &Server{Handle: echo, conns: make(map[net.Conn]Origin), of: make(map[Origin]int)}
	go s.acceptAll(t.Context(), listener{&flaky{inner, 4}, false})
	_, r := dial(t, inner.Addr().String())
	wantLine(t, r, "hello false")
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct{ ip, want string }{
		{"192.0.2.7", "192.0.2.7/32"}, {"::ffff:192.0.2.7", "192.0.2.7/32"}, {"2001:db8::1", "2001:db8::/64"},
	} {
		conn := &forwarded{client: &net.TCPAddr{IP: net.ParseIP(tt.ip)}}
		if got := (Limits{}).origin(conn); string(got) != tt.want {
			t.Errorf("%s: %s", tt.ip, got)
		}
	}
	if (Limits{}).origin(&forwarded{client: &net.UnixAddr{}}) != "" {
		t.Error("a Unix socket has an address")
	}
}

// Connections that come too often, and settings that cannot be read.
func TestLimitsOften(t *testing.T) {
	var left atomic.Int32
	left.Store(2)
	limits := Limits{Often: func(from Origin) bool { return from != "127.0.0.1/32" || left.Add(-1) < 0 }}
	broken := fmt.Errorf("control/rates:1: broken")
	var fails atomic.Bool
	s := &Server{Addrs: []string{"127.0.0.1:0"}, Handle: echo, Refuse: refuse,
		Limits: func() (Limits, error) {
			if fails.Load() {
				return Limits{}, broken
			}
			return limits, nil
		}}
	addrs, log, stop := run(t, s)
	for _, want := range []string{"hello false", "hello false", "full"} {
		_, r := dial(t, addrs[0])
		wantLine(t, r, want)
	}
	fails.Store(true)
	_, r := dial(t, addrs[0])
	wantLine(t, r, "broken")
	stop()
	for _, want := range []string{"event=limited key=- limit=client-connections client=127.0.0.1\n", "event=trouble key=- op=limits error=\"" + broken.Error()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}
