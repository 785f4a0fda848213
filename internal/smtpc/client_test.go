package smtpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must come, on a busy machine too.
const patience = time.Minute

// pair returns both ends of a loopback connection.
func pair(t *testing.T) (client, host *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	_ = accepted.SetDeadline(time.Now().Add(patience))
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// host plays the host and sends its error when it has finished.
func host(c net.Conn, does func(r *bufio.Reader) error) chan error {
	done := make(chan error, 1)
	go func() {
		defer c.Close()
		done <- does(bufio.NewReader(c))
	}()
	return done
}

// talk sends each reply when the commands before it are there: "C...", "S...". Replies that
// follow each other go out in one write: what the client sees of them is no matter of time.
func talk(c io.Writer, r *bufio.Reader, lines ...string) error {
	var replies []byte
	for n, line := range lines {
		if text, says := strings.CutPrefix(line, "S: "); says {
			replies = append(replies, text+"\r\n"...)
			if n+1 < len(lines) && strings.HasPrefix(lines[n+1], "S: ") {
				continue
			}
			if _, err := c.Write(replies); err != nil {
				return err
			}
			replies = replies[:0]
			continue
		}
		got, err := r.ReadString('\n')
		if want := strings.TrimPrefix(line, "C: ") + "\r\n"; err != nil || got != want {
			return fmt.Errorf("the client sent %q (%v), want %q", got, err, want)
		}
	}
	return nil
}

var hello = []string{"S: 220 hi", "C: EHLO c.test", "S: 250-mx.test", "S: 250-CHUNKING", "S: 250-STARTTLS",
	"S: 250-AUTH PLAIN", "S: 250 PIPELINING"}

var envelope = []string{"C: MAIL FROM:<a@x.test>", "C: RCPT TO:<b@y.test>", "S: 250 ok", "S: 250 ok"}

func open(t *testing.T, ctx context.Context, c net.Conn, times Times) *Client {
	t.Helper()
	s, err := Open(ctx, c, "c.test", times, time.Now().Add(patience))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send sends one message and returns how it ended.
func send(s *Client, o Options, text io.Reader, size int64) (res *Result) {
	m := &Message{Mail: "FROM:<a@x.test>", Rcpt: []string{"TO:<b@y.test>"}, Size: size,
		Text: func() io.Reader { return text }, Done: func(r *Result) { res = r }}
	s.Send(o, m, func() *Message { return nil })
	s.Quit()
	return res
}

var both = map[string]Options{"DATA": {Pipeline: true}, "BDAT": {Pipeline: true, Chunk: true}}

// A greeting is heard of before EHLO is said; a refusal is none.
func TestOnGreeting(t *testing.T) {
	for _, c := range []struct {
		lines   []string
		greeted bool
	}{
		{append([]string{"S: 220 hi", "C: greeted"}, hello[1:]...), true},
		{[]string{"S: 421 not now"}, false},
		{[]string{"S: 554 never"}, false},
	} {
		client, other := pair(t)
		heard := false
		ctx := OnGreeting(t.Context(), func() {
			heard = true
			_, _ = io.WriteString(client, "greeted\r\n")
		})
		done := host(other, func(r *bufio.Reader) error {
			err := talk(other, r, c.lines...)
			_, _ = io.Copy(io.Discard, r)
			return err
		})
		s, err := Open(ctx, client, "c.test", DefaultTimes(), time.Now().Add(patience))
		if err == nil {
			s.Close()
		}
		client.Close()
		if said := <-done; said != nil || heard != c.greeted || (err == nil) != c.greeted {
			t.Errorf("%s: heard of it: %v, opened: %v, talk: %v", c.lines[0], heard, err, said)
		}
	}
}

// A text that changes while it is sent never arrives as a complete one.
func TestTextThatChanges(t *testing.T) {
	for how, o := range both {
		for name, c := range map[string]struct {
			text string
			size int64
		}{
			"shorter": {"line\r\n", 12}, "longer": {"line\r\nmore\r\n", 6}, "empty": {"", 1},
		} {
			client, other := pair(t)
			var rest []byte
			done := host(other, func(r *bufio.Reader) error {
				err := talk(other, r, hello...)
				if err == nil {
					err = talk(other, r, envelope[:2]...)
				}
				if err == nil && how == "DATA" {
					err = talk(other, r, "C: DATA")
				}
				if err == nil {
					err = talk(other, r, "S: 250 ok", "S: 250 ok")
				}
				if err == nil && how == "DATA" {
					err = talk(other, r, "S: 354 go on")
				}
				rest, _ = io.ReadAll(r)
				return err
			})
			s := open(t, t.Context(), client, DefaultTimes())
			res := send(s, o, strings.NewReader(c.text), c.size)
			if err := <-done; err != nil {
				t.Fatalf("%s, %s: %v", how, name, err)
			}
			if res.Ours == nil || res.Sent || res.Taken(0) || !s.Over() {
				t.Errorf("%s, %s: %+v", how, name, res)
			}
			whole := how == "DATA" && bytes.HasSuffix(rest, []byte("\r\n.\r\n"))
			if head, body, ok := bytes.Cut(rest, []byte("\r\n")); how == "BDAT" && ok {
				var size int
				_, _ = fmt.Sscanf(string(head), "BDAT %d LAST", &size)
				whole = len(body) >= size
			}
			if whole {
				t.Errorf("%s, %s: the host got a whole message: %q", how, name, rest)
			}
		}
	}
	client, other := pair(t)
	done := host(other, func(r *bufio.Reader) error {
		err := talk(other, r, append(append([]string{}, hello...), "C: MAIL FROM:<a@x.test>", "C: RCPT TO:<b@y.test>", "C: DATA",
			"S: 250 ok", "S: 250 ok", "S: 354 go on")...)
		_, _ = io.Copy(io.Discard, r)
		return err
	})
	res := send(open(t, t.Context(), client, DefaultTimes()), both["DATA"], strings.NewReader("no end"), 6)
	if err := <-done; err != nil || res.Ours == nil || res.Sent {
		t.Errorf("a last line without an end: %+v, %v", res, err)
	}
}

// patterned is a text of n octets in lines, some of which begin with a dot.
func patterned(n int) []byte {
	return bytes.Repeat([]byte(".23456789012345678901234567890\r\n"), n/32)
}

// A large text arrives octet by octet, in chunks or with dots.
func TestLargeText(t *testing.T) {
	text := patterned(9 << 20)
	for how, o := range both {
		client, other := pair(t)
		var got []byte
		done := host(other, func(r *bufio.Reader) error {
			if err := talk(other, r, hello...); err != nil {
				return err
			}
			if how == "DATA" {
				if err := talk(other, r, "C: MAIL FROM:<a@x.test>", "C: RCPT TO:<b@y.test>", "C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go on"); err != nil {
					return err
				}
				return undot(other, r, &got)
			}
			if err := talk(other, r, envelope...); err != nil {
				return err
			}
			return unchunk(other, r, &got, -1)
		})
		res := send(open(t, t.Context(), client, DefaultTimes()), o, bytes.NewReader(text), int64(len(text)))
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		if !res.Taken(0) || !bytes.Equal(got, text) {
			t.Errorf("%s: %d of %d octets, %+v", how, len(got), len(text), res)
		}
	}
}

// undot reads a text that ends with a dot.
func undot(c io.Writer, r *bufio.Reader, got *[]byte) error {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return err
		}
		if string(line) == ".\r\n" {
			return talk(c, r, "S: 250 queued", "C: QUIT", "S: 221 bye")
		}
		*got = append(*got, bytes.TrimPrefix(line, []byte("."))...)
	}
}

// unchunk reads chunks and refuses the one with that number.
func unchunk(c io.Writer, r *bufio.Reader, got *[]byte, refuse int) error {
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "QUIT\r\n" {
			return talk(c, r, "S: 221 bye")
		}
		var size int
		var last string
		_, _ = fmt.Sscanf(line, "BDAT %d %s", &size, &last)
		chunk := make([]byte, size)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		*got = append(*got, chunk...)
		answer := "S: 250 chunk"
		if n == refuse {
			answer = "S: 552 5.3.4 too big"
		} else if refuse >= 0 && n > refuse {
			answer = "S: 503 no transaction"
		}
		if err := talk(c, r, answer); err != nil {
			return err
		}
	}
}

// A refused chunk ends the text after a whole chunk, and the first refusal counts.
func TestChunkRefused(t *testing.T) {
	text := patterned(20 << 20)
	for refuse := range 5 {
		client, other := pair(t)
		var got []byte
		done := host(other, func(r *bufio.Reader) error {
			if err := talk(other, r, append(append([]string{}, hello...), envelope...)...); err != nil {
				return err
			}
			return unchunk(other, r, &got, refuse)
		})
		res := send(open(t, t.Context(), client, DefaultTimes()), both["BDAT"], bytes.NewReader(text), int64(len(text)))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if res.Final.Code != 552 || res.Err != nil || res.Taken(0) {
			t.Errorf("chunk %d refused: %+v", refuse, res)
		}
		if most := (refuse + 2) * chunkSize; len(got) > most || len(got)%chunkSize != 0 && len(got) != len(text) {
			t.Errorf("chunk %d refused: %d octets came", refuse, len(got))
		}
	}
}

// A reply that a host sends before it stops reading is not missed.
func TestLastWords(t *testing.T) {
	client, other := pair(t)
	_ = client.SetWriteBuffer(8 << 10)
	done := host(other, func(r *bufio.Reader) error {
		err := talk(other, r, append(append([]string{}, hello...), "C: MAIL FROM:<a@x.test>", "C: RCPT TO:<b@y.test>", "C: DATA",
			"S: 250 ok", "S: 250 ok", "S: 354 go on")...)
		if err == nil {
			_, err = io.CopyN(io.Discard, r, 64<<10)
		}
		if err == nil {
			err = talk(other, r, "S: 552 5.3.4 too big")
		}
		if err == nil {
			// Reading on for a while lets the reply arrive before the reset.
			_, err = io.CopyN(io.Discard, r, 1<<20)
		}
		return err
	})
	text := patterned(64 << 20)
	res := send(open(t, t.Context(), client, DefaultTimes()), both["DATA"], bytes.NewReader(text), int64(len(text)))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if res.Err == nil || res.Sent || res.Taken(0) || res.Words.Code != 0 && res.Words.Code != 552 {
		t.Errorf("%+v", res)
	}
}

// A silent host gets the time limit of the command, and no more.
func TestTimes(t *testing.T) {
	for name, c := range map[string]struct {
		said    int // lines of the conversation before the host falls silent
		times   func(*Times)
		command string
	}{
		"greeting": {0, func(s *Times) { s.Greeting = 10 * time.Millisecond }, "greeting"},
		"hello":    {2, func(s *Times) { s.Hello = 10 * time.Millisecond }, "EHLO c.test"},
		"mail":     {9, func(s *Times) { s.Mail = 10 * time.Millisecond }, "MAIL FROM:<a@x.test>"},
		"rcpt":     {10, func(s *Times) { s.Rcpt = 10 * time.Millisecond }, "RCPT TO:<b@y.test>"},
		"answer":   {11, func(s *Times) { s.Answer = 10 * time.Millisecond }, "BDAT LAST"},
	} {
		client, other := pair(t)
		lines := append(append([]string{}, hello...), envelope...)
		done := host(other, func(r *bufio.Reader) error {
			err := talk(other, r, lines[:c.said]...)
			_, _ = io.Copy(io.Discard, r)
			return err
		})
		times := DefaultTimes()
		c.times(&times)
		command, err := "", error(nil)
		s, opened := Open(t.Context(), client, "c.test", times, time.Now().Add(patience))
		if e := new(Error); errors.As(opened, &e) {
			command, err = e.Command, e.Err
		} else {
			res := send(s, both["BDAT"], strings.NewReader("text\r\n"), 6)
			command, err = res.Command, res.Err
		}
		if failed := <-done; failed != nil || command != c.command || !errors.Is(err, ErrTime) {
			t.Errorf("%s: %q, %v (%v)", name, command, err, failed)
		}
	}
}

// A host that stops reading in the text: each piece has its time, whatever the whole one may take.
func TestTimeOfText(t *testing.T) {
	client, other := pair(t)
	ended := make(chan struct{})
	done := host(other, func(r *bufio.Reader) error {
		err := talk(other, r, append(append([]string{}, hello...), envelope...)...)
		<-ended
		return err
	})
	times := DefaultTimes()
	times.Block, times.Quit = 50*time.Millisecond, 50*time.Millisecond
	began := time.Now()
	const size = 64 << 20 // more than sockets hold
	res := send(open(t, t.Context(), client, times), both["BDAT"], io.LimitReader(endless{}, size), size)
	close(ended)
	if failed := <-done; failed != nil || !errors.Is(res.Err, ErrTime) || res.Final.Code != 0 || time.Since(began) > patience/2 {
		t.Errorf("%q, %v, %v (%v)", res.Command, res.Final, res.Err, failed)
	}
}

// endless is a text without an end.
type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "text\r\n"[i%6]
	}
	return len(p), nil
}

// When the program must stop, it still waits a moment for the answer to a text.
func TestStop(t *testing.T) {
	client, other := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := host(other, func(r *bufio.Reader) error {
		err := talk(other, r, append(append([]string{}, hello...), envelope...)...)
		if err == nil {
			err = talk(other, r, "C: BDAT 6 LAST", "C: text")
		}
		cancel()
		_, _ = io.Copy(io.Discard, r)
		return err
	})
	times := DefaultTimes()
	times.Grace = 20 * time.Millisecond
	res := send(open(t, ctx, client, times), both["BDAT"], strings.NewReader("text\r\n"), 6)
	if err := <-done; err != nil || !res.Sent || !errors.Is(res.Err, ErrTime) {
		t.Errorf("%+v, %v", res, err)
	}
}
