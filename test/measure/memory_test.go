package measure

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// serve runs one server, and ends it with the test.
func serve(t *testing.T, h *harness.Home, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(programs.Path(name), args...)
	cmd.Env = programs.Env(h.Dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		defer timer.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return cmd
}

const idle = 1000 // sessions at once

// TestIdleSessions holds 1000 sessions that have begun and say no more.
func TestIdleSessions(t *testing.T) {
	for _, tt := range []struct {
		name, prog string
		args       []string
		secure     bool
		hello      string
		aim, limit int64 // MiB
	}{
		{"SMTP sessions", "mailsubmit", []string{"smtp", "--listen"}, false, "EHLO client.example.org", 31, 60},
		{"SMTP sessions inside TLS", "mailsubmit", []string{"smtp", "--role", "submission", "--listen-tls"}, true, "EHLO client.example.org", 60, 90},
		{"POP3 sessions", "pop3d", []string{"--listen"}, false, "CAPA", 38, 60},
		{"POP3 sessions inside TLS", "pop3d", []string{"--listen-tls"}, true, "CAPA", 60, 90},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			if err := h.Set("concurrency", tt.prog+": 2000"); err != nil {
				t.Fatal(err)
			}
			addr := harness.FreeAddr()
			cmd := serve(t, h, tt.prog, append(tt.args, addr)...)
			for _, conn := range open(t, addr, tt.secure, tt.hello) {
				defer conn.Close()
			}
			size := harness.Resident(cmd.Process.Pid)
			harness.Report("measured: %d idle %s: %.1f MiB resident (aim %d, limit %d)", idle, tt.name, float64(size)/(1<<20), tt.aim, tt.limit)
			if size > tt.limit<<20 || size == 0 {
				t.Errorf("%d bytes resident", size)
			}
		})
	}
}

// open opens the sessions and has each answer one command.
func open(t *testing.T, addr string, secure bool, hello string) (all []net.Conn) {
	t.Helper()
	if err := harness.Wait("a server", time.Minute, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 * runtime.NumCPU() {
		wg.Go(func() {
			for range next {
				conn, err := greet(addr, secure, hello)
				mu.Lock()
				if all = append(all, conn); err != nil {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	for n := range idle {
		next <- n
	}
	close(next)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// greet begins a session. Small reads keep this side small too.
func greet(addr string, secure bool, hello string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	buf := make([]byte, 1024)
	for _, command := range []string{"", hello + "\r\n"} {
		if _, err := io.WriteString(conn, command); err != nil {
			return conn, err
		}
		if n, err := conn.Read(buf); err != nil || n == 0 {
			return conn, err
		}
	}
	return conn, nil
}

// TestGigabyte sends a message of 1 GiB through SMTP and by the sendmail face:
// it is accepted whole, and memory stays flat. It writes 4 GiB, so it runs only
// where PAPERPATH_LARGE is set, as in .ci/run.
func TestGigabyte(t *testing.T) {
	const size, limit = 1 << 30, 40 // octets, MiB
	if os.Getenv("PAPERPATH_LARGE") == "" {
		t.Skip("PAPERPATH_LARGE is not set")
	}
	h := newHome(t)
	if err := h.Set("databytes", "2147483648"); err != nil {
		t.Fatal(err)
	}
	check := func(what string, peak int64) {
		t.Helper()
		harness.Report("measured: %s, a message of 1 GiB: %d MiB resident at most (limit %d)", what, peak>>20, limit)
		if peak > limit<<20 || peak == 0 {
			t.Errorf("%d bytes resident", peak)
		}
		entries := append(h.Glob("spool/route/new/*"), h.Glob("spool/check/new/*")...)
		if len(entries) != 1 {
			t.Fatalf("entries %q\n%s", entries, h.Describe())
		}
		if st, err := os.Stat(entries[0]); err != nil || st.Size() < size || st.Size() > size+4096 {
			t.Errorf("%v, %v", st, err)
		}
		os.Remove(entries[0])
	}
	t.Run("SMTP", func(t *testing.T) {
		addr := harness.FreeAddr()
		cmd := serve(t, h, "mailsubmit", "smtp", "--listen", addr)
		if err := harness.Wait("the server", time.Minute, func() bool { return len(h.Events("event=listening")) > 0 }); err != nil {
			t.Fatal(err)
		}
		c, err := harness.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Minute))
		for _, step := range [][2]string{{"220", ""}, {"250", "EHLO x"}, {"250", "MAIL FROM:<a@example.org>"}, {"250", "RCPT TO:<alice@example.net>"}, {"354", "DATA"}} {
			if _, err := c.Expect(step[0], step[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream(c, "\r\n", size); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Expect("250", "."); err != nil {
			t.Fatal(err)
		}
		check("mailsubmit smtp", harness.PeakResident(cmd.Process.Pid))
	})
	t.Run("sendmail", func(t *testing.T) {
		cmd := exec.Command(programs.Path("sendmail"), "-i", "-f", "alice@example.net", "alice@example.net")
		cmd.Env = programs.Env(h.Dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var peak int64
		err = stream(in, "\n", size)
		for err == nil { // until it has gone
			now := harness.PeakResident(cmd.Process.Pid)
			if now < peak {
				break
			}
			if peak = now; in != nil {
				in.Close()
				in = nil
			}
			time.Sleep(time.Millisecond) // the measure's own grain
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		check("sendmail", peak)
	})
}

// stream writes a message of a little more than size octets as they are
// stored.
func stream(w io.Writer, newline string, size int) error {
	if _, err := io.WriteString(w, strings.ReplaceAll("From: alice@example.net\nTo: alice@example.net\nSubject: large\n"+
		"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <l@example.net>\n\n", "\n", newline)); err != nil {
		return err
	}
	line := strings.Repeat("x", 1023) + newline
	block := []byte(strings.Repeat(line, 1024))
	for range size / (1 << 20) {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}
