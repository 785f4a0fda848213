package pop3

import (
	"bytes"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// patience is how long a server may take for one reply, in seconds.
const patience = 120

// client is one POP3 session seen from the user's side. It calls the kernel
// directly: it shares the processors with the server that it measures, and
// should be a small part of what is measured.
type client struct {
	fd   int
	buf  *[bufferSize]byte
	r, w int // what is read but not used is buf[r:w]
}

const bufferSize = 64 << 10

// buffers are used again: to clear one costs as much as a command.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// dial connects and takes the greeting.
func dial(addr string) (*client, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	c := &client{fd: fd, buf: buffers.Get().(*[bufferSize]byte)}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: patience})
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		c.close()
		return nil, fmt.Errorf("connect %s: %w", addr, err)
	}
	if _, err := c.reply("greeting"); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// greets reports, as an error, that no POP3 server greets at addr.
func greets(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	return c.quit()
}

func (c *client) close() {
	unix.Close(c.fd)
	buffers.Put(c.buf)
	c.buf = nil
}

// fill reads more behind what is not used yet.
func (c *client) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		if c.r == 0 {
			return fmt.Errorf("a line of more than %d octets", len(c.buf))
		}
		c.r, c.w = 0, copy(c.buf[:], c.buf[c.r:c.w])
	}
	for {
		n, err := unix.Read(c.fd, c.buf[c.w:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		c.w += n
		return nil
	}
}

func (c *client) send(text string) error {
	for len(text) > 0 {
		n, err := unix.Write(c.fd, []byte(text))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("write: %w", err)
		}
		text = text[max(n, 0):]
	}
	return nil
}

// reply returns the next line, which has to begin with +OK. command is for the
// text of the error.
func (c *client) reply(command string) (string, error) {
	for {
		if end := bytes.IndexByte(c.buf[c.r:c.w], '\n'); end >= 0 {
			line := string(c.buf[c.r : c.r+end])
			c.r += end + 1
			if !strings.HasPrefix(line, "+OK") {
				return "", fmt.Errorf("%s: %q", command, line)
			}
			return strings.TrimRight(line, "\r"), nil
		}
		if err := c.fill(); err != nil {
			return "", fmt.Errorf("%s: %w", command, err)
		}
	}
}

// do says one command and returns the line of its reply.
func (c *client) do(command string) (string, error) {
	if err := c.send(command + "\r\n"); err != nil {
		return "", err
	}
	return c.reply(command)
}

func (c *client) login(user, password string) error {
	if _, err := c.do("USER " + user); err != nil {
		return err
	}
	_, err := c.do("PASS " + password)
	return err
}

// quit says QUIT and waits until the server has hung up.
func (c *client) quit() error {
	defer c.close()
	if _, err := c.do("QUIT"); err != nil {
		return err
	}
	if err := c.fill(); err != io.ErrUnexpectedEOF {
		return fmt.Errorf("QUIT: not the end behind its reply: %v", err)
	}
	return nil
}

// multi says a command and reads its reply of many lines. They go to sum, where
// there is one, without the first.
func (c *client) multi(command string, sum hash.Hash) error {
	if _, err := c.do(command); err != nil {
		return err
	}
	return c.lines(sum)
}

var (
	stop    = []byte("\r\n.\r\n")
	nothing = []byte(".\r\n") // all of a reply without lines
)

// lines reads the lines of a reply up to the one dot.
func (c *client) lines(sum hash.Hash) error {
	for first := true; ; {
		piece := c.buf[c.r:c.w]
		end := -1
		if first && bytes.HasPrefix(piece, nothing) {
			end = len(nothing)
		} else if at := bytes.Index(piece, stop); at >= 0 {
			end = at + len(stop)
		}
		keep := 0 // what may be the start of the end
		if end < 0 {
			keep = min(len(piece), len(stop)-1)
			end = len(piece) - keep
		}
		if sum != nil {
			sum.Write(piece[:end])
		}
		done := keep == 0 && end > 0
		first = first && end == 0
		c.r += end
		if done {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// count reads until n replies of many lines have ended, which were asked for in
// one flight.
func (c *client) count(n int) error {
	for {
		piece := c.buf[c.r:c.w]
		if n -= bytes.Count(piece, stop); n <= 0 {
			c.r = c.w
			return nil
		}
		keep := 0 // what may be the start of an end
		for k := min(len(piece), len(stop)-1); k > 0; k-- {
			if bytes.HasSuffix(piece, stop[:k]) {
				keep = k
				break
			}
		}
		c.r = c.w - keep
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// stat returns the number of messages and of octets that STAT tells.
func (c *client) stat() (n, octets int64, err error) {
	line, err := c.do("STAT")
	if err != nil {
		return 0, 0, err
	}
	f := strings.Fields(line)
	if len(f) != 3 {
		return 0, 0, fmt.Errorf("STAT: %q", line)
	}
	if n, err = strconv.ParseInt(f[1], 10, 64); err == nil {
		octets, err = strconv.ParseInt(f[2], 10, 64)
	}
	return n, octets, err
}
