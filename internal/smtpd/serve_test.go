package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// client is the far end of a session over net.Pipe, in a bubble of fake time.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	sess *fake
	end  chan error
}

func start(t *testing.T, ctx context.Context, cfg Config) *client {
	near, far := net.Pipe()
	cfg.Hostname = "mx.test"
	c := newClient(t, near)
	go func() {
		c.end <- Serve(ctx, far, cfg, func(conn *Conn) Session { c.sess.conn = conn; return c.sess })
	}()
	c.want("220 mx.test ESMTP")
	return c
}

func newClient(t *testing.T, conn net.Conn) *client {
	return &client{t: t, conn: conn, in: bufio.NewReader(conn), sess: &fake{}, end: make(chan error, 1)}
}

func (c *client) send(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

// want reads whole replies, of which each begins so.
func (c *client) want(replies ...string) {
	c.t.Helper()
	for _, want := range replies {
		line, err := "", error(nil)
		for more := true; more && err == nil; more = len(line) > 3 && line[3] == '-' {
			line, err = c.in.ReadString('\n')
		}
		if err != nil || !strings.HasPrefix(line, want) {
			c.t.Fatalf("got %q, %v; want %q", line, err, want)
		}
	}
}

// wantAll reads lines that are these.
func (c *client) wantAll(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if line, err := c.in.ReadString('\n'); line != want+"\r\n" {
			c.t.Errorf("got %q, %v; want %q", line, err, want)
		}
	}
}

// closed waits for the end of the session, which has a reason.
func (c *client) closed(reason error) {
	c.t.Helper()
	if rest, _ := io.ReadAll(c.in); len(rest) > 0 {
		c.t.Errorf("more output: %q", rest)
	}
	if err := <-c.end; !errors.Is(err, reason) {
		c.t.Errorf("the session ended with %v, want %v", err, reason)
	}
}

func (c *client) openData() {
	c.t.Helper()
	c.send("EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@y.test>", "DATA")
	c.want("250", "250", "250", "354")
}

// after checks how long it took, to the nanosecond: time is fake.
func after(t *testing.T, begin time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(begin); d != want {
		t.Errorf("after %v, want %v", d, want)
	}
}

func TestTimeouts(t *testing.T) {
	bubble := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	bubble("idle", func(t *testing.T) {
		begin := time.Now()
		c := start(t, t.Context(), Config{})
		c.want("421 4.4.2 ")
		after(t, begin, defaultCommandTimeout)
		c.closed(errIdle)
	})
	bubble("a command in drops", func(t *testing.T) {
		begin := time.Now()
		c := start(t, t.Context(), Config{})
		c.drip("NOOP"+strings.Repeat(" ", 1000), time.Minute)
		c.want("421 4.4.2 ")
		after(t, begin, defaultCommandTimeout)
		c.closed(errIdle)
	})
	bubble("idle inside a message", func(t *testing.T) {
		c := start(t, t.Context(), Config{})
		c.openData()
		c.send("half", "MAIL FROM:<evil@x.test>")
		begin := time.Now()
		c.want("421 4.4.2 ")
		after(t, begin, defaultDataTimeout)
		c.closed(errIdle)
		if len(c.sess.mail) > 0 || len(c.sess.datas) != 1 || c.sess.datas[0] == nil || len(c.sess.calls) != 2 {
			t.Errorf("mail %q, data %v, calls %q", c.sess.mail, c.sess.datas, c.sess.calls)
		}
	})
	bubble("slow message", func(t *testing.T) {
		c := start(t, t.Context(), Config{MinRate: 100})
		c.openData()
		begin := time.Now()
		c.drip(strings.Repeat("x", 10000), time.Second)
		c.want("421 4.4.2 ")
		// 180 s, and 10 ms for each octet that came in them.
		if d := time.Since(begin); d < defaultDataTimeout || d > defaultDataTimeout+2*time.Second {
			t.Errorf("after %v", d)
		}
		c.closed(errSlow)
	})
	bubble("slow session", func(t *testing.T) {
		begin := time.Now()
		c := start(t, t.Context(), Config{MaxJunk: 1000})
		c.drip(strings.Repeat("NOOP\r\n", 1000), time.Second)
		c.background(func() { io.Copy(io.Discard, c.in) })
		if err := <-c.end; !errors.Is(err, errOld) {
			t.Error(err)
		}
		after(t, begin, defaultSessionLimit)
	})
}

func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, t.Context(), Config{})
		begin := time.Now()
		c.send("NOOP")
		if err := <-c.end; err == nil {
			t.Error("no error")
		}
		after(t, begin, defaultWriteTimeout)
	})
}

// background runs f beside the test, which ends no earlier.
func (c *client) background(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	c.t.Cleanup(func() { <-done })
}

// drip sends text an octet at a time until nobody reads it.
func (c *client) drip(text string, pause time.Duration) {
	c.background(func() {
		for i := range len(text) {
			if _, err := c.conn.Write([]byte{text[i]}); err != nil {
				return
			}
			<-time.After(pause)
		}
	})
}

// shutdown is a test in which stop begins the server's shutdown.
func shutdown(t *testing.T, name string, f func(t *testing.T, ctx context.Context, stop func())) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			f(t, ctx, stop)
		})
	})
}

func TestShutdown(t *testing.T) {
	shutdown(t, "idle", func(t *testing.T, ctx context.Context, stop func()) {
		c := start(t, ctx, Config{})
		c.send("EHLO c.test")
		c.want("250")
		begin := time.Now()
		stop()
		c.want("421 4.3.2 ")
		c.closed(errDrain)
		if d := time.Since(begin); d != 0 {
			t.Errorf("after %v", d)
		}
	})
	shutdown(t, "before the session", func(t *testing.T, ctx context.Context, stop func()) {
		stop()
		synctest.Wait()
		c := start(t, ctx, Config{})
		c.want("421 4.3.2 ")
		c.closed(errDrain)
	})
}

func TestShutdownInMessage(t *testing.T) {
	shutdown(t, "inside a message", func(t *testing.T, ctx context.Context, stop func()) {
		c := start(t, ctx, Config{})
		c.openData()
		c.send("one")
		stop()
		synctest.Wait()
		c.send("two", ".")
		c.want("250 2.0.0 stored", "421 4.3.2 ")
		c.closed(errDrain)
		if len(c.sess.mail) != 1 {
			t.Errorf("mail %q", c.sess.mail)
		}
	})
	shutdown(t, "with the next transaction behind the message", func(t *testing.T, ctx context.Context, stop func()) {
		c := start(t, ctx, Config{})
		c.openData()
		stop()
		synctest.Wait()
		c.send("one", ".", "MAIL FROM:<c@x.test>") // one write, so all of it is buffered
		c.want("250 2.0.0 stored", "421 4.3.2 ")
		c.closed(errDrain)
	})
	shutdown(t, "inside a message that does not end", func(t *testing.T, ctx context.Context, stop func()) {
		c := start(t, ctx, Config{})
		c.openData()
		begin := time.Now()
		stop()
		c.want("421 4.3.2 ")
		c.closed(errDrain)
		if d := time.Since(begin); d != defaultDrainTimeout {
			t.Errorf("after %v", d)
		}
	})
	shutdown(t, "in a transaction", func(t *testing.T, ctx context.Context, stop func()) {
		c := start(t, ctx, Config{})
		c.send("EHLO c.test", "MAIL FROM:<a@x.test>")
		c.want("250", "250")
		stop()
		synctest.Wait()
		c.send("RCPT TO:<b@y.test>")
		c.want("250")
		c.send("RSET")
		c.want("250", "421 4.3.2 ")
		c.closed(errDrain)
	})
}

// A flight of commands is answered by one write, whatever its replies and
// wherever it ends (RFC 2920 3.2).
func TestOneWriteAFlight(t *testing.T) {
	const begin = "EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<c@y.test>\r\n"
	for _, c := range []struct {
		name    string
		cfg     Config
		flights []string
		want    int // with the greeting
	}{
		{"commands", Config{}, []string{begin + "RSET\r\n"}, 2},
		{"up to DATA", Config{}, []string{begin + "DATA\r\n", "x\r\n.\r\nMAIL FROM:<d@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n", "y\r\n.\r\nQUIT\r\n"}, 4},
		{"refused", Config{}, []string{begin + "RCPT TO:<unknown@y.test>\r\nWHAT\r\nMAIL FROM:<e@x.test>\r\nVRFY x\r\nHELP\r\n"}, 2},
		{"chunks", Config{}, []string{begin + "BDAT 3\r\nx\r\nBDAT 3\r\ny\r\nBDAT 0 LAST\r\nQUIT\r\n"}, 2},
		{"two messages in chunks", Config{}, []string{begin + "BDAT 3 LAST\r\nx\r\n" + begin + "BDAT 3 LAST\r\ny\r\nQUIT\r\n"}, 2},
		{"LMTP", Config{LMTP: true}, []string{"L" + begin[1:] + "DATA\r\n", "x\r\n.\r\nQUIT\r\n"}, 3},
		{"an unfinished line", Config{}, []string{begin + "NO", "OP\r\n"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := new(script)
			for _, f := range c.flights {
				conn.pieces = append(conn.pieces, []byte(f))
			}
			Serve(t.Context(), conn, c.cfg, func(*Conn) Session { return &fake{} })
			if conn.writes != c.want {
				t.Errorf("%d writes, want %d: %q", conn.writes, c.want, conn.out.String())
			}
		})
	}
}

// A flight that is answered slowly is not answered by silence: who has sent
// many recipients at once would give up before the first reply, each time anew.
func TestSlowFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, t.Context(), Config{})
		c.send("EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@y.test>")
		c.want("250", "250", "250")
		const many = 60
		flight := strings.Repeat("RCPT TO:<late@y.test>\r\n", many) + "DATA\r\n"
		go io.WriteString(c.conn, flight)
		for range many {
			begin := time.Now()
			c.want("550 5.1.1 ")
			if took := time.Since(begin); took > 21*time.Second {
				t.Fatalf("silence of %v", took)
			}
		}
		c.want("354")
		c.send("x", ".", "QUIT")
		c.want("250", "221")
		c.closed(nil)
	})
}

func TestUnavailable(t *testing.T) {
	for _, tt := range []struct {
		code     int
		enhanced string
		want     string
	}{
		{421, "4.7.0", "421 4.7.0 service not available\r\n"},
		{451, "4.3.5", "421 4.3.5 service not available\r\n"},
		{554, "5.7.1", "554 5.7.1 service not available\r\n"},
		{0, "junk\r\n", "421 4.0.0 service not available\r\n"},
	} {
		conn := new(script)
		Unavailable(conn, tt.code, tt.enhanced)
		if got := conn.out.String(); got != tt.want {
			t.Errorf("%d %q: %q", tt.code, tt.enhanced, got)
		}
	}
}

// A client that hears nothing costs a refusal no more than its deadline.
func TestUnavailableDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		begin := time.Now()
		Unavailable(far, 421, "4.7.0")
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("after %v", d)
		}
	})
}

func TestPanics(t *testing.T) {
	conn := pieces("NOOP\r\n", 0)
	err := Serve(t.Context(), conn, Config{}, func(*Conn) Session { panic("at once") })
	if err == nil || !strings.Contains(err.Error(), "at once") || conn.out.String() != "421 4.3.0 temporary failure, please try again\r\n" {
		t.Errorf("%v: %q", err, conn.out.String())
	}
}

// Many sessions at a time share nothing.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			text := fmt.Sprintf("EHLO c%d\r\nMAIL FROM:<a%d@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nx%d\r\n.\r\n", i, i, i)
			sess := &fake{}
			Serve(t.Context(), pieces(text, 7), Config{}, func(*Conn) Session { return sess })
			if want := fmt.Sprintf("a%d@x.test b@y.test | x%d\n", i, i); len(sess.mail) != 1 || sess.mail[0] != want {
				t.Errorf("%q", sess.mail)
			}
		})
	}
	wg.Wait()
}
