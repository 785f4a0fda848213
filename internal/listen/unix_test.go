package listen

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Unix socket's address holds 108 octets; the path of a home may be longer.
func TestUnixSocketsAtAnyPath(t *testing.T) {
	for _, depth := range []int{0, 1, 4} {
		dir := t.TempDir()
		for range depth {
			dir = filepath.Join(dir, strings.Repeat("d", 60))
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "submit")
		for round := range 2 { // the second finds what a killed server left
			l, err := ListenUnix(path, 0o666)
			if err != nil {
				t.Fatal(err)
			}
			if st, err := os.Stat(path); err != nil || st.Mode() != os.ModeSocket|0o666 {
				t.Errorf("%v %v", st, err)
			}
			go func() {
				conn, err := l.Accept()
				if err == nil {
					cred, _ := PeerCred(conn)
					if cred != nil && int(cred.Uid) == os.Getuid() && int(cred.Pid) == os.Getpid() {
						io.WriteString(conn, "known")
					}
					conn.Close()
				}
			}()
			conn, err := DialUnix(path, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(conn); string(got) != "known" || err != nil {
				t.Errorf("%q %v", got, err)
			}
			conn.Close()
			if round == 0 {
				l.(unixListener).SetUnlinkOnClose(false)
			}
			l.Close()
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the name stays: %v", err)
		}
		if conn, err := DialUnix(path, time.Second); err == nil {
			conn.Close()
			t.Error("nobody answered")
		}
	}
	if cred, err := PeerCred(new(net.TCPConn)); cred != nil || err != nil {
		t.Error(cred, err)
	}
}
