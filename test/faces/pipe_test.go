package faces

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"paperpath/test/harness"
)

// brokenPipe is the end of a pipe of which nobody reads.
func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() { w.Close() })
	return w
}

// Where nobody reads what a program says it has an exit status all the same: a
// message that was not taken is not to be given up because a logger died.
func TestNobodyReads(t *testing.T) {
	s := newSite(t)
	const letter = "From: a@example.org\nTo: " + alice + "\n\nhello\n"
	for _, tt := range []struct {
		words, stdin string
		want         int
	}{
		{"sendmail -t", "no field\n", 64}, {"sendmail " + alice, letter, 0}, {"mailq", "", 75}, {"newaliases", "", 75},
		{"mailcheck", letter, 75}, {"mailroute " + alice, "", 75}, {"mailroute explain " + alice, "", 75},
		{"maildeliver -d nobody@example.net", letter, 67}, {"maildeliver -d " + alice, letter, 0},
		{"maildeliver -d " + alice, "", 65}, {"mailrelay --via 127.0.0.1:1 --from x@example.org --to x@example.org", letter, 75},
		{"pop3d --wrong", "", 64}, {"mailctl queue", "", 75}, {"mailctl --version", "", 75}, {"mailctl --help", "", 75},
	} {
		w := strings.Fields(tt.words)
		cmd := exec.Command(programs.Path(w[0]), w[1:]...)
		cmd.Env, cmd.Stdin = programs.Env(s.Home.Dir), strings.NewReader(tt.stdin)
		cmd.Stdout, cmd.Stderr = brokenPipe(t), brokenPipe(t)
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != tt.want {
			t.Errorf("%s: %v, want exit status %d", tt.words, err, tt.want)
		}
	}
}

// Who reads only the first lines wants no word about the rest.
func TestReaderHasEnough(t *testing.T) {
	s := newSite(t)
	for _, words := range []string{"mailctl --help", "mailroute " + alice, "mailctl queue"} {
		w := strings.Fields(words)
		cmd := exec.Command(programs.Path(w[0]), w[1:]...)
		var said strings.Builder
		cmd.Env, cmd.Stdout, cmd.Stderr = programs.Env(s.Home.Dir), brokenPipe(t), &said
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 75 || said.Len() > 0 {
			t.Errorf("%s: %v, %q", words, err, said.String())
		}
	}
}

// A logger behind mailctl start that dies takes nothing with it.
func TestLoggerDies(t *testing.T) {
	s := newSite(t)
	smtp := harness.FreeAddr()
	s.services("mailsubmit smtp --role mx --listen "+smtp, "mailroute watch")
	cmd := exec.Command(programs.Path("mailctl"), "start")
	cmd.Env = programs.Env(s.Home.Dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	s.wait("the server", func() bool { return !harness.NothingAt(smtp) })
	s.wait("mailroute", func() bool { return len(s.Events("prog=mailroute", "event=watching")) == 1 })
	r.Close()
	for _, pid := range harness.Descendants(cmd.Process.Pid) { // mailctl says of each that it has ended
		syscall.Kill(pid, syscall.SIGKILL)
	}
	s.wait("mailctl to start them again", func() bool {
		return len(s.Events("prog=mailroute", "event=watching")) == 2 && !harness.NothingAt(smtp)
	})
}
