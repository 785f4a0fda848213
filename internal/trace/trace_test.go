package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	parent = "1764000000.M000001R0000000000000001.mx"
	child  = parent + "-0123456789ab"
	report = "1764000000.M000001R00000000000000b0.mx"
	other  = "1764000009.M000009R0000000000000009.mx"
)

// event returns a line of the log, so many seconds after its beginning.
func event(second int, key, rest string) string {
	at := time.Date(2026, 11, 23, 12, 0, second, 0, time.UTC)
	name, values, _ := strings.Cut(rest, " ")
	return fmt.Sprintf("time=%s prog=p event=%s key=%s %s\n", at.Format("2006-01-02T15:04:05.000000Z"), name, key, values)
}

// story is an alias that fails at the other end: the report begins its life before the
// event that names it is written.
var story = []string{
	event(0, parent, "accepted inbox=check from=alice@example.org to=team@example.net msgid=<1@example.org>"),
	event(1, other, "accepted inbox=check from=notbob@example.net to=carol@example.net msgid=<11@example.org>"),
	event(2, parent, "split child="+child+" inbox=relay to=bob@example.net"),
	event(3, child, `deferred inbox=relay due=2026-11-23T13:00:00Z reason="452 later"`),
	event(4, child, `failed to=bob@example.net status=5.1.1 reason="550 no such user \x1b[2J"`),
	event(5, report, "routed inbox=deliver to=alice@example.org"),
	event(6, child, "bounced bounce="+report+" to=bob@example.net"),
	event(7, child, "dropped inbox=relay"),
	event(8, report, "delivered to=alice@example.org mailbox=mail/example.org/alice how=rename"),
	"not an event\n",
	event(9, other, "delivered to=carol@example.net mailbox=mail/example.net/carol how=rename"),
	event(10, other, "delivered to=cut@exam")[:90],
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// find returns what a search prints.
func find(t *testing.T, what string, since time.Time, most int, files ...string) (string, int) {
	t.Helper()
	tr, err := New(what, since, most)
	if err != nil {
		t.Fatal(err)
	}
	lives, more, err := tr.Find(files)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, l := range lives {
		if err := l.Print(&out, time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
	}
	return out.String(), more
}

func TestWhatFindsALife(t *testing.T) {
	log := write(t, t.TempDir(), "mail.log", strings.Join(story, ""))
	for _, what := range []string{parent, child, report, "R0000000000000001", child + ",S=12,W=13", "spool/relay/cur/" + child + ":2,",
		"alice@example.org", "team@example.net", "bob@example.net", "BOB@Example.Net", "<1@example.org>", "1@example.org"} {
		got, more := find(t, what, time.Time{}, 9, log)
		for _, want := range []string{"accepted", "452 later", "delivered to=alice", "bounced",
			"=> bob@example.net: failed: 5.1.1 550 no such user", "after 4.0s", "=> alice@example.org: delivered to mail/example.org/alice, after 8.0s"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", what, want, got)
			}
		}
		for _, not := range []string{"carol", "=> team", "\x1b"} {
			if strings.Contains(got, not) {
				t.Errorf("%s: %q in\n%s", what, not, got)
			}
		}
		if more != 0 || strings.Count(got, "accepted") != 1 {
			t.Errorf("%s: %d more; printed\n%s", what, more, got)
		}
	}
}

func TestNothing(t *testing.T) {
	log := write(t, t.TempDir(), "mail.log", strings.Join(story, ""))
	for _, what := range []string{"dave@example.net", "ob@example.net", "<2@example.org>", "R0000000000000002"} {
		if got, _ := find(t, what, time.Time{}, 9, log); got != "" {
			t.Errorf("%s: %s", what, got)
		}
	}
	for _, what := range []string{"", "12345", "x/ab,S=1"} {
		if _, err := New(what, time.Time{}, 9); err == nil {
			t.Errorf("%q is taken for a subject", what)
		}
	}
}

// A message that is still here says where, and for how long.
func TestPending(t *testing.T) {
	log := write(t, t.TempDir(), "mail.log", strings.Join(story[:4], ""))
	got, _ := find(t, parent, time.Time{}, 9, log)
	if want := "=> bob@example.net: deferred in relay/ until 2026-11-23T13:00:00Z: 452 later, for 57.0s now\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The next program may write what it did before the one that split the message, or accepted
// it, writes that.
func TestWhatComesLate(t *testing.T) {
	second := parent + "-0123456789ac"
	log := write(t, t.TempDir(), "mail.log", strings.Join([]string{
		event(0, parent, "routed inbox=route to=team@example.net"),
		event(1, parent, "accepted inbox=check from=a@example.org to=team@example.net"),
		event(2, child, "delivered to=bob@example.net mailbox=mail/bob how=rename"),
		event(3, second, `failed to=eve@example.net status=5.7.1 reason="not wanted"`),
		event(4, second, `held inbox=deliver reason="not wanted (no bounce is sent)"`),
		event(5, parent, "split child="+second+" inbox=deliver to=eve@example.net"),
		event(5, parent, "split child="+child+" inbox=deliver to=bob@example.net"),
		event(6, parent, "dropped inbox=route why=split"),
	}, ""))
	got, _ := find(t, parent, time.Time{}, 9, log)
	_, outcome, _ := strings.Cut(got, "\n=> ")
	want := "bob@example.net: delivered to mail/bob, after 2.0s\n=> eve@example.net: failed: 5.7.1 not wanted, after 3.0s\n"
	if outcome != want {
		t.Errorf("got %s", got)
	}
}

// A message that a check in the session had held was never in check/.
func TestHeldWhenAccepted(t *testing.T) {
	for prog, want := range map[string]string{"mailsubmit": "held, since it was accepted: nul", "mailcheck": "held, it was in check/: nul"} {
		log := write(t, t.TempDir(), "mail.log", event(0, parent, "accepted inbox=hold from=a@example.org to=bob@example.net")+
			strings.Replace(event(1, parent, "held inbox=check reason=nul"), "prog=p", "prog="+prog, 1))
		got, _ := find(t, parent, time.Time{}, 9, log)
		if !strings.Contains(got, "=> bob@example.net: "+want) {
			t.Errorf("%s: %s", prog, got)
		}
	}
}

// What was refused is found by its addresses, and each refusal stands alone.
func TestRefused(t *testing.T) {
	log := write(t, t.TempDir(), "mail.log", strings.Join([]string{
		event(0, "-", `refused from=eve@example.org to=alice@example.net reply="550 5.7.1 no"`),
		event(1, "-", `checked verdict=refuse from=eve@example.org`),
		event(2, parent, "accepted inbox=check from=eve@example.org to=bob@example.net"),
		event(3, "-", `refused from=eve@example.org to="" reply="550 5.7.23 SPF"`),
	}, ""))
	got, _ := find(t, "eve@example.org", time.Time{}, 9, log)
	for text, n := range map[string]int{"not accepted\n    2026": 2, "=> alice@example.net: refused: 550 5.7.1 no, after 0ms\n": 1,
		"checked": 0, "=> bob@example.net: in check/": 1} {
		if strings.Count(got, text) != n {
			t.Errorf("%q is not there %d times:\n%s", text, n, got)
		}
	}
	if got, _ := find(t, "carol@example.net", time.Time{}, 9, log); got != "" {
		t.Errorf("found %s", got)
	}
}

func TestTheLatestAndSince(t *testing.T) {
	log := write(t, t.TempDir(), "mail.log", strings.Join(story, ""))
	got, more := find(t, "example.net@", time.Time{}, 9, log)
	if got != "" || more != 0 {
		t.Errorf("an address that only looks alike: %s", got)
	}
	write(t, filepath.Dir(log), "mail.log", strings.ReplaceAll(strings.Join(story, ""), "notbob@", "alice@"))
	got, more = find(t, "alice@example.org", time.Time{}, 1, log)
	if more != 0 || !strings.Contains(got, "team@") {
		t.Errorf("%d more, %s", more, got)
	}
	got, more = find(t, "alice@example.net", time.Date(2026, 11, 23, 12, 0, 2, 0, time.UTC), 1, log)
	if more != 0 || got != "" {
		t.Errorf("before --since: %d more, %s", more, got)
	}
	got, more = find(t, "@example.net", time.Time{}, 1, log)
	if got != "" || more != 0 {
		t.Errorf("a domain is no address: %s", got)
	}
}

// The files of a home are read in order, compressed or not; a life may span them.
func TestRotatedFiles(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	fmt.Fprint(w, strings.Join(story[:3], ""))
	w.Close()
	old := write(t, dir, "mail.log.2.gz", z.String())
	newer := write(t, dir, "mail.log-20261123", strings.Join(story[3:6], ""))
	write(t, dir, "mail.log", strings.Join(story[6:], ""))
	write(t, dir, "other.log", story[1])
	at := time.Now()
	os.Chtimes(old, at, at.Add(-2*time.Hour))
	os.Chtimes(newer, at, at.Add(-time.Hour))
	files, err := Files(home, time.Time{})
	if err != nil || len(files) != 3 || files[0] != old || files[1] != newer {
		t.Fatalf("%v, %v", files, err)
	}
	got, _ := find(t, report, time.Time{}, 9, files...)
	if strings.Count(got, "\n") < 10 || !strings.Contains(got, "=> alice@example.org: delivered") {
		t.Errorf("%s", got)
	}
	if files, err = Files(home, at.Add(-90*time.Minute)); err != nil || len(files) != 2 {
		t.Errorf("since: %v, %v", files, err)
	}
}

// Follow prints what comes, across a rotation, and the life of a report that it learns of.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	log := write(t, dir, "mail.log", strings.Join(story[:3], ""))
	tr, err := New(parent, time.Time{}, 9)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Hold(log); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.Find([]string{log}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := &until{text: "delivered to=alice", stop: cancel}
	done := make(chan error)
	go func() { done <- tr.Follow(ctx, out, false) }()
	appendTo(t, log, strings.Join(story[3:5], "")+story[6][:30])
	appendTo(t, log, story[6][30:])
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "mail.log", strings.Join(story[7:], ""))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := out.got.String()
	for _, want := range []string{"deferred", "failed", "bounced", "delivered to=alice"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, got)
		}
	}
	if strings.Contains(got, "split") || strings.Contains(got, "carol") {
		t.Errorf("too much in\n%s", got)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// until calls stop once text was written.
type until struct {
	got  bytes.Buffer
	text string
	stop func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.got.Write(p)
	if strings.Contains(u.got.String(), u.text) {
		u.stop()
	}
	return n, err
}

// A million events are searched in less than a second, see the benchmark's ns/op by 20.
func BenchmarkFind(b *testing.B) {
	var text strings.Builder
	for n := range 50000 / 5 {
		key := fmt.Sprintf("17640%05d.M000001R%016x.mx", n, n)
		text.WriteString(event(0, key, fmt.Sprintf("accepted inbox=check from=alice@example.org to=u%d@example.net size=4711 with=ESMTPSA "+
			`msgid=<%d@example.org> client=192.0.2.7 helo=mail.example.org login=alice tls="TLS1.3 TLS_AES_128_GCM_SHA256"`, n, n)))
		text.WriteString(event(0, key, "checked verdict=accept"))
		text.WriteString(event(0, key, fmt.Sprintf("routed inbox=relay to=u%d@example.net", n)))
		text.WriteString(event(0, key, fmt.Sprintf(`relayed to=u%d@example.net host=mx.example.net addr=192.0.2.1:25 reply="250 ok"`, n)))
		text.WriteString(event(0, key, "dropped inbox=relay"))
	}
	log := filepath.Join(b.TempDir(), "mail.log")
	if err := os.WriteFile(log, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		tr, err := New("u77@example.net", time.Time{}, 9)
		if err != nil {
			b.Fatal(err)
		}
		if lives, _, err := tr.Find([]string{log}); err != nil || len(lives) != 1 {
			b.Fatal(len(lives), err)
		}
	}
}
