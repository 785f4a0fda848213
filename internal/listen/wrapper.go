package listen

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"paperpath/internal/status"
)

// Wrappers returns the names of the programs that pass the client in the environment.
func Wrappers() []string { return []string{"tcpserver", "s6", "xinetd", "systemd"} }

// Wrapped returns conn with the client that the environment names, in the variables of
// the wrapper:
//
//	tcpserver, s6   PROTO (TCP without it), ${PROTO}REMOTEIP, ${PROTO}REMOTEPORT, ${PROTO}REMOTEHOST
//	xinetd          REMOTE_HOST
//	systemd         REMOTE_ADDR, REMOTE_PORT
//
// RELAYCLIENT, whatever its value, allows the client to relay; SSL_PROTOCOL says that it
// speaks TLS with the wrapper. An environment without the client's address is an error:
// the client would pass for one on this machine.
func Wrapped(conn net.Conn, wrapper string) (net.Conn, error) {
	var ip, port, host string
	switch wrapper {
	case "tcpserver", "s6":
		proto, err := protocol()
		if err != nil {
			return nil, err
		}
		ip, port, host = os.Getenv(proto+"REMOTEIP"), os.Getenv(proto+"REMOTEPORT"), os.Getenv(proto+"REMOTEHOST")
	case "xinetd":
		ip = os.Getenv("REMOTE_HOST")
	case "systemd":
		ip, port = os.Getenv("REMOTE_ADDR"), os.Getenv("REMOTE_PORT")
	default:
		return nil, status.UsageError("unknown wrapper %q (%s)", wrapper, strings.Join(Wrappers(), ", "))
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return nil, status.Temp("4.3.5", fmt.Sprintf("the environment of %s names no client (%q)", wrapper, ip), nil)
	}
	n, _ := strconv.ParseUint(port, 10, 16) // only for the log
	_, relay := os.LookupEnv("RELAYCLIENT")
	return &forwarded{Conn: conn, client: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr.Unmap(), uint16(n))),
		host: host, relay: relay, secure: os.Getenv("SSL_PROTOCOL") != ""}, nil
}

// protocol returns the prefix of the names of the variables.
func protocol() (string, error) {
	switch p := os.Getenv("PROTO"); p {
	case "":
		return "TCP", nil
	case "TCP", "TCP6", "SSL", "SSL6":
		return p, nil
	default:
		return "", status.Temp("4.3.5", fmt.Sprintf("PROTO is %q, not TCP, TCP6 or SSL", p), nil)
	}
}
