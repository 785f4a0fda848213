package accept

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"paperpath/test/harness"
)

// session sends some messages in one session, until a time from which no more are begun.
func (l load) session(addr string, list []message, until time.Time) (o outcome) {
	began := time.Now()
	if began.After(until) {
		return outcome{left: len(list)}
	}
	c, err := l.enter(addr)
	if err != nil {
		return outcome{failed: 1, why: err}
	}
	defer c.Close()
	for i, x := range list {
		if len(list) > 1 {
			began = time.Now()
		}
		if i > 0 && began.After(until) {
			o.left = len(list) - i
			break
		}
		if err := x.transfer(c); err != nil {
			o.failed, o.why = 1, err
			return o
		}
		o.accepted, o.last = o.accepted+1, time.Now()
		if len(list) > 1 {
			o.took = append(o.took, o.last.Sub(began))
		}
	}
	if err := leave(c); err != nil {
		o.failed, o.why = 1, err
	}
	if len(list) == 1 {
		o.took = append(o.took, time.Since(began))
	}
	return o
}

// enter begins a session.
func (l load) enter(addr string) (*harness.Conversation, error) {
	c, err := harness.Dial(addr)
	if err != nil {
		return nil, err
	}
	steps := [][2]string{{"220", ""}, {"250", hello}}
	switch {
	case l.tls:
		steps = append(steps, [2]string{"220", "STARTTLS"})
	case l.stranger:
		steps = append(steps, [2]string{"220", "XCLIENT ADDR=" + outside + " NAME=" + host}, [2]string{"250", hello})
	}
	for _, step := range steps {
		if _, err := c.Expect(step[0], step[1]); err != nil {
			c.Close()
			return nil, err
		}
	}
	if !l.tls {
		return c, nil
	}
	c = harness.Converse(tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})) // a self-signed certificate
	if _, err := c.Expect("250", hello); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// leave ends a session, as a client does that does not wait for the last reply (Postfix): it closes its
// side at once. Exim keeps that reply back for 0.2 s if the client does not. Inside TLS the reply is
// awaited: Postfix gives none to a client that has said goodbye there.
func leave(c *harness.Conversation) error {
	err := c.Send("QUIT")
	if plain, ok := c.Conn.(*net.TCPConn); ok {
		err = errors.Join(err, plain.CloseWrite())
	}
	_, last := c.Expect("221", "")
	return errors.Join(err, last)
}

// transfer sends the message.
func (x message) transfer(c *harness.Conversation) error {
	for _, step := range [][2]string{{"250", "MAIL FROM:<" + sender + ">"}, {"250", "RCPT TO:<" + x.to + ">"}, {"354", "DATA"}} {
		if _, err := c.Expect(step[0], step[1]); err != nil {
			return err
		}
	}
	parts := net.Buffers{x.head, x.body, []byte(".\r\n")}
	if _, err := parts.WriteTo(c.Conn); err != nil {
		return err
	}
	_, err := c.Expect("250", "")
	return err
}
