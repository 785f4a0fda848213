package script

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/test/harness"
)

// cmdPeak asserts that a process that still runs was never larger than MAXMIB.
func cmdPeak(ts *testscript.TestScript, args []string) {
	maxMiB, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	pid, err := strconv.Atoi(args[1])
	ts.Check(err)
	peak := harness.PeakResident(pid) >> 20
	harness.Report("measured: the SMTP server after 1 GiB of DATA: %d MiB resident at most", peak)
	if peak == 0 || peak > maxMiB {
		ts.Fatalf("%d MiB resident", peak)
	}
}
