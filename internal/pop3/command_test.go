package pop3

import (
	"context"
	"errors"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// discardDeadlines is a connection that ignores deadlines.
type discardDeadlines struct{ net.Conn }

func (discardDeadlines) SetReadDeadline(time.Time) error  { return nil }
func (discardDeadlines) SetWriteDeadline(time.Time) error { return nil }

func TestParseNumber(t *testing.T) {
	for _, row := range []struct {
		arg  string
		n    int
		rest string
		err  error
	}{
		{"1", 1, "", nil}, {"0", 0, "", nil}, {"007", 7, "", nil}, {"1 2", 1, "2", nil}, {"1  x ", 1, "x ", nil},
		{"9223372036854775807", math.MaxInt, "", nil}, {"9223372036854775808", math.MaxInt, "", nil},
		{strings.Repeat("9", 400), math.MaxInt, "", nil},
		{"", 0, "", errNotNumber}, {" 1", 0, "", errNotNumber}, {"-1", 0, "", errNotNumber}, {"+1", 0, "", errNotNumber},
		{"1.0", 0, "", errNotNumber}, {"0x1", 0, "", errNotNumber}, {"1a", 0, "", errNotNumber}, {"1\t2", 0, "", errNotNumber},
		{"١", 0, "", errNotNumber}, {"1,2", 0, "", errNotNumber},
	} {
		n, rest, err := parseNumber(row.arg)
		if n != row.n || rest != row.rest || err != row.err {
			t.Errorf("parseNumber(%.30q) = %d, %q, %v; want %d, %q, %v", row.arg, n, rest, err, row.n, row.rest, row.err)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"1", "1 2", "", "-1", "18446744073709551616", "1 ", "00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		n, rest, err := parseNumber(arg)
		digits, tail, _ := strings.Cut(arg, " ")
		want, bad := strconv.ParseUint(digits, 10, 63)
		if errors.Is(bad, strconv.ErrRange) && err == nil && n == math.MaxInt {
			return
		}
		if (err != nil) != (bad != nil) || err == nil && (n != int(want) || rest != strings.TrimLeft(tail, " ")) {
			t.Errorf("parseNumber(%q) = %d, %q, %v", arg, n, rest, err)
		}
	})
}

func TestUID(t *testing.T) {
	long := strings.Repeat("k", 70)
	for key, same := range map[string]bool{"1.M2R3.mx": true, "!~": true, long: true, long + "k": false, "a b": false,
		"": false, "a\x7fb": false, "ä": false, "a\tb": false, "\xff": false} {
		id := uid(key)
		if (id == key) != same {
			t.Errorf("uid(%q) = %q", key, id)
		}
		if len(id) < 1 || len(id) > maxUID || !fit(id) {
			t.Errorf("uid(%q) = %q is no unique id", key, id)
		}
	}
	if uid("a b") == uid("a c") {
		t.Error("two keys, one id")
	}
}

// Whatever the client sends, every reply line outside of messages is printable and
// short (RFC 1939 3, RFC 2449 4), and the session ends.
func FuzzSession(f *testing.F) {
	for _, s := range []string{"USER alice\r\nPASS secret\r\nLIST\r\nUIDL\r\nTOP 1 0\r\nRETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n",
		"CAPA\r\nAUTH\r\nAUTH PLAIN\r\n*\r\nAUTH LOGIN\r\nYQ==\r\n\r\nSTLS\r\n", "\x00\r\n\xff\n\r\r\n", "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nQUIT",
		"QUIT \r\n", "USER \x1b[2J\r\nPASS a\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, input string) {
		h := newHost(t, []string{`mail new/1.a,S=11,W=14 A: 1\n\n.b\nc\n`, `mail cur/2.a:2,S x`})
		c, done := h.start(context.Background())
		c.Write([]byte(input))
		c.Close()
		for _, line := range c.rest() {
			if len(line) > 510 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				if !strings.HasPrefix(line, "\x16\x03") && !strings.HasPrefix(line, "\x15\x03") { // a TLS alert
					t.Errorf("reply line %.80q", line)
				}
			}
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if !strings.Contains(strings.ToUpper(input), "QUIT") && len(h.names()) != 2 {
			t.Errorf("mailbox holds %q", h.names())
		}
	})
}
