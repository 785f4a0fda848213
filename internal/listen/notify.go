package listen

import (
	"fmt"
	"net"
	"os"
	"time"
)

// NotifyReady tells the service manager that every listener accepts
// (sd_notify(3), READY=1). It does nothing where $NOTIFY_SOCKET is unset.
func NotifyReady() error {
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
	if _, err := conn.Write([]byte("READY=1\n")); err != nil {
		return fmt.Errorf("notify %s: %w", name, err)
	}
	return nil
}
