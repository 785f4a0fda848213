package relay

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestBadHostsByProgram: the built program, with its own times and limits, does the same
// as TestBadHosts: a case of each kind at each place, and TLS broken at each step.
func TestBadHostsByProgram(t *testing.T) {
	inMemory(t)
	program := filepath.Join(t.TempDir(), "mailrelay")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "urfave_cli_no_docs", "-o", program, "paperpath/cmd/mailrelay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make all has it
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	cases := someOfEach(append(badCases(), badTLS(serverTLS(t))...))
	t.Logf("%d cases", len(cases))
	s := newStage(t)
	s.queueBad(cases, func(_ int, h *badHost) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go h.serve(c)
			}
		}()
		return l.Addr().String()
	})
	s.set("root", "mailrelay") // for a test that root runs
	run := exec.Command(program, "--home", s.home, "run")
	if text, err := run.CombinedOutput(); err != nil || len(text) > 0 {
		t.Fatalf("%v\n%s", err, text)
	}
	s.checkBad(cases)
}

// someOfEach returns the cases that need no patience, without half of the ways to send; of
// those that are cut at an octet each eleventh.
func someOfEach(all []badCase) (some []badCase) {
	octet := regexp.MustCompile(`cut at [1-9]`)
	for i, c := range all {
		switch {
		case c.how.then == silent, c.how.pipelining != c.how.chunking && c.how.tls == nil:
		case octet.MatchString(c.name) && i%11 != 0:
		default:
			some = append(some, c)
		}
	}
	return some
}
