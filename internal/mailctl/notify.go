package mailctl

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifySocket is where one run of a service sends READY=1, as in sd_notify(3). Its
// name is in the kernel's abstract name space, so no file is left over. /proc/net/unix
// shows that name to everybody, so the kernel's word for the sender is asked: only root,
// our own user and those of the programs can speak for the service.
type notifySocket struct {
	address string // for NOTIFY_SOCKET
	conn    *net.UnixConn
	users   []int // of programs
}

func listenNotify(users []int) (*notifySocket, error) {
	address := "@paperpath-" + rand.Text()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var asked error
		err = raw.Control(func(fd uintptr) {
			asked = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		})
		err = errors.Join(err, asked)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask who notifies: %w", err)
	}
	return &notifySocket{address, conn, users}, nil
}

// read returns what one of us or root has sent next.
func (n *notifySocket) read(buf, control []byte) (string, error) {
	for {
		size, controls, _, _, err := n.conn.ReadMsgUnix(buf, control)
		if err != nil {
			return "", err
		}
		if uid, known := sender(control[:controls]); known && (uid == 0 || uid == os.Geteuid() || slices.Contains(n.users, uid)) {
			return string(buf[:size]), nil
		}
	}
}

// sender is the uid in the control message SCM_CREDENTIALS (unix(7)).
func sender(control []byte) (uid int, known bool) {
	list, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range list {
		if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			return int(cred.Uid), true
		}
	}
	return 0, false
}

// theEnd is what end sends: no line of sd_notify(3).
const theEnd = "\x00"

// hear calls ready at the first READY=1 and says for each STATUS=, until the socket is
// closed or end was called.
func (n *notifySocket) hear(says func(string), ready func()) {
	buf, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for isReady := false; ; {
		text, err := n.read(buf, control)
		if err != nil || text == theEnd {
			return
		}
		for line := range strings.SplitSeq(text, "\n") {
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
