package smtpc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// letter is a message of n octets, with what happens when its text is opened.
func letter(n int, opened func()) *Message {
	return &Message{Mail: "FROM:<a@x.test>", Rcpt: []string{"TO:<b@y.test>"}, Size: int64(n), Text: func() io.Reader {
		opened()
		return strings.NewReader(strings.Repeat("x", n-2) + "\r\n")
	}}
}

// in waits for c.
func in(c chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-time.After(patience / 2):
		return errors.New("it did not come")
	}
}

// first begins the session of a host with a letter of 10 octets and the envelope behind it.
func first(c io.Writer, r *bufio.Reader) error {
	return talk(c, r, append(append([]string{}, hello...), "C: MAIL FROM:<a@x.test>", "C: RCPT TO:<b@y.test>",
		"S: 250 ok", "S: 250 ok", "C: BDAT 10 LAST", "C: xxxxxxxx", "C: RSET", "C: MAIL FROM:<a@x.test>", "C: RCPT TO:<b@y.test>")...)
}

// telling is a session of two messages, of which the first goes well.
type telling struct {
	name string
	size int // of the second text
	host func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error
	when func(sent, told chan struct{}) error // as the first result is told
	text func(told bool) error                // as the second text is opened
	next string                               // a panic in the call of next for the third
}

func tellings() []telling {
	const large = 2 * pieceSize
	return []telling{
		{name: "behind the next text", size: 10, host: func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error {
			err := talk(c, r, "S: 250 first", "S: 250 ok", "S: 250 ok", "S: 250 ok", "C: BDAT 10 LAST", "C: xxxxxxxx")
			close(sent)
			return errors.Join(err, in(told), talk(c, r, "S: 250 second", "C: QUIT", "S: 221 bye"))
		}, when: func(sent, told chan struct{}) error { return in(sent) }},
		{name: "the envelope is not answered", size: 10, host: func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error {
			err := errors.Join(talk(c, r, "S: 250 first", "S: 250-ok"), in(told))
			return errors.Join(err, talk(c, r, "S: 250 ok", "S: 250 ok", "S: 250 ok", "C: BDAT 10 LAST", "C: xxxxxxxx",
				"S: 250 second", "C: QUIT", "S: 221 bye"))
		}},
		{name: "the next text is large", size: large, host: func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error {
			err := talk(c, r, "S: 250 first", "S: 250 ok", "S: 250 ok", "S: 250 ok", fmt.Sprintf("C: BDAT %d LAST", large))
			_, short := io.CopyN(io.Discard, r, large)
			return errors.Join(err, short, talk(c, r, "S: 250 second", "C: QUIT", "S: 221 bye"))
		}, text: func(told bool) error {
			if !told {
				return errors.New("the first is not told before a large text")
			}
			return nil
		}},
		{name: "a panic", size: 10, next: "broken", host: func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error {
			return errors.Join(talk(c, r, "S: 250 first", "S: 250 ok", "S: 250 ok", "S: 250 ok"), in(told))
		}},
		{name: "the next is refused", size: 10, host: func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error {
			return errors.Join(talk(c, r, "S: 250 first", "S: 250 ok", "S: 550 no", "S: 503 no"), in(told), talk(c, r, "C: QUIT", "S: 221 bye"))
		}},
		{name: "the session is cut", size: 10, host: func(c io.Writer, r *bufio.Reader, sent, told chan struct{}) error {
			return talk(c, r, "S: 250 first", "S: 250 ok", "S: 250 ok", "S: 421 bye")
		}},
	}
}

// A result that is good is told when the next small text is out; at once where that is large,
// or has to wait; and whatever else happens.
func TestTold(t *testing.T) {
	for _, c := range tellings() {
		t.Run(c.name, c.run)
	}
}

func (c telling) run(t *testing.T) {
	client, other := pair(t)
	sent, told := make(chan struct{}), make(chan struct{})
	done := host(other, func(r *bufio.Reader) error {
		return errors.Join(first(other, r), c.host(other, r, sent, told))
	})
	s := open(t, t.Context(), client, DefaultTimes())
	defer s.Close()
	isTold, calls := false, 0
	m := []*Message{letter(10, func() {}), letter(c.size, func() {
		if c.text != nil {
			if err := c.text(isTold); err != nil {
				t.Error(err)
			}
		}
	})}
	for i := range m {
		m[i].Done = func(res *Result) {
			if calls++; i != 0 {
				return
			}
			if c.when != nil {
				if err := c.when(sent, told); err != nil {
					t.Error(err)
				}
			}
			if isTold || !res.Taken(0) {
				t.Errorf("told twice, or %+v", res)
			}
			isTold = true
			close(told)
		}
	}
	given := 0
	said := func() (said any) {
		defer func() { said = recover() }()
		s.Send(Options{Pipeline: true, Chunk: true, Ahead: true}, m[0], func() *Message {
			if given++; given == 1 {
				return m[1]
			}
			if c.next != "" {
				panic(c.next)
			}
			return nil
		})
		return nil
	}()
	s.Quit()
	if !isTold || c.next == "" && (calls != 2 || said != nil) || c.next != "" && said != c.next {
		t.Errorf("told: %v, %d results, panic %v", isTold, calls, said)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
