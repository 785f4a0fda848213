package measure

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"paperpath/test/harness"
)

// lifeOf is the events of one message, five of them.
func lifeOf(n int) string {
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 80 * time.Millisecond)
	key := fmt.Sprintf("%d.M%06dR%016x.mx", at.Unix(), n%1000000, uint64(n)*0x9e3779b97f4a7c15)
	text := ""
	for i, event := range []string{
		fmt.Sprintf(`mailsubmit event=accepted key=%s inbox=route from=alice@example.org to=u%d@example.net size=4711 with=ESMTPSA `+
			`msgid=<%d.m@example.org> client=192.0.2.7 ptr=mail.example.org helo=mail.example.org login=alice@example.org `+
			`tls="TLS1.3 TLS_AES_128_GCM_SHA256"`, key, n, n),
		fmt.Sprintf("mailcheck event=checked key=%s verdict=accept", key),
		fmt.Sprintf("mailroute event=routed key=%s inbox=relay to=u%d@example.net", key, n),
		fmt.Sprintf(`mailrelay event=relayed key=%s to=u%d@example.net host=mx.example.net addr=192.0.2.1:25 reply="250 2.0.0 ok"`, key, n),
		fmt.Sprintf("mailrelay event=dropped key=%s inbox=relay", key),
	} {
		text += "time=" + at.Add(time.Duration(i)*time.Millisecond).Format("2006-01-02T15:04:05.000000Z") + " prog=" + event + "\n"
	}
	return text
}

// longLog writes a log of n events: a third of them in mail.log.2.gz, a third in mail.log.1.
func longLog(t *testing.T, h *harness.Home, n int) {
	t.Helper()
	for i, name := range []string{"mail.log.2.gz", "mail.log.1", "mail.log"} {
		f, err := os.Create(filepath.Join(h.Dir, "log", name))
		if err != nil {
			t.Fatal(err)
		}
		var w io.WriteCloser = f
		if i == 0 {
			w = gzip.NewWriter(f)
		}
		for m := i * n / 15; m < (i+1)*n/15; m++ {
			if _, err := io.WriteString(w, lifeOf(m)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		old := time.Now().Add(time.Duration(i-3) * time.Minute)
		if err := os.Chtimes(f.Name(), old, old); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLongLog: a life is found in a million events (PAPERPATH_EVENTS), some of them rotated and
// compressed, in about a second. The bound is in CPU time, and for a processor that is slow and has other work
// in its caches.
func TestLongLog(t *testing.T) {
	n := number(t, "PAPERPATH_EVENTS", 150000)
	h := newHome(t)
	longLog(t, h, n)
	key := lifeOf(n / 10)[len("time=2026-11-28T00:00:00.000000Z prog=mailsubmit event=accepted key="):][:36]
	for what, args := range map[string][]string{
		"a key":          {key},
		"an address":     {fmt.Sprintf("u%d@example.net", n/50)},
		"a Message-ID":   {fmt.Sprintf("<%d.m@example.org>", n/6)},
		"a key, as JSON": {"--json", key},
		"no message":     {"nobody@example.net"},
	} {
		var cpu, wall time.Duration
		for range 3 {
			cmd := exec.Command(programs.Path("mailctl"), append([]string{"--home", h.Dir, "trace"}, args...)...)
			began := time.Now()
			out, err := cmd.Output()
			took := time.Since(began)
			if found := bytes.Contains(out, []byte("250 2.0.0 ok")); found != (what != "no message") {
				t.Fatalf("%s: %v\n%.500s", what, err, out)
			}
			if used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); cpu == 0 || used < cpu {
				cpu, wall = used, took
			}
		}
		limit := 100*time.Millisecond + time.Duration(n)*4*time.Microsecond
		harness.Report("measured: mailctl trace, %s in %d events: %.2f s, %.2f s of CPU time (limit %.2f)",
			what, n, wall.Seconds(), cpu.Seconds(), limit.Seconds())
		if cpu > limit {
			t.Errorf("%s: %v of CPU time, limit %v", what, cpu, limit)
		}
	}
}
