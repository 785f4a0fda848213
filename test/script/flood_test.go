package script

import (
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/test/harness"
)

const (
	gib      = int64(1) << 30
	earlyMiB = 64 // a refusal that reads more than this is not early
)

// cmdFlood gives a program a message of 1 GiB on stdin. It must end with exit
// status N, early, and without having been larger than MAXMIB.
func cmdFlood(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	maxMiB, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	header, err := strconv.Unquote(`"` + args[2] + `"`)
	ts.Check(err)
	cmd := exec.Command(programs.Path(args[3]), args[4:]...)
	cmd.Env = programs.Env(ts.Getenv("PAPERPATH_HOME"))
	in, err := cmd.StdinPipe()
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	ts.Check(cmd.Start())
	// What the kernel says in the end counts this process too, as it was when
	// the child began.
	ended, peaks := make(chan struct{}), make(chan int64)
	go func() { peaks <- watchPeak(cmd.Process.Pid, ended) }()
	sent, _ := io.CopyN(in, io.MultiReader(strings.NewReader(header), endless{}), gib)
	in.Close()
	err = cmd.Wait()
	close(ended)
	peak := <-peaks >> 20
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	harness.Report("measured: %s refuses 1 GiB after %d MiB, %d MiB resident at most", args[3], sent>>20, peak)
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
	if peak > maxMiB || peak == 0 || sent>>20 > earlyMiB {
		ts.Fatalf("%d MiB resident, %d MiB read", peak, sent>>20)
	}
}

// watchPeak returns the largest resident size of a process until it ended.
func watchPeak(pid int, ended <-chan struct{}) (peak int64) {
	for {
		peak = max(peak, harness.PeakResident(pid))
		select {
		case <-ended:
			return peak
		case <-time.After(time.Millisecond): // the measure's own grain
		}
	}
}

// endless is text without an end, in lines of 64 octets.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	const line = "0123456789012345678901234567890123456789012345678901234567890ab\n"
	n := 0
	for n < len(p) {
		n += copy(p[n:], line)
	}
	return n, nil
}
