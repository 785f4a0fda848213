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

// listener is a listening socket; implicit: TLS begins with the first octet.
type listener struct {
	net.Listener
	implicit bool
}

// open opens every address, or takes the sockets of systemd if there is no address.
// On an error nothing stays open.
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

// CheckAddr returns a usage error for an address that no Server can listen on: it is
// neither "unix:path" nor StdinAddr nor "host:port" with a number or known service
// name as the port.
func CheckAddr(addr string) error {
	if addr == StdinAddr || strings.HasPrefix(addr, "unix:") {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return status.UsageError("listen on %q: not ADDRESS:PORT", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return status.UsageError(
			"listen on %q: the port is neither a number up to 65535 nor a name in /etc/services", addr)
	}
	return nil
}

// Bind opens the TCP addresses among addrs, for a program that drops its privileges
// before it runs a Server. On an error nothing stays open.
func Bind(addrs []string) (Ports, error) {
	ports := Ports{}
	for _, a := range addrs {
		if CheckAddr(a) != nil || a == StdinAddr || strings.HasPrefix(a, "unix:") {
			continue // Run reports it
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
		l, err = ListenUnix(path, s.UnixMode)
	} else {
		l, err = net.Listen("tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// removeStale removes the Unix socket of a killed server: one that refuses
// connections. It never removes anything else.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil // Listen reports it
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

// Activated reports whether systemd has passed listening sockets to this process
// (sd_listen_fds(3)), as opposed to one connection, which is for Stdin.
func Activated() bool { return handedOver() && !connected() }

func handedOver() bool {
	return os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && os.Getenv("LISTEN_FDS") != ""
}

// connected reports whether the one descriptor passed by systemd is a connection:
// Accept=yes without StandardInput=socket.
func connected() bool {
	if !handedOver() || os.Getenv("LISTEN_FDS") != "1" {
		return false
	}
	_, err := unix.GetsockoptInt(firstFD, unix.SOL_SOCKET, unix.SO_TYPE) // is it a socket?
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

// inherited returns the sockets passed by systemd. One whose FileDescriptorName= ends
// in "tls" speaks TLS from the first octet.
func inherited() ([]listener, error) {
	if !Activated() {
		return nil, nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 1000 {
		return nil, errors.New("LISTEN_FDS is not a number up to 1000")
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
	// FileListener would take a connection too, on which Accept always fails.
	if !accepting(fd) {
		return listener{}, fmt.Errorf("descriptor %d is not a listening socket", fd)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return listener{}, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return listener{l, strings.HasSuffix(name, "tls")}, nil
}
