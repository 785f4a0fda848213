package pop3

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// host is a server for one session.
type host struct {
	t      *testing.T
	home   string
	cfg    Config
	unlock func()
}

func newHost(t *testing.T, setup []string) *host {
	h := &host{t: t, home: t.TempDir()}
	h.cfg = Config{Hostname: "mx.example.net", TLS: testTLS(t), ClearText: true, Users: &logins{check: h.login},
		Log: maillog.To(testLog{t}, "pop3d", time.Now), Client: maillog.Client{Addr: "127.0.0.1"},
		DrainTimeout: time.Millisecond}
	for _, action := range setup {
		h.do(action)
	}
	t.Cleanup(func() {
		if h.unlock != nil {
			h.unlock()
		}
	})
	return h
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// login is a user table with alice, bob and carol.
func (h *host) login(_ context.Context, login, password string) (Account, error) {
	passwords := map[string]string{"alice": "secret", "bob": " two  blanks ", "carol": "pässwörd"}
	address, v, _ := auth.SplitLogin(login)
	name, _, _ := strings.Cut(address, "@")
	switch want, known := passwords[name]; {
	case name == "broken":
		return Account{}, errors.New("control/users:3: a secret reason")
	case !known || want != password:
		return Account{}, &status.Error{Exit: status.NotAllowed, Reply: 535, Text: "wrong"}
	}
	return Account{Login: name + "@example.net", Maildir: h.maildir(), Folder: v.Folder, ReadOnly: v.ReadOnly}, nil
}

// logins implements Users by a function.
type logins struct {
	check   func(ctx context.Context, login, password string) (Account, error)
	account Account
	failed  func(ctx context.Context)
}

func (l *logins) Failed(ctx context.Context, _, _ string) {
	if l.failed != nil {
		l.failed(ctx)
	}
}

func (l *logins) Password(ctx context.Context, login, password string) (err error) {
	l.account, err = l.check(ctx, login, password)
	return err
}

func (l *logins) Account(string) (Account, error) { return l.account, nil }

// Keys match no password.
func (l *logins) Keys(context.Context, string) (auth.Keys, error) {
	return auth.Keys{Iterations: 4096, Salt: []byte("salt"), StoredKey: []byte("x"), ServerKey: []byte("y")}, nil
}

func (l *logins) Proved(context.Context, string, bool) error {
	return &status.Error{Exit: status.NotAllowed, Reply: 535, Text: "wrong"}
}

func (l *logins) Certificate(context.Context, string, *x509.Certificate) (string, error) {
	return "", &status.Error{Exit: status.NotAllowed, Reply: 535, Text: "wrong"}
}

func (h *host) maildir() string { return filepath.Join(h.home, "Maildir") }

// mailbox makes the Maildir on the first use.
func (h *host) mailbox() string {
	if err := makeMaildir(h.maildir()); err != nil {
		h.t.Fatal(err)
	}
	return h.maildir()
}

// makeMaildir is maildir.Create without its syncs, which take most of a test's time.
func makeMaildir(path string) (err error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(path, sub), 0o700))
	}
	return err
}

func (h *host) do(action string) {
	h.t.Helper()
	if err := h.perform(action); err != nil {
		h.t.Errorf("%s: %v", action, err)
	}
}

func (h *host) perform(action string) error {
	verb, arg, _ := strings.Cut(action, " ")
	first, rest, _ := strings.Cut(arg, " ")
	path := func(name string) string { return filepath.Join(h.mailbox(), expand(name)) }
	switch verb {
	case "mail":
		return os.WriteFile(path(first), []byte(expand(rest)), 0o600)
	case "dir":
		os.Remove(path(first))
		return os.Mkdir(path(first), 0o700)
	case "folder":
		return makeMaildir(path("." + arg))
	case "link":
		target := filepath.Join(h.home, "target of a link")
		if err := os.WriteFile(target, []byte("x\n"), 0o600); err != nil {
			return err
		}
		return os.Symlink(target, path(first))
	case "fifo":
		return syscall.Mkfifo(path(first), 0o600)
	case "file":
		os.MkdirAll(filepath.Dir(filepath.Join(h.home, first)), 0o700)
		return os.WriteFile(filepath.Join(h.home, first), nil, 0o600)
	case "remove":
		return os.Remove(path(first))
	case "rename":
		return os.Rename(path(first), path(rest))
	case "logindelay":
		h.cfg.Gate, h.cfg.LoginDelay = NewGate(filepath.Join(h.home, "run"), time.Now), time.Hour
	case "undelete":
		h.cfg.Undelete = 24 * time.Hour
		h.cfg.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	case "ageless":
		h.cfg.Ages = func() bool { return false }
	case "expire":
		h.cfg.Expire = arg
	case "scram":
		h.cfg.SASL.Scram = true
	case "network":
		h.cfg.ClearText = false
	case "notls":
		h.cfg.TLS = nil
	case "lock":
		return h.lock()
	default:
		return errors.New("unknown action")
	}
	return nil
}

func (h *host) lock() error {
	d, err := maildir.Open(h.mailbox())
	if err != nil {
		return err
	}
	h.unlock, err = d.Lock()
	return err
}

// names lists new/ and cur/.
func (h *host) names() []string {
	var all []string
	for _, sub := range []string{"cur", "new", ".Trash/cur", ".Trash/new"} {
		entries, _ := os.ReadDir(filepath.Join(h.maildir(), sub))
		for _, e := range entries {
			if e.Name()[0] != '.' {
				all = append(all, sub+"/"+e.Name())
			}
		}
	}
	slices.Sort(all)
	return all
}

// start serves one session and returns the client's end of it.
func (h *host) start(ctx context.Context) (*client, <-chan error) {
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, theirs, h.cfg) }()
	return newClient(h.t, ours), done
}

// client collects what the server sends.
type client struct {
	net.Conn
	t   *testing.T
	mu  sync.Mutex
	got []byte
	eof bool
	new *sync.Cond
}

func newClient(t *testing.T, conn net.Conn) *client {
	c := &client{Conn: conn, t: t}
	c.new = sync.NewCond(&c.mu)
	go c.collect()
	return c
}

func (c *client) collect() {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		c.mu.Lock()
		c.got = append(c.got, buf[:n]...)
		c.eof = err != nil
		c.new.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until n lines have come, or until no more will.
func (c *client) await(n int) {
	c.t.Helper()
	c.until(func() bool { return bytes.Count(c.got, crlf) >= n })
}

// lines is how many lines have come.
func (c *client) lines() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Count(c.got, crlf)
}

// rest waits for the end and returns everything that has come.
func (c *client) rest() []string {
	c.t.Helper()
	c.until(func() bool { return c.eof })
	return strings.Split(strings.TrimSuffix(string(c.got), "\r\n"), "\r\n")
}

func (c *client) until(done func() bool) {
	c.t.Helper()
	late := time.AfterFunc(20*time.Second, func() {
		c.t.Error("the server says nothing more")
		c.Close()
	})
	defer late.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !done() && !c.eof {
		c.new.Wait()
	}
}
