package dkim

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dkim"
	"paperpath/test/harness"
)

// TestForwarded: what an alias or a user's own rule sends on to another host keeps the signatures
// of its sender, and has a reverse path of ours.
func TestForwarded(t *testing.T) {
	s := newSite(t)
	r := s.receiver(t)
	for name, row := range map[string]string{"domains": "forwarder.example", "users": "bob@forwarder.example:",
		"aliases": "fw@forwarder.example: by-alias@far.example", "routes": ".: " + s.sink.Addr} {
		if err := r.Set(name, row); err != nil {
			t.Fatal(err)
		}
		if err := r.Still(name); err != nil {
			t.Fatal(err)
		}
	}
	bob := filepath.Join(r.Dir, "mail/forwarder.example/bob")
	if err := os.MkdirAll(bob, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bob, ".forward"), []byte("by-rule@far.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for name, text := range messages() {
		cmd := exec.Command(programs.Path("mailsubmit"), "smtp", "--env", "tcpserver")
		cmd.Env = append(programs.Env(r.Dir), "TCPREMOTEIP=192.0.2.9")
		cmd.Stdin = strings.NewReader("EHLO mx.sender.example\r\nMAIL FROM:<alice@" + harness.Domain + ">\r\nRCPT TO:<fw@forwarder.example>\r\n" +
			"RCPT TO:<bob@forwarder.example>\r\nDATA\r\n" + strings.ReplaceAll(s.send(text), "\r\n.", "\r\n..") + ".\r\nQUIT\r\n")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("\n250 2.0.0 ")) {
			t.Fatalf("%s: %v, %s", name, err, out)
		}
		sent++
	}
	before := len(s.sink.Received())
	for _, program := range []string{"mailroute", "maildeliver", "mailroute", "mailrelay"} {
		if out, err := programs.Must(r.Dir, nil, program, "run"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	forwarded := map[string]int{}
	for _, m := range s.sink.Received()[before:] {
		forwarded[fmt.Sprint(m.To)]++
		if !strings.HasPrefix(m.From, "SRS0=") || !strings.HasSuffix(m.From, "=alice@forwarder.example") {
			t.Errorf("to %v from %s", m.To, m.From)
		}
		text := strings.ReplaceAll(string(m.Data), "\n", "\r\n")
		got, err := dkim.Verifier{DNS: s, Now: time.Now}.Verify(t.Context(), strings.NewReader(text))
		if err != nil || len(got) != 2 || got[0].Status != dkim.Pass || got[1].Status != dkim.Pass {
			t.Errorf("to %v: %+v, %v\n%.2000s", m.To, got, err, text)
		}
	}
	if forwarded["[by-alias@far.example]"] != sent || forwarded["[by-rule@far.example]"] != sent {
		t.Errorf("of %d messages are forwarded %v\n%s", sent, forwarded, r.Describe())
	}
}
