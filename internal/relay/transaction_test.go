package relay

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"paperpath/internal/smtpc"
	"paperpath/internal/spool"
)

// offering is a session with a host that offers extensions.
func offering(t testing.TB, extensions ...string) *session {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		buf := make([]byte, 1000)
		theirs.Write([]byte("220 a\r\n"))
		theirs.Read(buf)
		theirs.Write([]byte("250-a\r\n250-" + strings.Join(extensions, "\r\n250-") + "\r\n250 HELP\r\n"))
	}()
	c, err := smtpc.Open(context.Background(), ours, "me.example", smtpc.DefaultTimes(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); theirs.Close() })
	return &session{smtp: c}
}

// TestTooMany: the replies that make a recipient wait for the next transaction.
func TestTooMany(t *testing.T) {
	for text, want := range map[string]bool{
		"452 too many recipients": true, "452 4.5.3 x": true, "552 5.5.3 x": true, "552 x": true,
		"451 4.5.3 Too many recipients: Too many recipients": true,
		"452 4.2.2 full": false, "552 5.2.2 full": false, "451 4.7.1 later": false, "451 x": false, "550 5.5.3 x": false,
	} {
		code, _ := strconv.Atoi(text[:3])
		if got := tooMany(smtpc.Reply{Code: code, Text: text}); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// FuzzParameters: whatever an entry contains, a command is one line of printable ASCII.
func FuzzParameters(f *testing.F) {
	s := offering(f, "DSN", "SIZE", "8BITMIME", "REQUIRETLS")
	for _, p := range []string{"NOTIFY=NEVER", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=NEVER,DELAY", "ORCPT=rfc822;a+2Bb", "ORCPT=utf-8;x",
		"ORCPT=rfc822;+0D+0A", "x", "RET=HDRS ENVID=a+2B", "ENVID=\x00", "ENVID=ä", "REQUIRETLS"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, params string) {
		m := &Message{From: spool.Path{Addr: "a@b.example", Params: params}, To: []spool.Recipient{{Addr: "b@c.example", Params: params}}}
		tx := &transaction{session: s, m: m, text: &rendering{}}
		for _, command := range []string{tx.mail([]int{0}), tx.rcpt(m.To[0])} {
			for _, b := range []byte(command) {
				if b < ' ' || b >= 0x7f {
					t.Fatalf("octet %#x in %q", b, command)
				}
			}
		}
	})
}
