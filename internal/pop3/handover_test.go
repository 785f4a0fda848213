package pop3

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/maillog"
)

// owner resumes sessions as the process of a mailbox's owner does, and keeps the
// requests.
type owner struct {
	t     *testing.T
	asked []Handover
}

func (o *owner) handOver(h Handover, log *maillog.Log) (*net.UnixConn, func(), error) {
	o.asked = append(o.asked, h)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var ends []net.Conn
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, conn)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := Resume(context.Background(), ends[1], h, log, time.Now); err != nil {
			o.t.Errorf("Resume: %v", err)
		}
	}()
	return ends[0].(*net.UnixConn), func() { ends[0].Close(); <-over }, nil
}

// A session with a foreign mailbox continues in a process of its owner, and the client
// sees no difference.
func TestHandOver(t *testing.T) {
	for name, tls := range map[string]bool{"clear": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			o := &owner{t: t}
			c := startTalk(t, "mail new/1.a x\\n\nmail new/2.a .%60000y%\\n", func(cfg *Config) {
				cfg.Implicit, cfg.HandOver = tls, o.handOver
				users := cfg.Users.(*logins)
				check := users.check
				users.check = func(ctx context.Context, login, password string) (Account, error) {
					account, err := check(ctx, login, password)
					account.Foreign = true
					return account, err
				}
			})
			h := c.host
			if tls {
				if err := c.handshake(insecure()); err != nil {
					t.Fatal(err)
				}
			}
			c.want("+OK mx.example.net")
			c.send("USER alice\r\nPASS secret\r\n")
			c.want("+OK send PASS")
			c.want("+OK 2 messages")
			c.send("RETR 2\r\nDELE 1\r\nSTLS\r\nQUIT\r\n")
			for _, line := range []string{"+OK 60003 octets", ".." + strings.Repeat("y", 60000), ".\r\n", "+OK message 1",
				"-ERR you are already logged in", "+OK goodbye"} {
				c.want(line)
			}
			c.wantEnd()
			if got := h.names(); len(got) != 1 || !strings.HasPrefix(got[0], "cur/2.a") {
				t.Errorf("left %q", got)
			}
			if len(o.asked) != 1 || slices.Contains(o.asked[0].Capabilities, "STLS") || !slices.Contains(o.asked[0].Capabilities, "UIDL") ||
				o.asked[0].Client.Login != "alice@example.net" || (o.asked[0].Client.TLS != "") != tls {
				t.Errorf("asked for %+v", o.asked)
			}
		})
	}
}

// If the owner's process refuses, the client may try again. If the client vanishes,
// nothing is deleted and the mailbox is unlocked.
func TestHandOverEnds(t *testing.T) {
	h := newHost(t, []string{"mail new/1.a x\\n"})
	h.cfg.HandOver = (&owner{t: t}).handOver
	h.cfg.Users = &logins{check: func(ctx context.Context, login, password string) (Account, error) {
		account, err := h.login(ctx, login, password)
		account.Foreign = true
		return account, err
	}}
	h.do("lock")
	c, done := h.start(context.Background())
	c.Write([]byte("USER alice\r\nPASS secret\r\n"))
	c.await(3)
	h.unlock()
	h.unlock = nil
	c.Write([]byte("USER alice\r\nPASS secret\r\nDELE 1\r\nRETR 1\r\n"))
	c.await(7)
	c.Close()
	got := strings.Join(c.rest()[2:], "|")
	want := "-ERR [IN-USE] mailbox is locked by another session|+OK send PASS|+OK 1 messages|+OK message 1 will be deleted|-ERR message is deleted"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := ended(t, done); err != nil {
		t.Error(err)
	}
	if len(h.names()) != 1 {
		t.Error("a session without QUIT deleted")
	}
	h.do("lock")
}
