package pop3

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"paperpath/test/bench"
)

// logins is the rate of sessions that log in, say STAT and QUIT, with so many
// at once as there are users.
func logins(users []string, span time.Duration) func(*bench.Server) (float64, error) {
	return func(s *bench.Server) (float64, error) {
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			done  int
			wrong error
		)
		begin := time.Now()
		for _, user := range users {
			wg.Go(func() {
				n, err := 0, error(nil)
				for ; err == nil && time.Since(begin) < span; n++ {
					err = oneLogin(s, user)
				}
				mu.Lock()
				defer mu.Unlock()
				if done += n; err != nil {
					wrong = err
				}
			})
		}
		wg.Wait()
		return float64(done) / time.Since(begin).Seconds(), wrong
	}
}

func oneLogin(s *bench.Server, user string) error {
	c, err := enter(s, user)
	if err != nil {
		return err
	}
	n, _, err := c.stat()
	if err == nil && n != small {
		err = fmt.Errorf("%s: %d messages, not %d", s.Name, n, small)
	}
	if err != nil {
		c.close()
		return err
	}
	return c.quit()
}

// enter is a session that has logged in.
func enter(s *bench.Server, user string) (*client, error) {
	c, err := dial(s.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	if err := c.login(user+"@"+domain, password); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return c, nil
}

// scan is the milliseconds that a session takes which sees what there is, the
// mean of as many as fit into span, one at least.
func scan(user string, n int, span time.Duration) func(*bench.Server) (float64, error) {
	return func(s *bench.Server) (float64, error) {
		begin := time.Now()
		for times := 1; ; times++ {
			if err := oneScan(s, user, n); err != nil {
				return 0, err
			}
			if took := time.Since(begin); took >= span {
				return took.Seconds() * 1e3 / float64(times), nil
			}
		}
	}
}

func oneScan(s *bench.Server, user string, want int) error {
	c, err := enter(s, user)
	if err != nil {
		return err
	}
	n, _, err := c.stat()
	if err == nil && n != int64(want) {
		err = fmt.Errorf("%s: %d messages, not %d", s.Name, n, want)
	}
	if err == nil {
		err = c.multi("UIDL", nil)
	}
	if err == nil {
		err = c.multi("LIST", nil)
	}
	if err != nil {
		c.close()
		return err
	}
	return c.quit()
}

// retr is the milliseconds that it takes to fetch n messages, asked for in one
// flight or one by one, login and QUIT not counted.
func retr(user string, n int, flight bool) func(*bench.Server) (float64, error) {
	return func(s *bench.Server) (float64, error) {
		c, err := enter(s, user)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		if flight {
			err = c.flight(n)
		} else {
			for i := 1; i <= n && err == nil; i++ {
				err = c.multi(fmt.Sprintf("RETR %d", i), nil)
			}
		}
		took := time.Since(begin)
		if err != nil {
			c.close()
			return 0, fmt.Errorf("%s: %w", s.Name, err)
		}
		return took.Seconds() * 1e3, c.quit()
	}
}

// flight asks for n messages at once.
func (c *client) flight(n int) error {
	var all strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&all, "RETR %d\r\n", i)
	}
	if err := c.send(all.String()); err != nil {
		return err
	}
	return c.count(n)
}

// agree sees to it that both servers say the same about a mailbox of n
// messages: else it would be another work that is compared.
func agree(a, b *bench.Server, user string, n int) error {
	x, err := contents(a, user, n)
	if err != nil {
		return err
	}
	y, err := contents(b, user, n)
	if err == nil && x != y {
		err = fmt.Errorf("%s and %s do not give the same messages of %s", a.Name, b.Name, user)
	}
	return err
}

// contents is the digest of STAT, LIST and every message.
func contents(s *bench.Server, user string, n int) (sum [32]byte, err error) {
	c, err := enter(s, user)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	count, octets, err := c.stat()
	if err == nil {
		fmt.Fprintln(h, count, octets)
		err = c.multi("LIST", h)
	}
	for i := 1; i <= n && err == nil; i++ {
		err = c.multi(fmt.Sprintf("RETR %d", i), h)
	}
	if err != nil {
		c.close()
		return sum, fmt.Errorf("%s: %w", s.Name, err)
	}
	return [32]byte(h.Sum(nil)), c.quit()
}
