package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"paperpath/internal/visible"
	"paperpath/maildir"
)

// talk is the conversation with a process of another user, which is not trusted with more than
// the mailbox of that user.
type talk struct {
	m     *mail
	conn  net.Conn
	spent bool      // an answer to the sender was counted
	last  time.Time // by then it has to end, since we stop; zero: we do not
}

// stop tells the process that we stop: a program that runs has a moment to end.
func (t *talk) stop() {
	if half, ok := t.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	t.conn.SetDeadline(time.Now().Add(stopTime))
}

// run gives the order, and answers questions until all is done.
func (t *talk) run(ctx context.Context, o order) (done, error) {
	o.User.Hash, o.User.Extra = "", nil // no business of the process
	t.wait(ctx, quietTime)
	if err := json.NewEncoder(t.conn).Encode(o); err != nil {
		return done{}, fmt.Errorf("the process of the user: %w", err)
	}
	words := &bounded{in: t.conn}
	in := json.NewDecoder(words)
	quiet := quietTime
	for range maxWords {
		t.wait(ctx, quiet)
		words.left = maxSaid
		var w said
		if err := in.Decode(&w); err != nil {
			return done{}, ended(err)
		}
		quiet = quietTime
		switch {
		case w.Done != nil:
			return *w.Done, nil
		case w.Failed != nil:
			return done{}, w.Failed.err()
		case w.Begin:
			quiet = programTime + programGrace + quietTime
		case w.Ask != "":
			if err := json.NewEncoder(t.conn).Encode(t.answer(w)); err != nil {
				return done{}, ended(err)
			}
		default:
			t.event(w)
		}
	}
	return done{}, errors.New("the process of the user does not come to an end")
}

// wait allows a time for the next word, and for the process to read the answer to it: one that
// asks and asks and reads nothing would otherwise hold us for ever.
func (t *talk) wait(ctx context.Context, quiet time.Duration) {
	if ctx.Err() == nil {
		t.conn.SetDeadline(time.Now().Add(quiet))
	}
	if ctx.Err() != nil { // it may have ended in between
		if t.last.IsZero() { // no word puts it off
			t.last = time.Now().Add(stopTime)
		}
		t.conn.SetDeadline(t.last)
	}
}

func ended(err error) error {
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return errors.New("the process of the user took too long: its home may be on a file server that is away")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the process of the user has ended before it was done")
	}
	return fmt.Errorf("the process of the user: %w", err)
}

// bounded is a reader of so many octets until somebody allows more.
type bounded struct {
	in   io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("it says too much")
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// event writes an event for the process.
func (t *talk) event(w said) {
	short := func(s string) string { return visible.Shorten(s, maxReason) }
	switch {
	case len(w.Ran) == 3:
		t.m.log.Program(t.m.key, t.m.to.String(), short(w.Ran[0]), short(w.Ran[1]), short(w.Ran[2]))
	case len(w.Trouble) == 2:
		t.m.log.Trouble(t.m.key, short(w.Trouble[0]), errors.New(short(w.Trouble[1])))
	case w.Stored != "":
		t.m.log.Delivered(t.m.key, t.m.to.String(), short(w.Stored), "owner")
	}
}

// answer answers a question.
func (t *talk) answer(w said) (a heard) {
	q, err := t.m.about, error(nil)
	switch w.Ask {
	case "Delimiters":
		a.Text, err = q.Delimiters()
	case "Hostname":
		a.Text, err = q.Hostname()
	case "JunkFolder":
		a.Text, err = q.JunkFolder()
	case "Programs":
		a.Yes, err = q.Programs()
	case "Passed":
		a.Yes, err = q.Passed()
	case "Junk":
		a.Yes, err = q.Junk()
	case "Wish":
		wish, failed := q.Wish()
		a.Text, err = string(wish), failed
	case "MayAnswer":
		a.Yes, err = q.MayAnswer()
	case "MayForward":
		err = q.MayForward()
	case "Spend":
		if t.spent {
			err = errors.New("one message gets one answer")
			break
		}
		a.Yes, err = q.Spend()
		t.spent = a.Yes
	case "Room":
		a.Yes, err = q.Room(maildir.Usage{Octets: w.Usage.Octets, Messages: w.Usage.Messages}, w.Usage.Fits)
	default:
		err = errors.New("no such question")
	}
	a.Failed = failureOf(err)
	return a
}
