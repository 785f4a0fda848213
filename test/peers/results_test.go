package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// forgeries are headers that programs read in different ways, each with results
// in it that claim to be ours.
func forgeries() []string {
	const forged = "Authentication-Results: mx.example.net; spf=pass\n"
	const from = "From: carol@x.example\n"
	all := []string{forged + from, from + forged, from + " fold\n \n" + forged, from + "no field\n" + forged, " fold\n" + from + forged,
		"From x Mon\n>From y\n" + from + forged, ">From y\n" + forged + from, "From x\n fold\n" + forged + from, "text\n" + forged + from,
		from + "Authentication-Results: =?utf-8?q?mx.example.net?=; spf=pass\n", from + "Authentication-Results:\n mx.example\n .net; spf=pass\n",
		from + "X : y\n" + forged, from + "\x80: y\n" + forged, ": y\n" + from + forged, from + "a b: y\n" + forged}
	for _, n := range []int{990, 997, 998, 999, 1000, 4095, 4096, 4097, 70000} {
		name := strings.Repeat("N", n)
		all = append(all, name+": y\n"+forged+from, from+name+": y\n"+forged, name+"\n"+forged+from, "X"+strings.Repeat(" ", n)+": y\n"+forged+from,
			from+"X: "+name+"\n"+forged, from+"X: y\n "+name+"\n"+forged)
	}
	for i := range all {
		all[i] += "\nAuthentication-Results: mx.example.net; below the header\n"
	}
	return all
}

// TestPythonFindsNoForgedResults: however a message comes in, the only results claiming
// to be ours that Python's email package finds in the mailbox are those that we wrote.
func TestPythonFindsNoForgedResults(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		missing(t, "python3")
	}
	h := newHome(t)
	if err := h.AddUser("piped"); err != nil {
		t.Fatal(err)
	}
	start(t, h)
	taken := 0
	for _, text := range forgeries() {
		if _, err := harness.SendMail(h.Addr["mx"], "carol@x.example", []string{"alice@example.net"}, []byte(text)); err == nil {
			taken++
		}
		r, err := programs.Run(h.Dir, strings.NewReader(text), "mailsubmit", "-i", "-f", "bob@example.net", "alice@example.net")
		if err != nil {
			t.Fatal(err)
		}
		if r.Status == 0 {
			taken++
		}
	}
	if taken < 80 {
		t.Errorf("only %d messages were taken", taken)
	}
	if err := harness.Wait("an empty queue", time.Minute, func() bool { return len(h.Queued()) == 0 }); err != nil {
		t.Error(err)
	}
	python(t, arrived(h, "alice"), 0)

	piped := t.TempDir()
	n := 0
	for i, text := range forgeries() {
		checked, err := programs.Run(h.Dir, strings.NewReader(text), "mailcheck", "--client", "192.0.2.7")
		if err != nil {
			t.Fatal(err)
		}
		if checked.Status != 0 {
			continue
		}
		r, err := programs.Run(h.Dir, strings.NewReader(checked.Stdout), "maildeliver", "-d", "piped@example.net")
		if err != nil || r.Status != 0 {
			t.Fatalf("%v, %+v", err, r)
		}
		names := arrived(h, "piped")
		if len(names) != 1 {
			t.Fatalf("the mailbox has %d messages", len(names))
		}
		if err := os.Rename(names[0], filepath.Join(piped, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < 40 {
		t.Errorf("only %d messages went through the pipeline", n)
	}
	names, _ := filepath.Glob(piped + "/*")
	python(t, names, n)
}

// python asserts how many results of ours Python finds by each of its policies.
func python(t *testing.T, names []string, want int) {
	t.Helper()
	out, err := exec.Command("python3", append([]string{"-I", "testdata/results.py", "mx.example.net"}, names...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := strings.Count(string(out), "\n"); got != 2*want {
		t.Errorf("%d results, want %d:\n%s", got, 2*want, out)
	}
}
