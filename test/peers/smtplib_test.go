package peers

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// Python's smtplib: testdata/client.py asserts the replies, this what arrived.
func TestSmtplib(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		missing(t, "python3")
	}
	h := newHome(t)
	set(t, h, "databytes", "100000")
	if err := h.AddLMTP(); err != nil {
		t.Fatal(err)
	}
	start(t, h)
	cmd := exec.Command("python3", "-I", "testdata/client.py", h.Addr["mx"], h.Addr["submission"], h.Addr["submissions"], h.Addr["lmtp"])
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, h.Describe())
	}
	want := map[string]string{
		"plain": "ESMTP", "helo": "SMTP", "starttls PLAIN": "ESMTPSA", "starttls LOGIN": "ESMTPSA", "login": "ESMTPSA",
		"ssl": "ESMTPSA", "ssl again": "ESMTPSA", "one refused": "ESMTP", "behind bare": "ESMTP",
		"utf8": "UTF8SMTP", "bdat": "ESMTP", "lmtp": "LMTP",
	}
	checkSubjects(t, h, want)
}

// checkSubjects asserts that alice has one message with each of the subjects,
// which came by the protocol named, and no other.
func checkSubjects(t *testing.T, h *harness.Home, want map[string]string) {
	t.Helper()
	if err := harness.Wait("all messages", time.Minute, func() bool { return len(arrived(h, "alice")) >= len(want) }); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, name := range arrived(h, "alice") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), "\nSubject: ")
		subject, _, _ := strings.Cut(rest, "\n")
		with, expected := want[subject]
		if !expected || seen[subject] || !strings.Contains(string(data), "\n with "+with+" id ") || !strings.HasSuffix(string(data), "Hello\n.dot\n") {
			t.Errorf("%q, want it by %q:\n%s", subject, with, data)
		}
		seen[subject] = true
	}
	if len(seen) != len(want) {
		t.Errorf("%d messages, want %d", len(seen), len(want))
	}
}
