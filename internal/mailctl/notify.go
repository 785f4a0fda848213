package mailctl

import (
	"crypto/rand"
	"net"
	"strings"
	"time"
)

// notifySocket is where one run of a service sends READY=1, as in sd_notify(3). Its
// name is in the kernel's abstract name space, so no file is left over, and it cannot
// be guessed, so no other process can speak for the service.
type notifySocket struct {
	address string // for NOTIFY_SOCKET
	conn    *net.UnixConn
}

func listenNotify() (*notifySocket, error) {
	address := "@paperpath-" + rand.Text()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notifySocket{address, conn}, nil
}

// theEnd is what end sends: no line of sd_notify(3).
const theEnd = "\x00"

// hear calls ready at the first READY=1 and says for each STATUS=, until the socket is
// closed or end was called.
func (n *notifySocket) hear(says func(string), ready func()) {
	buf := make([]byte, 4096)
	for isReady := false; ; {
		size, err := n.conn.Read(buf)
		if err != nil || string(buf[:size]) == theEnd {
			return
		}
		for line := range strings.SplitSeq(string(buf[:size]), "\n") {
			if text, found := strings.CutPrefix(line, "STATUS="); found {
				says(text)
			}
			if line == "READY=1" && !isReady {
				isReady = true
				ready()
			}
		}
	}
}

// end makes hear return when it has heard what was sent before.
func (n *notifySocket) end() {
	conn, err := net.DialUnix("unixgram", nil, n.conn.LocalAddr().(*net.UnixAddr))
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // a child's child may have filled it
		_, err = conn.Write([]byte(theEnd))
		conn.Close()
	}
	if err != nil {
		n.close()
	}
}

func (n *notifySocket) close() { n.conn.Close() }
