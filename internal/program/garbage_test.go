package program

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 600, 1 << 20: 600, 4 << 20: 600, 8 << 20: 300, 24 << 20: 100, 48 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live, spareOfRunner); got != want {
			t.Errorf("%d octets: %d %%, want %d", live, got, want)
		}
	}
}

// Garbage is collected seldom while little lives, as usual once much does, and seldom again.
func TestCollectSeldom(t *testing.T) {
	defer debug.SetGCPercent(100)
	CollectSeldom(spareOfRunner)
	collected := func(what string, good func(percent uint64) bool) {
		t.Helper()
		var percent uint64
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			runtime.GC()
			s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
			metrics.Read(s)
			if percent = s[0].Value.Uint64(); good(percent) {
				return
			}
		}
		t.Errorf("%s: at a growth of %d %%", what, percent)
	}
	collected("little lives", func(percent uint64) bool { return percent > 200 })
	large := make([]byte, 256<<20)
	collected("much lives", func(percent uint64) bool { return percent == leastPercent })
	runtime.KeepAlive(large)
	collected("little lives again", func(percent uint64) bool { return percent > 200 })
}
