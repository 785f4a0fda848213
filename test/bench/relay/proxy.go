package relay

import (
	"bytes"
	"io"
	"net"
	"time"
)

// oneWay is how far the far host is: every octet takes so long in each direction.
const oneWay = 20 * time.Millisecond

// listenFar forwards connections to addr as if it were far away. The kernel accepts them
// at once, so the two ways of the handshake and the third on which the server learns of
// it are waited for before the server is called; then its greeting takes a way, too.
func listenFar(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				time.Sleep(3 * oneWay)
				far, err := net.Dial("tcp", addr)
				if err != nil {
					near.Close()
					return
				}
				go delay(far, near)
				go delay(near, far)
			}()
		}
	}()
	return l, nil
}

// parcel is what was read at one moment.
type parcel struct {
	octets []byte
	due    time.Time
}

// delay copies what from says to to, each octet oneWay later, however much is under way.
func delay(to, from net.Conn) {
	way := make(chan parcel, 1<<10)
	go func() {
		defer close(way)
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				way <- parcel{bytes.Clone(buf[:n]), time.Now().Add(oneWay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.octets); err != nil {
			break
		}
	}
	time.Sleep(oneWay)
	to.Close()
	for range way { // until the reader has seen the end, too
	}
}

// listenSilently accepts connections at a free port of ip and never says a word.
func listenSilently(ip string) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	return l, nil
}
