package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

// listener is a socket that accepts, and whether TLS begins with the first
// octet on it.
type listener struct {
	net.Listener
	implicit bool
}

// open opens every address, or takes the sockets of systemd where there is no
// address. On an error nothing stays open.
func (s *Server) open() (list []listener, err error) {
	defer func() {
		if err != nil {
			closeAll(list)
		}
	}()
	if len(s.Addrs)+len(s.TLSAddrs) == 0 {
		list, err = inherited()
	} else {
		list, err = s.bind()
	}
	if err != nil {
		return list, err
	}
	if len(list) == 0 {
		return nil, errors.New("no address to listen on")
	}
	for _, l := range list {
		if l.implicit && s.TLS == nil {
			return list, fmt.Errorf("listen on %s: TLS needs a certificate", l.Addr())
		}
	}
	return list, nil
}

func closeAll(list []listener) {
	for _, l := range list {
		l.Close()
	}
}

func (s *Server) bind() (list []listener, err error) {
	for _, a := range s.Addrs {
		l, err := s.bindOne(a)
		if err != nil {
			return list, err
		}
		list = append(list, listener{l, false})
	}
	for _, a := range s.TLSAddrs {
		l, err := s.bindOne(a)
		if err != nil {
			return list, err
		}
		list = append(list, listener{l, true})
	}
	return list, nil
}

// Ports are open TCP sockets by address, "host:port".
type Ports map[string]net.Listener

// CheckAddr returns a usage error for an address that no Server can listen on:
// neither "unix:path" nor StdinAddr nor "host:port" with a port that is a
// number or has a name on this machine.
func CheckAddr(addr string) error {
	if addr == StdinAddr || strings.HasPrefix(addr, "unix:") {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return status.UsageError("listen on %q: not ADDRESS:PORT", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return status.UsageError("listen on %q: the port is neither a number up to 65535 nor a name in /etc/services", addr)
	}
	return nil
}

// Bind opens the TCP addresses among addrs. It is for a program that gives up the
// right to before it runs a Server. On an error nothing stays open.
func Bind(addrs []string) (Ports, error) {
	ports := Ports{}
	for _, a := range addrs {
		if CheckAddr(a) != nil || a == StdinAddr || strings.HasPrefix(a, "unix:") {
			continue // Run says what is wrong with it
		}
		l, err := net.Listen("tcp", a)
		if err != nil {
			for _, open := range ports {
				open.Close()
			}
			return nil, fmt.Errorf("listen on %s: %w", a, err)
		}
		ports[a] = l
	}
	return ports, nil
}

// bindOne opens "host:port", "unix:path" or StdinAddr.
func (s *Server) bindOne(addr string) (net.Listener, error) {
	var l net.Listener
	var err error
	if l = s.Ports[addr]; l != nil {
		delete(s.Ports, addr)
		return l, nil
	}
	if err := CheckAddr(addr); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(addr, "unix:"); addr == StdinAddr {
		l, err = listenStdin()
	} else if ok {
		l, err = listenUnix(path, s.UnixMode)
	} else {
		l, err = net.Listen("tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// removeStale removes a Unix socket that a killed server left: one that
// refuses connections. Nothing else is ever removed.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil // Listen says what is wrong with it
	}
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", path, 5*time.Second)
	if err == nil {
		conn.Close()
		return nil
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return err
}

// firstFD is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstFD = 3

// Activated reports whether systemd hands this process listening sockets
// (sd_listen_fds(3)), as opposed to one connection, which Stdin takes.
func Activated() bool { return handedOver() && !connected() }

func handedOver() bool {
	return os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") != ""
}

// connected reports whether the one descriptor that systemd hands over is a
// connection: Accept=yes without StandardInput=socket.
func connected() bool {
	if !handedOver() || os.Getenv("LISTEN_FDS") != "1" {
		return false
	}
	_, err := unix.GetsockoptInt(firstFD, unix.SOL_SOCKET, unix.SO_TYPE) // a socket at all
	return err == nil && !accepting(firstFD)
}

// passed returns a copy of that connection's descriptor.
func passed() (*os.File, error) {
	fd, err := unix.FcntlInt(firstFD, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", firstFD, err)
	}
	return os.NewFile(uintptr(fd), "connection"), nil
}

func accepting(fd int) bool {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && accepts != 0
}

// inherited returns the sockets of systemd. One whose FileDescriptorName= is
// or ends in "tls" speaks TLS from the first octet.
func inherited() ([]listener, error) {
	if !Activated() {
		return nil, nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 1000 {
		return nil, errors.New("LISTEN_FDS is no small number")
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var list []listener
	for i := range n {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		l, err := inherit(firstFD+i, name)
		if err != nil {
			return list, err
		}
		list = append(list, l)
	}
	return list, nil
}

func inherit(fd int, name string) (listener, error) {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	if f == nil {
		return listener{}, fmt.Errorf("descriptor %d is not open", fd)
	}
	defer f.Close() // FileListener has its own
	// FileListener takes a connection too, and could never accept on it.
	if !accepting(fd) {
		return listener{}, fmt.Errorf("descriptor %d is no listening socket", fd)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return listener{}, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return listener{l, strings.HasSuffix(name, "tls")}, nil
}
