package script

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/test/harness"
)

// cmdDialog plays a conversation with a server, by TCP or with a program on
// its stdin and stdout:
//
//	dialog ADDR FILE
//	dialog exec FILE PROG ARG...
//
// Each line of FILE is one of
//
//	< REGEXP     the next reply (SMTP: all its lines) matches
//	<1 REGEXP    the next single line matches
//	<. REGEXP    the lines up to "." match, POP3's multi-line answer
//	<EOF         the other side closes
//	<STATUS N    the program ended so, not with 0; the last line
//	> TEXT       send TEXT and CRLF; $VAR is expanded
//	>> "BYTES"   send these bytes, a Go string
//	>*N "BYTES"  send them N times; the other side may have closed
//
// The transcript of what was received is stdout afterwards.
func cmdDialog(ts *testscript.TestScript, args []string) {
	c, ended := openDialog(ts, args)
	defer c.Close()
	played, status := false, "0"
	for i, line := range strings.Split(ts.ReadFile(args[1]), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if n, ok := strings.CutPrefix(line, "<STATUS "); ok {
			status = n
			continue
		}
		if err := playLine(ts, c, line); err != nil {
			ts.Fatalf("%s:%d: %s: %v", args[1], i+1, line, err)
		}
		played = played || strings.HasPrefix(line, "<")
	}
	if !played {
		ts.Fatalf("%s expects nothing", args[1])
	}
	c.Close()
	if got := ended(); got != status {
		ts.Fatalf("%s: exit status %s, want %s", args[1], got, status)
	}
}

// openDialog returns a conversation, and what waits for its program's exit
// status: files are looked at afterwards, and a crash is a failure.
func openDialog(ts *testscript.TestScript, args []string) (*harness.Conversation, func() string) {
	if args[0] != "exec" {
		c, err := harness.Dial(args[0])
		ts.Check(err)
		return c, func() string { return "0" }
	}
	if len(args) < 3 {
		ts.Fatalf("usage: dialog exec FILE PROG [ARG...]")
	}
	fds, err := socketpair()
	ts.Check(err)
	cmd := exec.Command(programs.Path(args[2]), args[3:]...)
	cmd.Env = programs.Env(ts.Getenv("PAPERPATH_HOME"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = fds[1], fds[1], fds[1]
	ts.Check(cmd.Start())
	fds[1].Close()
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	ts.Defer(func() { cmd.Process.Kill() })
	c, err := net.FileConn(fds[0])
	ts.Check(err)
	fds[0].Close()
	return harness.Converse(c), func() string {
		select {
		case <-done:
		case <-time.After(waitLimit):
			ts.Fatalf("%s did not end with its connection", args[2])
		}
		return strconv.Itoa(cmd.ProcessState.ExitCode())
	}
}

func playLine(ts *testscript.TestScript, c *harness.Conversation, line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	switch {
	case verb == "<":
		return expect(ts, arg, c.Reply)
	case verb == "<1":
		return expect(ts, arg, c.Line)
	case verb == "<.":
		return expect(ts, arg, func() (string, error) { return untilDot(c) })
	case verb == "<EOF":
		if s, err := c.Line(); err == nil {
			return fmt.Errorf("received %q", s)
		}
		return nil
	case verb == ">":
		return c.Send("%s", os.Expand(arg, ts.Getenv))
	case verb == ">>":
		return sendBytes(c, 1, arg)
	case strings.HasPrefix(verb, ">*"):
		n, err := strconv.Atoi(verb[2:])
		if err != nil {
			return err
		}
		sendBytes(c, n, arg)
		return nil
	}
	return fmt.Errorf("unknown line")
}

func expect(ts *testscript.TestScript, pattern string, read func() (string, error)) error {
	got, err := read()
	fmt.Fprintln(ts.Stdout(), got)
	if err != nil {
		return fmt.Errorf("after %q: %w", got, err)
	}
	re, err := regexp.Compile("(?s)" + pattern)
	if err == nil && !re.MatchString(got) {
		err = fmt.Errorf("received %q", got)
	}
	return err
}

func untilDot(c *harness.Conversation) (string, error) {
	var all []string
	for {
		s, err := c.Line()
		if err != nil || s == "." {
			return strings.Join(all, "\n"), err
		}
		all = append(all, strings.TrimPrefix(s, "."))
	}
}

func sendBytes(c *harness.Conversation, n int, quoted string) error {
	s, err := strconv.Unquote(quoted)
	if err != nil {
		return err
	}
	block := max(1, min(n, 1<<16/len(s))) // whole blocks: a write for each line would be slow
	for ; n > 0; n -= block {
		if _, err := c.Write([]byte(strings.Repeat(s, min(n, block)))); err != nil {
			return err
		}
	}
	return nil
}

// cmdTLSSink starts a sink with STARTTLS and writes its certificate into a file.
func cmdTLSSink(ts *testscript.TestScript, args []string) {
	s, err := harness.NewTLSSink()
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	ts.Setenv(args[0], s.Addr)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), s.PEM, 0o644))
	ts.SetCmd("tlsgot-"+args[0], word("tlsgot N", func(ts *testscript.TestScript, args []string) {
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		if got := len(s.Received()); got != n {
			ts.Fatalf("the sink has %d messages, want %d", got, n)
		}
	}))
	ts.SetCmd("tlsdown-"+args[0], word("tlsdown", func(ts *testscript.TestScript, _ []string) {
		ts.Check(s.Close())
	}))
}

func cmdSink(ts *testscript.TestScript, args []string) {
	addr := "127.0.0.1:0"
	if len(args) > 2 {
		addr = args[2]
	}
	s, err := harness.NewSinkAt(addr, args[1])
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	ts.Setenv(args[0], s.Addr)
	ts.SetCmd("sinkmode-"+args[0], word("sinkmode MODE", func(ts *testscript.TestScript, args []string) {
		ts.Check(s.SetMode(args[0]))
	}))
	ts.SetCmd("sinkgot-"+args[0], word("sinkgot N [FILE]", func(ts *testscript.TestScript, args []string) {
		sinkGot(ts, s, args)
	}))
}

// sinkGot waits until the sink has N messages and writes the last one, with
// its envelope in FROM and TO, to FILE.
func sinkGot(ts *testscript.TestScript, s *harness.Sink, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = harness.Wait(args[0]+" messages in the sink", waitLimit, func() bool { return len(s.Received()) >= n })
	got := s.Received()
	if err != nil || len(got) != n {
		ts.Fatalf("the sink has %d messages, want %d", len(got), n)
	}
	if wrong := s.Wrong(); len(wrong) > 0 {
		ts.Fatalf("the client broke the protocol: %s", strings.Join(wrong, "; "))
	}
	if n == 0 {
		return
	}
	last := got[n-1]
	ts.Setenv("FROM", last.From)
	ts.Setenv("TO", strings.Join(last.To, " "))
	if len(args) > 1 {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), last.Data, 0o644))
	}
}
