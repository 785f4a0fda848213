package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The PROXY protocol (HAProxy's proxy-protocol.txt): a header in text
// (version 1) or in binary (version 2) before the first octet of the session.
const (
	proxyTime  = 10 * time.Second // for the header
	maxProxyV1 = 107              // octets of a whole header with its CRLF (2.1)
	maxProxyV2 = 16 + 4096        // of a whole header; its extensions (TLV) are few
	proxyV2    = "\r\n\r\n\x00\r\nQUIT\n"
)

var (
	errShort = errors.New("incomplete PROXY header")
	errProxy = errors.New("invalid PROXY header")
)

// proxyHeader holds what a header says.
type proxyHeader struct {
	client netip.AddrPort // invalid: the connection is the proxy's own, or the client is unknown
	secure bool           // the client speaks TLS with the proxy
}

// readProxy reads the header at the start of conn.
func readProxy(conn net.Conn, limit time.Duration) (net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, 256)
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, maxProxyV2), buf...)
		}
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		h, size, bad := parseProxy(buf)
		switch {
		case bad == nil:
			fwd := &forwarded{Conn: conn, client: conn.RemoteAddr(), secure: h.secure}
			if size < len(buf) {
				fwd.unread = bytes.Clone(buf[size:])
			}
			if h.client.IsValid() {
				fwd.client = net.TCPAddrFromAddrPort(h.client)
			}
			return fwd, conn.SetReadDeadline(time.Time{})
		case bad != errShort:
			return nil, bad
		case err != nil:
			return nil, fmt.Errorf("no PROXY header: %w", err)
		}
	}
}

// parseProxy parses a header at the start of b and returns its length, or errShort if
// it needs more octets: never with maxProxyV2 of them.
func parseProxy(b []byte) (h proxyHeader, size int, err error) {
	n := min(len(b), len(proxyV2))
	switch {
	case n == 0:
		return h, 0, errShort
	case string(b[:n]) == proxyV2[:n]:
		return parseProxyV2(b)
	}
	const start = "PROXY "
	if n = min(len(b), len(start)); string(b[:n]) != start[:n] {
		return h, 0, errProxy
	}
	end := bytes.Index(b[:min(len(b), maxProxyV1)], []byte("\r\n"))
	switch {
	case end >= 0:
		h, err = parseProxyV1(string(b[:end]))
		return h, end + 2, err
	case len(b) >= maxProxyV1:
		return h, 0, errProxy
	}
	return h, 0, errShort
}

// parseProxyV1 parses "PROXY TCP4 client server port port" (2.1).
func parseProxyV1(line string) (h proxyHeader, err error) {
	word := strings.Split(line, " ")
	if word[1] == "UNKNOWN" {
		return h, nil // the rest has no meaning
	}
	if len(word) != 6 || word[1] != "TCP4" && word[1] != "TCP6" {
		return h, errProxy
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		ip, err := netip.ParseAddr(word[2+i])
		port, bad := strconv.ParseUint(word[4+i], 10, 16)
		if err != nil || bad != nil || ip.Zone() != "" || ip.Is4() != (word[1] == "TCP4") ||
			strconv.FormatUint(port, 10) != word[4+i] {
			return h, errProxy
		}
		ends[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	h.client = ends[0]
	return h, nil
}

// Of the binary header (2.2).
const (
	cmdLocal, cmdProxy         = 0x20, 0x21 // with the version
	overTCP4, overTCP6         = 0x11, 0x21
	unspecified, overUnix      = 0x00, 0x31
	typeCRC32C, typeSSL        = 0x03, 0x20
	clientSSL             byte = 0x01
)

func parseProxyV2(b []byte) (h proxyHeader, size int, err error) {
	if len(b) < 16 {
		return h, 0, errShort
	}
	command, family := b[12], b[13]
	size = 16 + int(binary.BigEndian.Uint16(b[14:]))
	addresses := map[byte]int{unspecified: 0, overTCP4: 12, overTCP6: 36, overUnix: 216}
	length, known := addresses[family]
	switch {
	case size > maxProxyV2, command != cmdLocal && command != cmdProxy:
		return h, 0, errProxy
	case len(b) < size:
		return h, 0, errShort
	case command == cmdLocal:
		return h, size, nil // the proxy's own connection: the rest is skipped
	case !known, size < 16+length:
		return h, 0, errProxy
	}
	body := b[16:size]
	switch family {
	case unspecified:
		return h, size, nil
	case overTCP4:
		h.client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
	case overTCP6:
		h.client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)).Unmap(), binary.BigEndian.Uint16(body[32:]))
	}
	h.secure, err = extensions(b[:size], 16+length)
	return h, size, err
}

// extensions goes through the type-length-values after the addresses, verifies a
// checksum among them, and reports whether the client speaks TLS.
func extensions(header []byte, at int) (secure bool, err error) {
	for at < len(header) {
		if len(header) < at+3 {
			return false, errProxy
		}
		kind, value := header[at], at+3
		next := value + int(binary.BigEndian.Uint16(header[at+1:]))
		switch {
		case next > len(header):
			return false, errProxy
		case kind == typeCRC32C && (next != value+4 || !intact(header, value)):
			return false, errors.New("the PROXY header does not match its checksum")
		case kind == typeSSL && next > value:
			secure = header[value]&clientSSL != 0
		}
		at = next
	}
	return secure, nil
}

// intact reports whether the CRC32c at that offset is that of the header with zeroes
// in its place.
func intact(header []byte, at int) bool {
	zeroed := bytes.Clone(header)
	copy(zeroed[at:], make([]byte, 4))
	return crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(header[at:])
}
