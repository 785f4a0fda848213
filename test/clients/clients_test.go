// Package clients runs the whole path with mail programs that other people wrote,
// which submit mail to the built programs and fetch it from them.
package clients

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

const (
	alice = "alice@example.net"
	bob   = "bob@example.net"
)

// site is a running system and a scratch directory for one test.
type site struct {
	*harness.Home
	t   *testing.T
	dir string
}

// newSite starts a system with alice and bob, or skips the test where the
// client is not installed.
func newSite(t *testing.T, client string) *site {
	t.Helper()
	if client != "" {
		need(t, client)
	}
	s := &site{t: t, dir: t.TempDir()}
	var err error
	if s.Home, err = programs.NewHome(s.dir+"/home", "alice", "bob"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) start() *site {
	s.t.Helper()
	system, err := s.Start()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := system.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	return s
}

func need(t *testing.T, client string) {
	t.Helper()
	if _, err := exec.LookPath(client); err == nil {
		return
	}
	if harness.Missing(client) {
		t.Fatalf("%s is not installed", client)
	}
	t.Skipf("%s is not installed", client)
}

// file writes a file into the scratch directory and returns its path.
func (s *site) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// run runs a client to its end; it must succeed. The programs come first in
// its PATH, and $HOME is the scratch directory.
func (s *site) run(stdin, name string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(programs.Env(s.Home.Dir), "HOME="+s.dir, "LC_ALL=C.UTF-8", "TERM=dumb")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s\n%s", name, err, out, s.Describe())
	}
	return string(out)
}

// arrived waits for n messages in a mailbox and returns the newest.
func (s *site) arrived(user string, n int) []byte {
	s.t.Helper()
	var names []string
	err := harness.Wait("mail for "+user, time.Minute, func() bool {
		names, _ = filepath.Glob(s.Mailbox(user) + "/new/*")
		return len(names) >= n
	})
	if err != nil || len(names) != n {
		s.t.Fatalf("%d messages for %s, want %d: %v\n%s", len(names), user, n, err, s.Describe())
	}
	data, err := os.ReadFile(names[n-1])
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// holds asserts that a message holds each of the words.
func (s *site) holds(message []byte, words ...string) {
	s.t.Helper()
	for _, w := range words {
		if !bytes.Contains(message, []byte(w)) {
			s.t.Errorf("%q is not in:\n%s", w, message)
		}
	}
}

// letter is a message to alice for the clients that send one from a file.
const letter = `From: Bob <bob@example.net>
To: alice@example.net
Subject: from a client
Date: Mon, 23 Nov 2026 12:00:00 +0000
Message-ID: <client@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße
.dot
`

// put lays n messages into alice's mailbox through the sendmail face.
func (s *site) put(n int) {
	s.t.Helper()
	for i := range n {
		if _, err := programs.Must(s.Home.Dir, strings.NewReader(letter), "sendmail", "-i", "-f", bob, alice); err != nil {
			s.t.Fatal(err)
		}
		s.arrived("alice", i+1)
	}
}
