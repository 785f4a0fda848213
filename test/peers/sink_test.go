package peers

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// mailrelay empties a queue into smtp-sink: each message is counted there once.
func TestSMTPSink(t *testing.T) {
	const messages = 500
	h := newHome(t)
	sink := harness.FreeAddr()
	set(t, h, "relayfrom", "127.0.0.1")
	set(t, h, "routes", far+": "+sink)
	mxAlone(t, h)
	counters := smtpSink(t, sink)
	smtpSource(t, h, 20, messages, "dora@"+far)
	began := time.Now()
	for _, stage := range []string{"mailroute", "mailrelay"} {
		if _, err := programs.Must(h.Dir, nil, stage, "run"); err != nil {
			t.Fatal(err)
		}
	}
	harness.Report("measured: mailroute and mailrelay: %d messages to smtp-sink in %.1f s", messages, time.Since(began).Seconds())
	if n := len(h.Events("event=relayed", "reply=\"250 ")); n != messages || len(h.Queued()) != 0 {
		t.Errorf("%d relayed, %d left in the spool\n%s", n, len(h.Queued()), h.Describe())
	}
	want := fmt.Sprintf("mesg=%d\r", messages)
	if err := harness.Wait("the sink's count", time.Minute, func() bool { return strings.HasSuffix(counters(), want) }); err != nil {
		t.Errorf("%v: %.200q", err, counters())
	}
}

// postfixTool returns a command of Postfix, with the libraries that it needs.
func postfixTool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	postfix := unpacked(t, "postfix")
	cmd := exec.Command(postfix+"/usr/sbin/"+name, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+postfix+"/usr/lib/postfix")
	return cmd
}

// smtpSource sends messages in that many sessions at once.
func smtpSource(t *testing.T, h *harness.Home, sessions, messages int, to string) {
	t.Helper()
	cmd := postfixTool(t, "smtp-source", "-s", fmt.Sprint(sessions), "-m", fmt.Sprint(messages), "-l", "4096", "-f", sender, "-t", to, h.Addr["mx"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, h.Describe())
	}
}

// smtpSink runs smtp-sink until the end of the test and returns what gives its
// counters as it printed them last.
func smtpSink(t *testing.T, addr string) (counters func() string) {
	t.Helper()
	out, err := os.Create(t.TempDir() + "/counters")
	if err != nil {
		t.Fatal(err)
	}
	cmd := postfixTool(t, "smtp-sink", "-c", "-u", "nobody", addr, "100")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); out.Close() })
	awaitPort(t, "smtp-sink", addr)
	return func() string {
		text, _ := os.ReadFile(out.Name())
		return string(text[max(0, len(text)-200):])
	}
}
