package smtpd

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"paperpath/internal/addr"
)

// chunked is in as BDAT chunks, cut after each of the lengths in turn.
func chunked(in []byte, lengths []byte) []byte {
	var out []byte
	for _, n := range lengths {
		k := min(int(n), len(in))
		out = append(fmt.Appendf(out, "BDAT %d\r\n", k), in[:k]...)
		in = in[k:]
	}
	return append(fmt.Appendf(out, "BDAT %d LAST\r\n", len(in)), in...)
}

// sound reports whether a message has no defect that BDAT would find.
func sound(in []byte) bool {
	rest := bytes.ReplaceAll(in, crlf, nil)
	return !bytes.ContainsAny(rest, "\r\n\x00")
}

// storedChunks is what becomes of a sound message.
func storedChunks(in []byte) string {
	s := strings.ReplaceAll(string(in), "\r\n", "\n")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}

// However a message is cut into chunks and packets, a sound one is stored as
// it is, any other one is refused, and the session is in step behind it.
func FuzzBDAT(f *testing.F) {
	f.Add([]byte("Subject: x\r\n\r\nhello\r\n"), []byte{4, 0, 7}, byte(1))
	f.Add([]byte(".\r\n.\r\nQUIT\r\n"), []byte{1, 1}, byte(0))
	f.Add([]byte("a\rb\nc\x00"), []byte{2}, byte(3))
	f.Add([]byte("a\r"), []byte{1}, byte(0))
	f.Add([]byte("RSET\r\nBDAT 3\r\n"), []byte{}, byte(5))
	f.Fuzz(func(t *testing.T, in, lengths []byte, n byte) {
		if len(lengths) > 20 {
			return
		}
		wire := "EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n" + string(chunked(in, lengths)) + "VRFY step\r\nQUIT\r\n"
		conn, sess := pieces(wire, int(n)), &fake{}
		if err := Serve(t.Context(), conn, Config{Hostname: "mx.test"}, func(c *Conn) Session { sess.conn = c; return sess }); err != nil {
			t.Fatalf("%v\n%s", err, conn.out.String())
		}
		out := conn.out.String()
		if strings.Count(out, "\r\n252 ") != 1 || !strings.HasSuffix(out, "\r\n221 2.0.0 goodbye\r\n") {
			t.Fatalf("out of step: %q", out)
		}
		want := []string{"a@x.test b@y.test | " + storedChunks(in)}
		if !sound(in) {
			want = nil
		}
		if !slices.Equal(sess.mail, want) {
			t.Errorf("stored %q, want %q", sess.mail, want)
		}
	})
}

// A chunk that is cut off is no message, wherever it is cut.
func TestChunkCutAnywhere(t *testing.T) {
	whole := chunked([]byte("Subject: x\r\n\r\nhello\r\n"), []byte{3, 9})
	for i := range whole {
		conn, sess := pieces("EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n"+string(whole[:i]), 0), &fake{}
		Serve(t.Context(), conn, Config{Hostname: "mx.test"}, func(c *Conn) Session { sess.conn = c; return sess })
		if len(sess.mail) != 0 || sess.open {
			t.Fatalf("cut at %d: %q", i, sess.mail)
		}
		for _, err := range sess.datas {
			if err == nil || err == io.EOF {
				t.Fatalf("cut at %d: the Session saw a whole message", i)
			}
		}
	}
}

// What the parser of MAIL and RCPT lets through can stand in an envelope.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"FROM:<a@x.test> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=q+2B7", "TO:<b@y.test> NOTIFY=NEVER ORCPT=rfc822;b+40y",
		"FROM:<\"a> SIZE=1 <x\"@d.test> SMTPUTF8", "FROM:<@h,@g:a@x.test>", "TO:<postmaster>", "FROM:<> RET=FULL", "TO: <\xc3\xa9@x>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		c := &Conn{cfg: Config{}.withDefaults(), esmtp: true, tx: &transaction{utf8: true}}
		for _, prefix := range []string{"FROM:", "TO:"} {
			a, words, err := parsePath(arg, prefix, "5.1.7")
			if err != nil {
				continue
			}
			if again, err := addr.Parse(a.String()); a.Domain != "" && (err != nil || again != a) {
				t.Errorf("%q is %+v, which is read back as %+v, %v", arg, a, again, err)
			}
			if p, err := c.mailParams(words); err == nil {
				harmlessWords(t, p.Words())
			}
			if p, err := c.rcptParams(words); err == nil {
				harmlessWords(t, p.Words(a))
			}
		}
	})
}

func harmlessWords(t *testing.T, words string) {
	t.Helper()
	if strings.ContainsFunc(words, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(words) > 2048 {
		t.Errorf("%q", words)
	}
	for _, word := range strings.Split(words, " ") {
		name, _, _ := strings.Cut(word, "=")
		if words != "" && !slices.Contains([]string{"RET", "ENVID", "NOTIFY", "ORCPT", "REQUIRETLS"}, name) {
			t.Errorf("a word %q in %q", word, words)
		}
	}
}
