package mailctl

import (
	"crypto/rand"
	"net"
	"strings"
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

// wait returns true at READY=1, false once the socket is closed.
func (n *notifySocket) wait() bool {
	buf := make([]byte, 4096)
	for {
		size, err := n.conn.Read(buf)
		if err != nil {
			return false
		}
		for line := range strings.SplitSeq(string(buf[:size]), "\n") {
			if line == "READY=1" {
				return true
			}
		}
	}
}

func (n *notifySocket) close() { n.conn.Close() }
