package pop3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// ended waits for the end of a session.
func ended(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the session does not end")
		return nil
	}
}

// An idle client is disconnected without a reply (RFC 1939 3), and nothing is deleted.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, []string{"mail new/1.a x"})
		h.cfg.IdleTimeout = time.Minute
		ours, theirs := net.Pipe()
		begin, done := time.Now(), make(chan error, 1)
		go func() { done <- Serve(t.Context(), theirs, h.cfg) }()
		go ours.Write([]byte("USER alice\r\nPASS secret\r\nDELE 1\r\nNO"))
		got, err := io.ReadAll(ours)
		if err != nil || bytes.Count(got, crlf) != 4 {
			t.Errorf("got %q, %v", got, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != h.cfg.IdleTimeout {
			t.Errorf("it took %v", took)
		}
		if len(h.names()) != 1 {
			t.Error("an idle session deleted")
		}
	})
}

func TestLoginTimeout(t *testing.T) {
	h := newHost(t, nil)
	h.cfg.LoginTimeout = 50 * time.Millisecond
	c, done := h.start(context.Background())
	stop := time.Now().Add(20 * time.Second)
	for time.Now().Before(stop) {
		if _, err := c.Write([]byte("C")); err != nil { // bytes do not prolong it
			break
		}
	}
	if err := ended(t, done); err != nil {
		t.Error(err)
	}
}

// Haste limits the time of a client that has not logged in, and of no other.
func TestHaste(t *testing.T) {
	for _, login := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const haste = 20 * time.Second
			h := newHost(t, nil)
			h.cfg.Haste = func() time.Duration { return haste }
			ours, theirs := net.Pipe()
			begin, done := time.Now(), make(chan error, 1)
			go func() { done <- Serve(t.Context(), theirs, h.cfg) }()
			go io.Copy(io.Discard, ours)
			want := haste
			if login {
				if _, err := ours.Write([]byte("USER alice\r\nPASS secret\r\n")); err != nil {
					t.Error(err)
				}
				want = defaultIdleTimeout
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took != want {
				t.Errorf("logged in %v: after %v, want %v", login, took, want)
			}
		})
	}
}

// A client that reads nothing is disconnected.
func TestStalled(t *testing.T) {
	h := newHost(t, nil)
	h.cfg.WriteTimeout = 50 * time.Millisecond
	ours, theirs := net.Pipe()
	defer ours.Close()
	done := make(chan error, 1)
	go func() { done <- Serve(context.Background(), theirs, h.cfg) }()
	if err := ended(t, done); err != nil {
		t.Error(err)
	}
}

// When ctx is done, an idle session and a waiting login end, and the mailbox is
// unlocked.
func TestDrain(t *testing.T) {
	for name, input := range map[string]string{"idle": "USER alice\r\nPASS secret\r\n", "new": "", "late": "USER alice\r\nPASS no\r\n"} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, []string{"mail new/1.a x"})
			h.cfg.Users.(*logins).failed = func(ctx context.Context) { <-ctx.Done() }
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c, done := h.start(ctx)
			c.Write([]byte(input))
			c.await(1)
			cancel()
			if err := ended(t, done); err != nil {
				t.Error(err)
			}
			h.do("lock")
		})
	}
}

// A panic is temporary, is logged, and unlocks the mailbox.
func TestPanic(t *testing.T) {
	h := newHost(t, nil)
	var log strings.Builder
	h.cfg.Log = maillog.To(&log, "pop3d", time.Now)
	h.cfg.Users = &logins{check: func(ctx context.Context, login, password string) (Account, error) {
		if login == "panic" {
			panic("oops")
		}
		return h.login(ctx, login, password)
	}}
	c, done := h.start(context.Background())
	c.Write([]byte("USER panic\r\nPASS x\r\n"))
	if got := c.rest(); len(got) > 2 || strings.Contains(got[len(got)-1], "oops") {
		t.Errorf("got %q", got)
	}
	if err := ended(t, done); err == nil || !status.IsLogged(err) || !strings.Contains(log.String(), `oops" stack=`) {
		t.Errorf("Serve returned %v, log %s", err, &log)
	}
}

// A wrong password is answered after a delay, the right one at once.
func TestFailDelay(t *testing.T) {
	h := newHost(t, nil)
	over, waits := make(chan struct{}), make(chan struct{}, 1)
	h.cfg.Users.(*logins).failed = func(context.Context) { waits <- struct{}{}; <-over }
	c, done := h.start(context.Background())
	c.Write([]byte("USER alice\r\n"))
	c.await(2) // the greeting and its reply
	c.Write([]byte("PASS no\r\n"))
	<-waits
	if n := c.lines(); n > 2 {
		t.Errorf("%d lines before the delay was over", n)
	}
	close(over)
	c.await(3)
	c.Write([]byte("USER alice\r\nPASS secret\r\n"))
	c.await(5)
	c.Close()
	ended(t, done)
	if len(waits) > 0 {
		t.Error("the right password waited")
	}
}

// A mailbox has one session at a time; when its client vanishes, the next one may begin.
func TestOneSession(t *testing.T) {
	h := newHost(t, []string{"mail new/1.a x"})
	first, firstDone := h.start(context.Background())
	first.Write([]byte("USER alice\r\nPASS secret\r\n"))
	first.await(3)
	second, secondDone := h.start(context.Background())
	second.Write([]byte("USER alice\r\nPASS secret\r\n"))
	second.await(3)
	first.Close()
	ended(t, firstDone)
	second.Write([]byte("USER alice\r\nPASS secret\r\nQUIT\r\n"))
	got := second.rest()
	want := []string{"-ERR [IN-USE] mailbox is locked by another session", "+OK send PASS", "+OK 1 messages", "+OK goodbye"}
	if fmt.Sprint(got[2:]) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got[2:], want)
	}
	ended(t, secondDone)
}

// The events of a session, which maillog(5) documents.
func TestEvents(t *testing.T) {
	h := newHost(t, []string{"mail new/1.a x\\n", "mail new/2.a y\\n"})
	var log strings.Builder
	h.cfg.Log = maillog.To(&log, "pop3d", func() time.Time { return time.Unix(0, 0) })
	c, done := h.start(context.Background())
	c.Write([]byte("USER alice\r\nPASS wrong\x7e\r\nUSER alice\r\nPASS secret\r\nRETR 1\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n"))
	c.rest()
	ended(t, done)
	for _, want := range []string{
		`event=login-failed key=- mech=USER why=wrong client=127.0.0.1 login=alice`,
		`event=login key=- mech=USER client=127.0.0.1 login=alice@example.net`,
		`event=fetched key=- mailbox=` + h.maildir() + ` retrieved=2 deleted=1 octets=6 quit=true client=127.0.0.1 login=alice@example.net`,
		`event=disconnected key=- why=quit messages=2 client=127.0.0.1 login=alice@example.net`,
	} {
		if !strings.Contains(log.String(), want+"\n") {
			t.Errorf("log has no %s:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("log:\n%s", &log)
	}
}

// A mailbox on a read-only disk is served; only deletions fail.
func TestReadOnly(t *testing.T) {
	if !asAnybody(t) {
		return
	}
	h := newHost(t, []string{"mail new/1.a x\\n"})
	for _, sub := range []string{"new", "cur", "tmp"} {
		os.Chmod(filepath.Join(h.maildir(), sub), 0o500)
		defer os.Chmod(filepath.Join(h.maildir(), sub), 0o700)
	}
	c, done := h.start(context.Background())
	c.Write([]byte("USER alice\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"))
	got := strings.Join(c.rest(), "|")
	if !strings.HasSuffix(got, "x|.|+OK message 1 will be deleted|-ERR [SYS/TEMP] some deleted messages not removed") {
		t.Errorf("got %q", got)
	}
	ended(t, done)
}

// LIST gives the size of what RETR sends, for names with and without sizes.
func TestSizes(t *testing.T) {
	h := newHost(t, nil)
	bodies := hostileBodies()
	for i, body := range bodies {
		name := fmt.Sprintf("%04d.M0R0.mx", i)
		if i%2 == 0 && (body == "" || strings.HasSuffix(body, "\n")) && !strings.Contains(body, "\r") {
			name += fmt.Sprintf(",S=%d,W=%d", len(body), len(body)+strings.Count(body, "\n"))
		}
		if err := os.WriteFile(filepath.Join(h.mailbox(), "new", name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, done := h.start(context.Background())
	c.Write([]byte("USER alice\r\nPASS secret\r\nLIST\r\n"))
	c.await(3 + 1 + len(bodies) + 1)
	var commands strings.Builder
	for i := range bodies {
		fmt.Fprintf(&commands, "RETR %d\r\n", i+1)
	}
	c.Write([]byte(commands.String() + "QUIT\r\n"))
	c.rest()
	ended(t, done)
	text := string(c.got)
	_, text, _ = strings.Cut(text, " octets)\r\n")
	listing, text, _ := strings.Cut(text, ".\r\n")
	for i, line := range strings.Split(strings.TrimSuffix(listing, "\r\n"), "\r\n") {
		size := strings.Fields(line)[1]
		head := "+OK " + size + " octets\r\n"
		reply, found := strings.CutPrefix(text, head)
		want := reference(bodies[i], -1)
		if !found || !strings.HasPrefix(reply, want) || strconv.FormatInt(unstuffed(want), 10) != size {
			t.Fatalf("message %d (%.40q), LIST says %s: RETR sends %.80q", i+1, bodies[i], size, text)
		}
		text = reply[len(want):]
	}
	if text != "+OK goodbye\r\n" {
		t.Errorf("at the end %.80q", text)
	}
}

// Another program flags, moves and deletes messages during sessions: each
// reply has the message's own bytes or a clear refusal.
func TestBesideAnotherProgram(t *testing.T) {
	h := newHost(t, nil)
	const messages = 60
	for i := range messages {
		name := fmt.Sprintf("new/%03d.M0R0.mx", i)
		if i%2 == 0 {
			name += ",S=4,W=5"
		}
		h.do(fmt.Sprintf("mail %s %03d\\n", name, i))
	}
	var wait sync.WaitGroup
	stop := make(chan struct{})
	wait.Go(func() { meddle(t, h.maildir(), stop) })
	for range 10 {
		c, done := h.start(context.Background())
		c.Write([]byte("USER alice\r\nPASS secret\r\nUIDL\r\n"))
		c.until(func() bool { return strings.HasSuffix(string(c.got), "\r\n.\r\n") })
		checkOwnBytes(t, c)
		c.Close()
		ended(t, done)
	}
	close(stop)
	wait.Wait()
}

func checkOwnBytes(t *testing.T, c *client) {
	t.Helper()
	_, listing, _ := strings.Cut(string(c.got), "unique ids follow\r\n")
	for _, line := range strings.Split(strings.TrimSuffix(listing, "\r\n.\r\n"), "\r\n") {
		n, id, _ := strings.Cut(line, " ")
		if id == "" {
			return // nothing is left
		}
		c.mu.Lock()
		before := len(c.got)
		c.mu.Unlock()
		c.Write([]byte("RETR " + n + "\r\nNOOP\r\n"))
		c.until(func() bool { return strings.HasSuffix(string(c.got), "+OK still here\r\n") && len(c.got) > before+20 })
		reply := string(c.got[before:])
		own := "+OK 5 octets\r\n" + id[:3] + "\r\n.\r\n+OK still here\r\n"
		if reply != own && reply != "-ERR "+errGone.Error()+"\r\n+OK still here\r\n" {
			t.Fatalf("RETR of %s: %q", id, reply)
		}
	}
}

// meddle renames messages as mail readers do, and sometimes deletes one.
func meddle(t *testing.T, path string, stop <-chan struct{}) {
	d, err := maildir.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer d.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for {
		select {
		case <-stop:
			return
		default:
		}
		list, err := d.List()
		if err != nil || len(list) == 0 {
			return
		}
		m := list[random.IntN(len(list))]
		base, _, _ := strings.Cut(m.Name, ":")
		flags := []string{"", "F", "FR", "FRS", "S"}[random.IntN(5)]
		err = os.Rename(filepath.Join(path, m.Sub, m.Name), filepath.Join(path, "cur", base+":2,"+flags))
		if random.IntN(200) == 0 {
			err = d.Remove(&m)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}
