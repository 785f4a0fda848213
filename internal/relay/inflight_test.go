package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestInflight: a route that says so gets whole transactions, and no other host does.
func TestInflight(t *testing.T) {
	for _, row := range []string{"", " inflight=3"} {
		var mu sync.Mutex
		early, waiting := 0, 0
		l := newLab(t)
		address := chunkHost(t, func(command string, buffered bool) {
			mu.Lock()
			defer mu.Unlock()
			if strings.HasPrefix(command, "BDAT") {
				waiting++
				if buffered {
					early++
				}
			}
		})
		l.set("routes", "elsewhere.example: "+address+row)
		l.set("concurrency", "destination: 1")
		for _, err := range l.together(30) {
			if err != nil {
				t.Error(err)
			}
		}
		mu.Lock()
		if waiting != 30 || (early > 0) != (row != "") {
			t.Errorf("%q: %d texts, %d of them with more behind", row, waiting, early)
		}
		mu.Unlock()
	}
}

// chunkHost is a host that takes chunks. see hears each command, and whether anything
// that is no RSET or MAIL is behind its text already: then the text is not the last of
// the flight.
func chunkHost(t *testing.T, see func(command string, buffered bool)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go chunkSession(c, see)
		}
	}()
	return ln.Addr().String()
}

func chunkSession(c net.Conn, see func(string, bool)) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	fmt.Fprint(c, "220 peer.example\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command := strings.TrimSpace(line)
		reply := "250 ok\r\n"
		if strings.HasPrefix(command, "EHLO") {
			reply = "250-peer.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
		}
		behind := false
		if n := 0; strings.HasPrefix(command, "BDAT") {
			fmt.Sscanf(command, "BDAT %d", &n)
			io.CopyN(io.Discard, r, int64(n))
			time.Sleep(2 * time.Millisecond) // what is behind it may arrive
			if r.Buffered() == 0 {
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				r.Peek(1)
				c.SetReadDeadline(time.Time{})
			}
			text, _ := r.Peek(r.Buffered())
			behind = strings.Contains(string(text), "BDAT")
		}
		see(command, behind)
		if _, err := io.WriteString(c, reply); err != nil {
			return
		}
	}
}
