package listen

import (
	"fmt"
	"net"
	"os"
	"time"

	"paperpath/internal/visible"
)

// NotifyReady tells the service manager that every listener accepts
// (sd_notify(3), READY=1). It does nothing where $NOTIFY_SOCKET is unset.
func NotifyReady() error { return Notify("READY=1\n") }

// maxStatus is how much of a status the service manager gets, in octets.
const maxStatus = 1000

// NotifyStatus tells the service manager how the program does, in one line
// (sd_notify(3), STATUS=).
func NotifyStatus(text string) error {
	return Notify("STATUS=" + visible.Shorten(visible.Line(text), maxStatus) + "\n")
}

// Notify sends lines of sd_notify(3) to the service manager, if there is one.
func Notify(lines string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	// net writes a leading @ as the NUL of an abstract socket.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify %s: %w", name, err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return fmt.Errorf("notify %s: %w", name, err)
	}
	if _, err := conn.Write([]byte(lines)); err != nil {
		return fmt.Errorf("notify %s: %w", name, err)
	}
	return nil
}
