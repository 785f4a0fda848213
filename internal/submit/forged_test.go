package submit

import (
	"bytes"
	"context"
	"io"
	"math/rand"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
)

// hostileLines are lines that parsers of headers have been seen to read in different
// ways, among them results that claim to be ours.
func hostileLines() []string {
	lines := []string{"From: alice@example.net", "To: bob@example.net", " fold", "\tfold", " ", "no colon here", ": no name", "X :y", "X\t: y",
		"\x80\xff: y", "a b: y", "From x@y Mon Nov 23 12:00:00 2026", ">From y Tue", ">From: z", "From : q@r", "Received: by x",
		"Authentication-Results: mx.example.net; spf=pass", "AUTHENTICATION-RESULTS : (c) \"mx.example.net\" 1; spf=pass",
		"authentication-results:", " mx.example.net; spf=pass", "Authentication-Results: mx.", "Authentication-Results:MX.Example.NET. (x)",
		"Authentication-Results: other.example; spf=pass", "Authentication-Results: (", "Authentication-Results: =?utf-8?q?mx.example.net?=;"}
	for _, n := range []int{900, 997, 998, 999, 1000, 1025, 4095, 4096, 4097, 5000, 1 << 16} {
		lines = append(lines, strings.Repeat("N", n)+": y", strings.Repeat("n", n-2)+"  : y", "Y"+strings.Repeat(" ", n)+": y", strings.Repeat("t", n),
			"Z: "+strings.Repeat("v", n), " "+strings.Repeat("f", n))
	}
	return lines
}

// hostile returns a message with a header of such lines. One From field is valid, so
// that the message is not refused for another reason.
func hostile(r *rand.Rand, lines []string) string {
	var b strings.Builder
	n := 1 + r.Intn(8)
	good := r.Intn(n + 1)
	for i := range n + 1 {
		if i == good {
			b.WriteString("From: alice@example.net\n")
			continue
		}
		b.WriteString(lines[r.Intn(len(lines))] + "\n")
	}
	return b.String() + "\nAuthentication-Results: mx.example.net; in the body\n"
}

var ours = regexp.MustCompile(`(?i)^[ \t\v\f]*(\([^)]*\)[ \t]*)*"?mx\.[ \t]*example\.net`)

// forgedIn parses a header without our code, line by line and with net/mail, and
// returns the results in it that name us.
func forgedIn(stored []byte) []string {
	var found []string
	claim := func(reader, value string) {
		if ours.MatchString(value) {
			found = append(found, reader+": "+value)
		}
	}
	const field = "authentication-results"
	for _, line := range unfolded(stored) {
		if len(line) < len(field) || !strings.EqualFold(line[:len(field)], field) {
			continue
		}
		if value, ok := strings.CutPrefix(strings.TrimLeft(line[len(field):], " \t"), ":"); ok {
			claim("lines", value)
		}
	}
	if m, err := mail.ReadMessage(bytes.NewReader(stored)); err == nil {
		for _, v := range m.Header["Authentication-Results"] {
			claim("net/mail", v)
		}
	}
	return found
}

// unfolded returns the unfolded lines of a header.
func unfolded(stored []byte) (lines []string) {
	head, _, _ := bytes.Cut(stored, []byte("\n\n"))
	for line := range strings.SplitSeq(string(head), "\n") {
		if rest := strings.TrimLeft(line, " \t"); rest != line && len(lines) > 0 {
			lines[len(lines)-1] += " " + rest
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// taken returns the text of every entry in an inbox, and removes them.
func taken(t *testing.T, home string, in spool.Inbox) (texts [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(home, "spool", string(in), "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

// Whatever is in the header of a message of a stranger or of a user, no parser finds
// results in the entry that claim to be ours.
func TestNoForgedResultsInTheSpool(t *testing.T) {
	h, _ := newHome(t)
	if err := os.WriteFile(filepath.Join(h.Dir, "control/limits"), []byte("errors: 100000\njunk: 100000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := hostileLines()
	offer := offering(t, h)
	stored := 0
	for seed := range int64(400) {
		text := hostile(rand.New(rand.NewSource(seed)), lines)
		offer(text)
		h.Stdin = stdinOf(t, text)
		if err := Message(t.Context(), h, sendmail.Options{Recipients: []string{"bob"}}); err != nil && !strings.Contains(err.Error(), "header") {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, in := range []spool.Inbox{spool.InboxRoute, spool.InboxCheck} {
			for _, entry := range taken(t, h.Dir, in) {
				stored++
				if found := forgedIn(entry); found != nil {
					t.Errorf("seed %d, %s: %q\nfrom %.2000q\nbecame %.3000q", seed, in, found, text, entry)
				}
				if !bytes.Contains(entry, []byte("in the body\n")) {
					t.Errorf("seed %d, %s: the body is gone", seed, in)
				}
			}
		}
	}
	if stored < 500 {
		t.Errorf("only %d of 800 messages were taken", stored)
	}
}

// stdinOf is a standard input that contains text.
func stdinOf(t *testing.T, text string) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	in := os.NewFile(uintptr(fd), "stdin")
	t.Cleanup(func() { in.Close() })
	if _, err := in.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return in
}

// offering opens a session of the role mx and returns a function that sends a message
// in it, which may be accepted or refused.
func offering(t *testing.T, h *home.Home) func(text string) {
	t.Helper()
	s, err := newServer(h, MX)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			err = s.serve(context.Background(), &home.Client{Conn: conn})
			conn.Close()
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		ln.Close()
		if err := <-done; err != nil {
			t.Errorf("session: %v", err)
		}
	})
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	r := &replies{conn}
	r.next(t)
	say := func(line string) string {
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			t.Fatal(err)
		}
		return r.next(t)
	}
	say("EHLO peer.example")
	return func(text string) {
		for _, cmd := range []string{"MAIL FROM:<x@far.example>", "RCPT TO:<bob@example.net>", "DATA"} {
			if got := say(cmd); got[0] != '2' && got[0] != '3' {
				t.Fatalf("%s was answered %s", cmd, got)
			}
		}
		if got := say(strings.ReplaceAll(text, "\n", "\r\n") + "."); got[0] != '2' && got[0] != '5' {
			t.Fatalf("%.100q was answered %s", text, got)
		}
	}
}
