package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errIdle, errStop = errors.New("idle"), errors.New("stop")

const bound = time.Minute // of each read of these tests

// pair returns a Conn and its client.
func pair(t *testing.T, opt Options) (*Conn, net.Conn) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	if opt.Buffer == 0 {
		opt.Buffer = 64
	}
	if opt.WriteTimeout == 0 {
		opt.WriteTimeout = bound
	}
	if opt.Limit == nil {
		opt.Limit = func() Limit { return Limit{At: time.Now().Add(bound), Why: errIdle} }
	}
	return New(far, opt), near
}

// hangUp closes the client's end once the server waits for input: net.Pipe accepts no
// deadline after that.
func hangUp(client net.Conn) {
	synctest.Wait()
	client.Close()
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// Output is written when a read is about to wait, in one write, and not before.
func TestFlushBeforeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := 0
		var c *Conn
		c, client := pair(t, Options{Waits: func() {
			waits++
			if len(c.Out) > 0 {
				t.Errorf("%q waits", c.Out)
			}
		}})
		go client.Write([]byte("one\r\ntwo\r\n"))
		for _, want := range []string{"one\r\n", "two\r\n"} {
			line, _, err := c.Line(CRLF, 100, 0)
			if string(line) != want || err != nil {
				t.Fatalf("%q, %v", line, err)
			}
			c.Out = append(append(c.Out, "+"...), line...)
		}
		got := make(chan string)
		go func() {
			buf := make([]byte, 100)
			n, _ := client.Read(buf)
			hangUp(client)
			got <- string(buf[:n])
		}()
		if _, _, err := c.Line(CRLF, 100, 0); err != io.EOF {
			t.Error(err)
		}
		if text := <-got; text != "+one\r\n+two\r\n" || waits != 2 {
			t.Errorf("%q in one write, %d waits", text, waits)
		}
	})
}

// A timeout returns the error of the limit in force, which may be set while a read
// waits.
func TestLimits(t *testing.T) {
	var at time.Time
	var why error
	limit := func() Limit { return Limit{At: at, Why: why} }
	bubble(t, "passed", func(t *testing.T) {
		at, why = time.Now().Add(time.Hour), errIdle
		c, _ := pair(t, Options{Limit: limit})
		begin := time.Now()
		if err := c.Fill(); err != errIdle || time.Since(begin) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	bubble(t, "changed meanwhile", func(t *testing.T) {
		at, why = time.Now().Add(time.Hour), errIdle
		c, _ := pair(t, Options{Limit: limit})
		time.AfterFunc(time.Minute, func() { c.Change(func() { at, why = time.Unix(1, 0), errStop }) })
		begin := time.Now()
		if err := c.Fill(); err != errStop || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	bubble(t, "later than it was", func(t *testing.T) {
		at, why = time.Now().Add(time.Minute), errIdle
		c, _ := pair(t, Options{Limit: limit})
		begin := time.Now()
		time.AfterFunc(time.Second, func() { c.Change(func() { at = begin.Add(time.Hour) }) })
		if err := c.Fill(); err != errIdle || time.Since(begin) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
	bubble(t, "of what does not wait", func(t *testing.T) {
		at, why = time.Now().Add(time.Hour), errIdle
		c, client := pair(t, Options{Limit: limit})
		c.Change(func() { at, why = time.Now().Add(time.Minute), errStop })
		go client.Write([]byte("x"))
		if err := c.Fill(); err != nil {
			t.Error(err)
		}
		c.Change(func() { at = time.Unix(1, 0) })
		if err := c.Fill(); err != errStop {
			t.Error(err)
		}
	})
}

// A limit that comes nearer by itself is seen within recheckEvery, and only where
// that is asked for.
func TestRecheck(t *testing.T) {
	for name, recheck := range map[string]bool{"asked for": true, "not asked for": false} {
		bubble(t, name, func(t *testing.T) {
			begin := time.Now()
			c, _ := pair(t, Options{Limit: func() Limit {
				l := Limit{At: begin.Add(time.Hour), Why: errIdle, Recheck: recheck}
				if time.Since(begin) > time.Minute {
					l.At = begin.Add(time.Minute)
				}
				return l
			}})
			want := time.Hour
			if recheck {
				want = time.Minute + recheckEvery
			}
			if err := c.Fill(); err != errIdle || time.Since(begin) > want || time.Since(begin) < want-recheckEvery {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		})
	}
}

// The server waits only once for a client that reads nothing.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, Options{})
		begin := time.Now()
		c.Out = []byte("x")
		if err := c.Flush(); err != ErrStalled || time.Since(begin) != bound {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		c.Out = append(c.Out, "y"...)
		for _, err := range []error{c.Flush(), c.Flush(), c.Send([]byte("z")), c.Fill()} {
			if err != ErrStalled {
				t.Error(err)
			}
		}
		if time.Since(begin) != bound {
			t.Errorf("%v for all of it", time.Since(begin))
		}
	})
}

// Read gives what is buffered before it waits for more.
func TestRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Options{})
		go func() {
			client.Write([]byte("line\r\nrest"))
			client.Write([]byte(" and more"))
			hangUp(client)
		}()
		if line, _, err := c.Line(CRLF, 100, 0); string(line) != "line\r\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
		if text, err := io.ReadAll(c); string(text) != "rest and more" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// Reads that keep returning nothing are an error.
func TestNoProgress(t *testing.T) {
	c := New(empty{}, Options{Buffer: 10, Limit: func() Limit { return Limit{} }})
	if err := c.Fill(); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type empty struct{ net.Conn }

func (empty) Read([]byte) (int, error)        { return 0, nil }
func (empty) SetReadDeadline(time.Time) error { return nil }

// The last reply arrives although the client's input is not all read.
func TestLinger(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := New(served, Options{Buffer: 10, WriteTimeout: bound, Limit: func() Limit { return Limit{At: time.Now().Add(bound)} }})
	if _, err := io.WriteString(client, strings.Repeat("x", 10000)); err != nil {
		t.Fatal(err)
	}
	c.Out = []byte("bye\r\n")
	if err := c.Fill(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		c.Linger()
		done <- c.Close()
	}()
	line, err := bufio.NewReader(client).ReadString('\n')
	if line != "bye\r\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	client.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
