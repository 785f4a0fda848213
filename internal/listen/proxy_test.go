package listen

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// binaryHeader is a header of version 2.
func binaryHeader(command, family byte, body ...byte) string {
	b := append([]byte(proxyV2), command, family, byte(len(body)>>8), byte(len(body)))
	return string(append(b, body...))
}

// tcp4 is from 192.0.2.7:4711 to 198.51.100.1:25.
func tcp4(more ...byte) []byte {
	return append([]byte{192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 25}, more...)
}

func tcp6() []byte {
	from, to := netip.MustParseAddr("2001:db8::7").As16(), netip.MustParseAddr("2001:db8::1").As16()
	return append(append(from[:], to[:]...), 0x12, 0x67, 0, 25)
}

// checked is a header with a CRC32c, right or not.
func checked(flip byte) string {
	h := []byte(binaryHeader(cmdProxy, overTCP4, tcp4(typeCRC32C, 0, 4, 0, 0, 0, 0)...))
	binary.BigEndian.PutUint32(h[len(h)-4:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli)))
	h[len(h)-1] ^= flip
	return string(h)
}

type proxyCase struct {
	name, header string
	client       string // "invalid AddrPort" if the proxy names none, "" if it is refused
}

func proxyCases() []proxyCase {
	const none, v4, v6 = "invalid AddrPort", "192.0.2.7:4711", "[2001:db8::7]:4711"
	return []proxyCase{
		{"v1 TCP4", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", v4},
		{"v1 TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n", v6},
		{"v1 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", none},
		{"v1 UNKNOWN with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", none},
		{"v1 UNKNOWN, longest", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", none},
		{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", ""},
		{"v1 bare LF", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n" + strings.Repeat(" ", 107), ""},
		{"v1 two blanks", "PROXY TCP4  192.0.2.7 198.51.100.1 4711 25\r\n", ""},
		{"v1 blank at the end", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 \r\n", ""},
		{"v1 no ports", "PROXY TCP4 192.0.2.7 198.51.100.1\r\n", ""},
		{"v1 port too large", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n", ""},
		{"v1 port with a sign", "PROXY TCP4 192.0.2.7 198.51.100.1 +25 25\r\n", ""},
		{"v1 port with a zero", "PROXY TCP4 192.0.2.7 198.51.100.1 025 25\r\n", ""},
		{"v1 address with a zero", "PROXY TCP4 192.0.2.07 198.51.100.1 25 25\r\n", ""},
		{"v1 TCP4 with IPv6", "PROXY TCP4 2001:db8::7 198.51.100.1 25 25\r\n", ""},
		{"v1 TCP6 with IPv4", "PROXY TCP6 192.0.2.7 2001:db8::1 25 25\r\n", ""},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 25 25\r\n", ""},
		{"v1 UDP4", "PROXY UDP4 192.0.2.7 198.51.100.1 25 25\r\n", ""},
		{"v1 lower case", "proxy TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", ""},
		{"v1 nothing", "PROXY \r\n", ""},
		{"SMTP", "EHLO client.example\r\n", ""},
		{"v2 TCP4", binaryHeader(cmdProxy, overTCP4, tcp4()...), v4},
		{"v2 TCP6", binaryHeader(cmdProxy, overTCP6, tcp6()...), v6},
		{"v2 LOCAL", binaryHeader(cmdLocal, unspecified), none},
		{"v2 LOCAL with addresses", binaryHeader(cmdLocal, overTCP4, tcp4()...), none},
		{"v2 unspecified", binaryHeader(cmdProxy, unspecified, 1, 2, 3), none},
		{"v2 Unix", binaryHeader(cmdProxy, overUnix, make([]byte, 216)...), none},
		{"v2 extension", binaryHeader(cmdProxy, overTCP4, tcp4(0x04, 0, 2, 'x', 'y')...), v4},
		{"v2 large extension", binaryHeader(cmdProxy, overTCP4, tcp4(append([]byte{0x04, 0x0f, 0x00}, make([]byte, 0x0f00)...)...)...), v4},
		{"v2 checksum", checked(0), v4},
		{"v2 wrong checksum", checked(1), ""},
		{"v2 short checksum", binaryHeader(cmdProxy, overTCP4, tcp4(typeCRC32C, 0, 2, 0, 0)...), ""},
		{"v2 cut extension", binaryHeader(cmdProxy, overTCP4, tcp4(0x04, 0, 9, 'x')...), ""},
		{"v2 half an extension", binaryHeader(cmdProxy, overTCP4, tcp4(0x04, 0)...), ""},
		{"v2 short addresses", binaryHeader(cmdProxy, overTCP6, tcp4()...), ""},
		{"v2 UDP", binaryHeader(cmdProxy, 0x12, tcp4()...), ""},
		{"v2 command", binaryHeader(0x22, overTCP4, tcp4()...), ""},
		{"v2 version", binaryHeader(0x11, overTCP4, tcp4()...), ""},
		{"v2 too long", proxyV2 + "\x21\x11\x10\x01", ""},
	}
}

func TestParseProxy(t *testing.T) {
	for _, tt := range proxyCases() {
		t.Run(tt.name, func(t *testing.T) {
			h, size, err := parseProxy([]byte(tt.header + "EHLO x\r\n"))
			if tt.client == "" {
				if err == nil || err == errShort {
					t.Errorf("%+v, %v", h, err)
				}
				return
			}
			if err != nil || size != len(tt.header) || h.client.String() != tt.client {
				t.Errorf("%v, %d octets, %v", h.client, size, err)
			}
			for n := range len(tt.header) { // cut anywhere it is not complete
				if _, _, err := parseProxy([]byte(tt.header[:n])); err != errShort {
					t.Errorf("%d octets: %v", n, err)
				}
			}
		})
	}
}

func TestProxySSL(t *testing.T) {
	for flags, want := range map[byte]bool{0: false, clientSSL: true, 0xfe: false} {
		h, _, err := parseProxy([]byte(binaryHeader(cmdProxy, overTCP4, tcp4(typeSSL, 0, 5, flags, 0, 0, 0, 0)...)))
		if err != nil || h.secure != want {
			t.Errorf("%x: %v, %v", flags, h.secure, err)
		}
	}
}

// A header in single octets, what follows it, and who the client is then.
func TestReadProxy(t *testing.T) {
	for _, tt := range proxyCases() {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			go func() {
				for i := range len(tt.header) {
					far.Write([]byte(tt.header[i : i+1]))
				}
				io.WriteString(far, "rest\n")
				far.Close()
			}()
			conn, err := readProxy(near, time.Minute)
			if tt.client == "" {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if rest, _ := io.ReadAll(conn); string(rest) != "rest\n" {
				t.Errorf("%q", rest)
			}
			want := tt.client
			if strings.HasPrefix(want, "invalid") {
				want = "pipe" // as without a header
			}
			if got := conn.RemoteAddr().String(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// Header and first command in one segment.
func TestReadProxyGlued(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go io.WriteString(far, proxyCases()[0].header+"rest\n")
	conn, err := readProxy(near, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 2)
	if n, err := conn.Read(one); string(one[:n]) != "re" {
		t.Errorf("%q, %v", one[:n], err)
	}
	far.Close()
	if rest, err := io.ReadAll(conn); string(rest) != "st\n" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestReadProxyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		go func() {
			for _, err := far.Write([]byte("P")); err == nil; _, err = far.Write([]byte(" ")) {
				time.Sleep(time.Second)
				return
			}
		}()
		begin := time.Now()
		if _, err := readProxy(near, proxyTime); err == nil {
			t.Error("no error")
		}
		if d := time.Since(begin); d != proxyTime {
			t.Errorf("after %v", d)
		}
	})
}

// A server believes a listed peer and no other, and that peer has to send a header.
func TestServerProxy(t *testing.T) {
	who := func(_ context.Context, conn net.Conn, _ bool) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		fmt.Fprintf(conn, "%s %s\n", ClientName(conn), strings.TrimSpace(line))
	}
	listed := func(ip netip.Addr) (bool, error) { return ip.IsLoopback(), nil }
	other := func(netip.Addr) (bool, error) { return false, nil }
	unknown := func(netip.Addr) (bool, error) { return false, errors.New("control/proxyfrom:1: no address") }
	for _, tt := range []struct {
		name, send, want string
		proxy            func(netip.Addr) (bool, error)
	}{
		{"listed", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nhi\n", "192.0.2.7 hi", listed},
		{"binary", binaryHeader(cmdProxy, overTCP6, tcp6()...) + "hi\n", "2001:db8::7 hi", listed},
		{"the proxy itself", binaryHeader(cmdLocal, unspecified) + "hi\n", "127.0.0.1 hi", listed},
		{"not listed", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", "127.0.0.1 PROXY TCP4 192.0.2.7 198.51.100.1 4711 25", other},
		{"not known", "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", "broken", unknown},
		{"listed without a header", "hi\n", "", listed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{Addrs: []string{"127.0.0.1:0"}, Handle: who, Limits: fixed(Limits{Proxy: tt.proxy}),
				Refuse: refuse}
			addrs, log, stop := run(t, s)
			conn, _ := dial(t, addrs[0])
			io.WriteString(conn, tt.send)
			got, _ := io.ReadAll(conn)
			if strings.TrimSpace(string(got)) != tt.want {
				t.Errorf("%q", got)
			}
			stop()
			if tt.want == "" && !strings.Contains(log.String(), `event=disconnected key=- why="invalid PROXY header" messages=0 client=127.0.0.1`) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// The limit by address counts the client that the header names.
func TestServerProxyLimit(t *testing.T) {
	s := &Server{Addrs: []string{"127.0.0.1:0"}, Handle: echo, Refuse: refuse,
		Limits: fixed(Limits{MaxPerAddr: 1, Proxy: func(netip.Addr) (bool, error) { return true, nil }, Exempt: netip.Addr.IsLoopback})}
	addrs, log, stop := run(t, s)
	for _, tt := range []struct{ client, want string }{
		{"192.0.2.7", "hello false"}, {"192.0.2.8", "hello false"}, {"192.0.2.7", "full"}, {"127.0.0.1", "hello false"}, {"127.0.0.1", "hello false"},
	} {
		conn, r := dial(t, addrs[0])
		fmt.Fprintf(conn, "PROXY TCP4 %s 198.51.100.1 4711 25\r\n", tt.client)
		wantLine(t, r, tt.want)
	}
	stop()
	if !strings.Contains(log.String(), "event=limited key=- limit=client client=192.0.2.7\n") {
		t.Errorf("log: %s", log)
	}
	if len(s.of) != 0 || len(s.conns) != 0 {
		t.Errorf("left over: %v %v", s.of, s.conns)
	}
}

// FuzzProxy: what the parser accepts is bounded, is the same however it comes in, and
// yields an address that a strict reader finds there too.
func FuzzProxy(f *testing.F) {
	for _, tt := range proxyCases() {
		f.Add([]byte(tt.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, size, err := parseProxy(b)
		if err == errShort && len(b) >= maxProxyV2 {
			t.Fatalf("still short with %d octets", len(b))
		}
		if err != nil {
			return
		}
		if size < 8 || size > len(b) || size > maxProxyV2 {
			t.Fatalf("size %d of %d", size, len(b))
		}
		again, n, err := parseProxy(append(bytes.Clone(b[:size]), "EHLO x\r\n"...))
		if again != h || n != size || err != nil {
			t.Fatalf("%+v %d, then %+v %d %v", h, size, again, n, err)
		}
		for i := range size {
			if _, _, err := parseProxy(b[:i]); err != errShort {
				t.Fatalf("%d of %d octets: %v", i, size, err)
			}
		}
		if b[0] == 'P' {
			line := string(b[:size])
			if size > maxProxyV1 || strings.Index(line, "\r\n") != size-2 {
				t.Fatalf("%q", line)
			}
			if h.client.IsValid() && !strings.Contains(line, fmt.Sprintf(" %d ", h.client.Port())) {
				t.Fatalf("%v from %q", h.client, line)
			}
		}
	})
}
