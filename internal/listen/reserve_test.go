package listen

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A tenth of the connections is kept for addresses that have none, also if the others
// are exempt from the limit of one address.
func TestReserve(t *testing.T) {
	for name, exempt := range map[string]bool{"counted": false, "exempt": true} {
		t.Run(name, func(t *testing.T) {
			limits := Limits{Max: 20, MaxPerAddr: 50}
			if exempt {
				limits.Exempt = netip.Addr.IsLoopback
			}
			s := &Server{Addrs: []string{"127.0.0.1:0"}, Limits: fixed(limits), Drain: time.Millisecond,
				Handle: func(_ context.Context, c net.Conn, _ bool) { fmt.Fprintln(c, "in"); io.Copy(io.Discard, c) },
				Refuse: refuse}
			addrs, log, stop := run(t, s)
			for _, step := range []struct {
				from     string
				tries    int
				want     string
				nowHaste time.Duration
			}{
				{"127.0.0.1", 16, "in", 0},
				{"127.0.0.1", 2, "in", 20 * time.Second},
				{"127.0.0.1", 1, "full", 20 * time.Second},
				{"127.0.0.2", 1, "in", 15 * time.Second},
				{"127.0.0.2", 1, "full", 15 * time.Second},
				{"127.0.0.3", 1, "in", 10 * time.Second},
			} {
				for range step.tries {
					wantLine(t, dialFrom(t, step.from, addrs[0]), step.want)
				}
				waitFor(t, func() bool { return s.Haste() == step.nowHaste }) // a refused one may not have left yet
			}
			if want := "event=limited key=- limit=connections client=127.0.0.2"; !strings.Contains(log.String(), want) {
				t.Errorf("no %s in\n%s", want, log)
			}
			stop()
		})
	}
}

// dialFrom connects from an address of this machine.
func dialFrom(t *testing.T, from, to string) *bufio.Reader {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return bufio.NewReader(conn)
}

// Between four fifths and all of the connections the time falls from 30 to 10 seconds.
func TestHaste(t *testing.T) {
	for _, c := range []struct {
		used, most int
		want       time.Duration
	}{
		{0, 0, 0}, {200, 0, 0}, {160, 200, 0}, {161, 200, 29500 * time.Millisecond}, {180, 200, 20 * time.Second},
		{200, 200, 10 * time.Second}, {300, 200, 10 * time.Second}, {9, 9, 0}, {10, 10, 10 * time.Second},
	} {
		if got := haste(c.used, c.most); got != c.want {
			t.Errorf("%d of %d: %v, want %v", c.used, c.most, got, c.want)
		}
	}
}

// On a Unix socket a user has an eighth, at least 4, and nothing of what is kept for
// users who have none, and for root and the owner.
func TestClaimOfAUser(t *testing.T) {
	const owner, other = 1000, 54321
	for _, c := range []struct {
		uid, max         int
		most, room, more int
	}{
		{other, 200, 25, 180, 160}, {other, 32, 4, 29, 26}, {other, 10, 4, 9, 8}, {other, 5, 4, 4, 4}, {other, 0, 0, 0, 0},
		{0, 200, 0, 0, 0}, {owner, 200, 0, 0, 0},
	} {
		got := Limits{Max: c.max, Owner: owner}.ofUser(c.uid)
		if want := (claim{Origin(fmt.Sprintf("uid %d", c.uid)), c.most, c.room, c.more}); got != want {
			t.Errorf("%d of %d: %+v, want %+v", c.uid, c.max, got, want)
		}
	}
}
