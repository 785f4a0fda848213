package peers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// ticks are hundredths of a second of processor time: what all processors
// have, were busy, and gave to the server and to this process.
type ticks struct{ all, busy, server, here float64 }

// usage returns the ticks since the machine began.
func usage(t *testing.T, server int) ticks {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	u := ticks{server: spentBy(server), here: spentBy(os.Getpid())}
	for i, word := range strings.Fields(strings.SplitN(string(text), "\n", 2)[0])[1:] {
		n, _ := strconv.ParseFloat(word, 64)
		u.all += n
		if i != 3 && i != 4 { // idle and iowait
			u.busy += n
		}
	}
	return u
}

// spentBy returns user and system time of a process (proc(5)).
func spentBy(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	words := strings.Fields(rest)
	if len(words) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(words[11], 64)
	system, _ := strconv.ParseFloat(words[12], 64)
	return user + system
}

func (u ticks) since(v ticks) ticks {
	return ticks{u.all - v.all, u.busy - v.busy, u.server - v.server, u.here - v.here}
}

// share returns the part of the machine that other processes left.
func (u ticks) share() float64 {
	return max(0.05, min(1, 1-(u.busy-u.server-u.here)/u.all))
}
