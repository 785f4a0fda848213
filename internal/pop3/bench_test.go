package pop3

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/maildir"
)

// benchMaildir makes a Maildir of n messages as maildeliver stores them.
func benchMaildir(b *testing.B, n int) Account {
	b.Helper()
	path := filepath.Join(b.TempDir(), "Maildir")
	if err := maildir.Create(path); err != nil {
		b.Fatal(err)
	}
	body := "Subject: hello\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 50)
	wire := len(body) + strings.Count(body, "\n")
	for i := range n {
		name := fmt.Sprintf("1700000000.M%06dR0123456789abcdef.mx,S=%d,W=%d", i, len(body), wire)
		if err := os.WriteFile(filepath.Join(path, "new", name), []byte(body), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return Account{Login: "alice@example.net", Maildir: path}
}

func benchSession(b *testing.B, account Account, commands string) {
	cfg := Config{ClearText: true, Users: &logins{check: func(context.Context, string, string) (Account, error) { return account, nil }}}
	b.ReportAllocs()
	for b.Loop() {
		octets := 0
		conn := &badConn{commands: strings.NewReader("USER a\r\nPASS b\r\n" + commands), write: func(p []byte) (int, error) {
			octets += len(p)
			return io.Discard.Write(p)
		}}
		if err := Serve(context.Background(), conn, cfg); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(octets))
	}
}

// BenchmarkScan is login, STAT, UIDL and LIST of 10,000 messages.
func BenchmarkScan(b *testing.B) {
	benchSession(b, benchMaildir(b, 10_000), "STAT\r\nUIDL\r\nLIST\r\n")
}

// BenchmarkRetr fetches 1,000 messages of 3.6 kB in one flight.
func BenchmarkRetr(b *testing.B) {
	var commands strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&commands, "RETR %d\r\n", i+1)
	}
	benchSession(b, benchMaildir(b, 1000), commands.String())
}
