//go:build !race

package check

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// What one message may cost.
const (
	nastyTime   = time.Second // of processor
	nastyMemory = 100 << 20   // bytes at a time, beside the message itself
)

// Nasty messages: none panics, costs more than that, or is changed. PAPERPATH_NASTY is how
// many there are, PAPERPATH_NASTY_SEED where they begin; a failure names the message.
func TestNasty(t *testing.T) {
	count, seed := number(t, "PAPERPATH_NASTY", 100), number(t, "PAPERPATH_NASTY_SEED", 1)
	home := t.TempDir()
	writeControl(t, home, "hostname", "mx.example.net\n", "domains", "example.net\n", "users", "alice@example.net:*\n",
		"mime", ".exe: tag\n.com: refuse\napplication/x-msdownload: junk\n", "checks", "nul: tag\nfields: tag\n")
	if err := spool.Init(home); err != nil {
		t.Fatal(err)
	}
	sp, err := spool.Open(home, spool.Options{Hostname: "mx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	k := checkerOf(control.Open(home, time.Now), nil)
	k.DNS = dns.New(at(dnstest.New(t, nastyZone(t)).Addr))
	actions, found := map[control.CheckAction]int{}, map[string]int{}
	kinds := map[string]time.Duration{}
	var most int64
	for i := range count {
		g := &nasty{Rand: rand.New(rand.NewPCG(uint64(seed), uint64(i)))}
		kind, text := g.message()
		name := fmt.Sprintf("seed %d, message %d (%s, %d octets)", seed, i, kind, len(text))
		s := g.subject()
		s.Body = spool.BytesBody([]byte(text))
		peak := watch()
		before := used(t)
		v := k.Message(t.Context(), s, nil)
		cost, memory := used(t)-before, peak()
		if cost > nastyTime || memory > nastyMemory {
			t.Errorf("%s cost %v and %d MiB", name, cost, memory>>20)
		}
		for _, f := range v.Found {
			if strings.Contains(f.Reason, "panic") {
				t.Errorf("%s: %s: %s", name, f.Name, f.Reason)
			}
			found[f.Name+"="+f.Result]++
		}
		kinds[kind] = max(kinds[kind], cost)
		most = max(most, memory)
		actions[v.Action]++
		unchanged(t, name, v, text)
		if v.Passes() && i%10 == 0 && !strings.HasPrefix(strings.TrimLeft(text, ">"), "From ") {
			stored(t, name, home, sp, v)
		}
	}
	t.Logf("%v; %d MiB at most; the most expensive of each kind: %v; %v", actions, most>>20, kinds, found)
	// Who sent them was asked, and there was every answer.
	for _, want := range strings.Fields("spf=pass spf=fail spf=none spf=temperror spf=permerror dkim=pass dkim=fail dkim=none " +
		"dmarc=pass dmarc=fail dmarc=none dmarc=temperror iprev=pass helo=fail") {
		if found[want] == 0 {
			t.Errorf("%d messages, and none had %s", count, want)
		}
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(name, err)
	}
	return n
}

// used is the processor time of this process.
func used(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watch returns a function that returns how much the memory for objects has grown in
// between, at most.
func watch() func() int64 {
	sample := func() int64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return int64(s[0].Value.Uint64())
	}
	first, done, peak := sample(), make(chan struct{}), make(chan int64)
	go func() {
		most := first
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, sample())
			case <-done:
				peak <- max(most, sample()) - first
				return
			}
		}
	}()
	return func() int64 { close(done); return <-peak }
}

// unchanged compares what the verdict has with what came, without the results that claim to
// be ours.
func unchanged(t *testing.T, name string, v Verdict, text string) {
	t.Helper()
	var want message.Pieces
	body := spool.BytesBody([]byte(text))
	h, _ := compose.Header(MaxHeaderBytes, MaxFields, body) // as far as it can be read
	want.Without(body, body.Size(), compose.Forged(h, "mx.example.net"))
	got, err := io.ReadAll(io.NewSectionReader(v.Body, 0, v.Body.Size()))
	if string(got) == text {
		return // it did not come that far
	}
	pure, wrong := io.ReadAll(io.NewSectionReader(&want, 0, want.Size()))
	if err != nil || wrong != nil || string(got) != string(pure) {
		t.Errorf("%s: %d octets became %d, %v", name, len(text), len(got), err)
	}
}

// stored accepts a message and reads it again: it may have a blank line or a field in front
// of it, and a line end behind it (see spool.Accept).
func stored(t *testing.T, name, home string, sp *spool.Spool, v Verdict) {
	t.Helper()
	v.Envelope.To = to("alice@example.net").To
	key, err := sp.Accept(spool.InboxRoute, v.Envelope, v.Results, spool.Trace{By: "mx.example.net", With: "ESMTP"}, v.Body)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	files, err := filepath.Glob(filepath.Join(home, "spool", "route", "new", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %d entries, %v", name, len(files), err)
	}
	defer os.Remove(files[0])
	text, err := io.ReadAll(io.NewSectionReader(v.Body, 0, v.Body.Size()))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil || !strings.HasSuffix(strings.TrimSuffix(string(whole), "\n"), strings.TrimSuffix(string(text), "\n")) {
		t.Errorf("%s, %s: the file has %d octets, %v", name, key, len(whole), err)
	}
}
