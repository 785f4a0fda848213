package mailq

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func TestSelection(t *testing.T) {
	entry := spool.Listing{Key: "1.M2Rabc.mx", Envelope: spool.Envelope{From: spool.Path{Addr: "Bob@example.org"},
		To: []spool.Recipient{{Addr: "done@a.example", Done: true}, {Addr: "x@B.example"}}}}
	for value, want := range map[string]string{
		"": "all", "f": "all", "p": "all", "30m": "due", "p30m": "due", "1": "due",
		"IRabc": "holds", "Irabc": "not", "Sbob@": "holds", "Salice": "not", "Rb.example": "holds", "Ra.example": "not",
		"I": "64", "X": "64", "!Rx": "64",
	} {
		sel, due, err := ParseSelection(value)
		got := "not"
		switch {
		case err != nil && status.Exit(err) == status.Usage:
			got = "64"
		case due:
			got = "due"
		case sel == Selection{}:
			got = "all"
		case sel.matches(entry):
			got = "holds"
		}
		if got != want {
			t.Errorf("-q%s: %s, want %s", value, got, want)
		}
	}
	if !(Selection{}).matches(entry) {
		t.Error("all does not hold an entry")
	}
}

func TestQueueNames(t *testing.T) {
	for _, c := range []struct {
		state   string
		running bool
		want    string
	}{{"new", false, "incoming"}, {"new", true, "active"}, {"deferred", true, "deferred"}, {"held", false, "hold"}, {"torn", false, "hold"}, {"foreign", true, "hold"}} {
		if got := queue(&spool.Listing{State: c.state}, c.running); got != c.want {
			t.Errorf("%s: %s, want %s", c.state, got, c.want)
		}
	}
}

// TestFlushIsLinear: to make four times as many entries due costs some four times
// the processor's time.
func TestFlushIsLinear(t *testing.T) {
	flush := func(n int) time.Duration {
		home := t.TempDir()
		if err := spool.Init(home); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			key := fmt.Sprintf("1764000000.M%06dR%016x.mx", i, i)
			text := "Return-Path: <a@b.example>\nDelivered-To: c@d.example\nReceived: by mx\n with local id " + key + "; x\n\nx\n"
			name := fmt.Sprintf("spool/relay/cur/%s,S=%d,W=%d:2,", key, len(text), len(text)+6)
			if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sp, err := spool.Open(home, spool.Options{Hostname: "mx.example.net"})
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		start := cpu(t)
		if err := Flush(sp, Selection{}); err != nil {
			t.Fatal(err)
		}
		spent := cpu(t) - start
		if list, err := os.ReadDir(filepath.Join(home, "spool/relay/new")); len(list) != n {
			t.Fatalf("%d of %d are due, %v", len(list), n, err)
		}
		return spent
	}
	few := max(flush(1000), 20*time.Millisecond)
	if many := flush(4000); many > 8*few {
		t.Errorf("%v for 1000 entries, %v for 4000", few, many)
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
