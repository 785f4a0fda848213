package smtpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A dialogue is a file testdata/NAME.dialogue, with these lines:
//
//	# comment
//	: pipeline chunk ahead   Options that are set; these unless this line is there. Another
//	                         is inflight: whole transactions, three at a time
//	M: a@x to b@y c@y | text | more   a message that waits to be sent
//	S: reply          what the host sends, CRLF added; several in a row go out in one write
//	C: line           what the client must send, CRLF added; several in a row are one flight
//	W: bytes          what the client must send without CRLF
//	X:                the host closes the connection
//	K:                the host resets it
//	R: outcome        the result of a message, in order
//
// %20x% is x twenty times. The greeting and EHLO with PIPELINING are implied unless the
// first line is ": raw" or ": raw at once". If the session lasts, the client says QUIT at
// the end: that is implied too.
//
// Each is played as written, then with a host that sends one octet at a time, unless it
// is "at once": where a reply comes before its command, the end depends on whether it is
// read before the command goes out. Then with a host that is cut off after each octet it
// sends.
type dialogue struct {
	atOnce   bool
	options  Options
	messages []*Message
	steps    []step
	results  []string
}

type step struct {
	kind byte // S, C, X or K
	data []byte
}

func readDialogue(t *testing.T, path string) dialogue {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := dialogue{options: Options{Pipeline: true, Chunk: true, Ahead: true}}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	switch lines[0] {
	case ": raw at once":
		d.atOnce = true
		lines = lines[1:]
	case ": raw":
		lines = lines[1:]
	default:
		d.line("S: 220 mx.test ESMTP")
		d.line("C: EHLO c.test")
		d.line("S: 250-mx.test")
		d.line("S: 250 PIPELINING")
	}
	for _, line := range lines {
		d.line(line)
	}
	return d
}

func (d *dialogue) line(line string) {
	kind, rest, _ := strings.Cut(line, ":")
	rest = expand(strings.TrimPrefix(rest, " "))
	switch kind {
	case "":
		d.options = Options{Pipeline: strings.Contains(rest, "pipeline"), Chunk: strings.Contains(rest, "chunk"),
			Ahead: strings.Contains(rest, "ahead")}
		if strings.Contains(rest, "inflight") {
			d.options.Inflight = 3
		}
	case "M":
		d.messages = append(d.messages, parseMessage(rest))
	case "R":
		d.results = append(d.results, rest)
	case "S", "C", "W", "X", "K":
		k := kind[0]
		if k != 'W' {
			rest += "\r\n"
		} else {
			k = 'C'
		}
		if n := len(d.steps); n > 0 && d.steps[n-1].kind == k {
			d.steps[n-1].data = append(d.steps[n-1].data, rest...)
			return
		}
		d.steps = append(d.steps, step{k, []byte(rest)})
	}
}

// expand writes out repetitions.
func expand(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "%")
		var n int
		var what string
		if !ok {
			return s
		}
		count, rest, _ := strings.Cut(rest, "x")
		what, rest, _ = strings.Cut(rest, "%")
		if _, err := fmt.Sscan(count, &n); err != nil {
			return s
		}
		s = before + strings.Repeat(what, n) + rest
	}
}

func parseMessage(s string) *Message {
	parts := strings.Split(s, " | ")
	words := strings.Fields(parts[0])
	m := &Message{Mail: "FROM:<" + words[0] + ">"}
	for _, to := range words[2:] {
		m.Rcpt = append(m.Rcpt, "TO:<"+to+">")
	}
	text := strings.Join(parts[1:], "\r\n") + "\r\n"
	m.Size = int64(len(text))
	m.Text = func() io.Reader { return strings.NewReader(text) }
	return m
}

// describe is an R line.
func describe(m *Message, r *Result) string {
	var b strings.Builder
	b.WriteString("taken")
	for i := range m.Rcpt {
		if r.Taken(i) {
			fmt.Fprintf(&b, " %d", i)
		}
	}
	for _, x := range []struct {
		name string
		is   bool
	}{{"unheard", r.Unheard}, {"sent", r.Sent}, {"ahead", r.Ahead}} {
		if x.is {
			b.WriteString(" " + x.name)
		}
	}
	if r.Words.Code != 0 && r.Words.Text != r.Err.Error() {
		b.WriteString(" words=" + r.Words.Text)
	}
	if r.Err != nil {
		fmt.Fprintf(&b, ", %s: %v", r.Command, r.Err)
	}
	return b.String()
}

// recorder is the client's connection; it records what the client wrote between two
// reads.
type recorder struct {
	net.Conn
	mu      sync.Mutex
	flights []string
	open    bool
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		r.flights, r.open = append(r.flights, ""), true
	}
	r.flights[len(r.flights)-1] += string(p)
	return r.Conn.Write(p)
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = r.open && n == 0
	return n, err
}

// outcome is the result of a dialogue.
type outcome struct {
	Flights []string
	Results []string
	taken   map[string]bool
}

// hold plays the host. slow: one octet a write; cut: the connection is closed after
// that many octets of the host, -1 for never.
func (d *dialogue) hold(t *testing.T, slow bool, cut int) outcome {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hosted := make(chan error, 1)
	go func() { hosted <- d.host(l, slow, cut) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{Conn: c}
	out := outcome{taken: map[string]bool{}}
	d.client(rec, &out)
	// A client that ends the session does not read the rest.
	if err := <-hosted; err != nil && cut < 0 && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	out.Flights = rec.flights
	return out
}

// client sends the messages of a dialogue.
func (d *dialogue) client(c net.Conn, out *outcome) {
	times := DefaultTimes()
	s, err := Open(context.Background(), c, "c.test", times, time.Now().Add(patience))
	if err != nil {
		out.Results = append(out.Results, err.Error())
		return
	}
	waiting := d.messages
	for n, m := range waiting {
		m.Done = func(r *Result) {
			out.Results = append(out.Results, describe(m, r))
			for i := range m.Rcpt {
				if r.Taken(i) {
					out.taken[fmt.Sprint(n, " ", i)] = true
				}
			}
		}
	}
	next := func() *Message {
		if len(waiting) == 0 {
			return nil
		}
		m := waiting[0]
		waiting = waiting[1:]
		return m
	}
	if m := next(); m != nil {
		s.Send(d.options, m, next)
	}
	for range waiting {
		out.Results = append(out.Results, "not begun")
	}
	s.Quit()
}

func (d *dialogue) host(l net.Listener, slow bool, cut int) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	said := 0
	for n, s := range d.steps {
		switch s.kind {
		case 'X':
			return nil
		case 'K':
			return c.(*net.TCPConn).SetLinger(0)
		case 'C':
			got := make([]byte, len(s.data))
			k, err := io.ReadFull(c, got)
			if err != nil || !bytes.Equal(got, s.data) {
				return fmt.Errorf("step %d: the client sent %q (%v), want %q", n, got[:k], err, s.data)
			}
		case 'S':
			data := s.data
			if cut >= 0 && said+len(data) > cut {
				data = data[:cut-said]
			}
			said += len(data)
			if err := say(c, data, slow); err != nil {
				return err
			}
			if len(data) < len(s.data) {
				return nil
			}
		}
	}
	return leave(c)
}

// say sends the host's replies.
func say(c net.Conn, data []byte, slow bool) error {
	if !slow {
		_, err := c.Write(data)
		return err
	}
	for i := range data {
		if _, err := c.Write(data[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// leave answers QUIT if it comes.
func leave(c net.Conn) error {
	rest, err := io.ReadAll(io.LimitReader(c, 6))
	if string(rest) == "QUIT\r\n" {
		_, err = c.Write([]byte("221 bye\r\n"))
	} else if len(rest) > 0 {
		return fmt.Errorf("behind the last step the client sent %q", rest)
	}
	return err
}

// want returns the flights that the client must send.
func (d *dialogue) want() (flights []string) {
	for _, s := range d.steps {
		if s.kind == 'C' {
			flights = append(flights, string(s.data))
		}
	}
	return flights
}

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".dialogue")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := readDialogue(t, path)
			whole := d.hold(t, false, -1)
			got := whole
			if n := len(got.Flights); n > 0 && got.Flights[n-1] == "QUIT\r\n" {
				got.Flights = got.Flights[:n-1]
			}
			if diff := cmp.Diff(d.want(), got.Flights, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("flights (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(d.results, got.Results); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			d.again(t, whole)
		})
	}
}

// again plays the dialogue octet by octet, then cut off after each octet: no recipient
// may count as accepted that was not in the whole dialogue, and each message ends once.
func (d *dialogue) again(t *testing.T, whole outcome) {
	if !d.atOnce {
		slow := d.hold(t, true, -1)
		if diff := cmp.Diff(whole.Results, slow.Results); diff != "" {
			t.Errorf("octet by octet (-whole +octets):\n%s", diff)
		}
	}
	total := 0
	for _, s := range d.steps {
		if s.kind == 'S' {
			total += len(s.data)
		}
	}
	stride := 1 + total/400 // an endless reply is cut here and there
	for cut := 0; cut < total; cut += stride {
		short := d.hold(t, false, cut)
		for who := range short.taken {
			if !whole.taken[who] {
				t.Errorf("cut behind octet %d: %s was taken, which the whole dialogue denies", cut, who)
			}
		}
		opened := len(short.Results) != 1 || len(d.messages) == 1 || strings.HasPrefix(short.Results[0], "taken")
		if opened && len(short.Results) != len(d.messages) {
			t.Errorf("cut behind octet %d: %d messages ended %d times", cut, len(d.messages), len(short.Results))
		}
	}
}
