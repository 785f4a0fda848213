package mailctl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// mixed fills a queue: two deferred entries of alice, one held, one new from nobody.
func mixed(t *testing.T, q Queue) (deferred, held, fresh spool.Key) {
	t.Helper()
	deferred = accept(t, q, spool.InboxRelay, "Alice@Example.org", "b@c.example", "d@e.example", "f@sub.e.example")
	accept(t, q, spool.InboxRelay, "alice@example.org", "g@e.example")
	work(t, q, spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		if e.Key == deferred {
			if err := e.Mark(0); err != nil {
				t.Error(err)
			}
		}
		return spool.DeferUntil(epoch.Add(3*time.Hour), "mx.e.example: connection refused")
	})
	held = accept(t, q, spool.InboxCheck, "mallory@example.com", "x@example.org")
	work(t, q, spool.InboxCheck, func(context.Context, *spool.Entry) spool.Outcome { return spool.HoldBecause("odd") })
	return deferred, held, accept(t, q, spool.InboxRoute, "", "x@example.org")
}

func TestFilters(t *testing.T) {
	q, _ := queueOf(t)
	mixed(t, q)
	for _, c := range []struct {
		filter Filter
		want   int
	}{
		{Filter{}, 4}, {Filter{From: "alice@"}, 2}, {Filter{From: "<>"}, 1}, {Filter{To: "D@e"}, 1}, {Filter{To: "b@c.example"}, 0},
		{Filter{Address: "example.org"}, 4}, {Filter{Address: "mallory"}, 1}, {Filter{Domain: "E.example"}, 2}, {Filter{Domain: ".e.example"}, 1},
		{Filter{Domain: "example"}, 0}, {Filter{Reason: "Connection REFUSED"}, 2}, {Filter{State: "held"}, 1}, {Filter{Inbox: "relay"}, 2},
		{Filter{Older: time.Hour}, 4}, {Filter{Older: 3 * time.Hour}, 0}, {Filter{Younger: 3 * time.Hour}, 4}, {Filter{Younger: time.Hour}, 0},
		{Filter{State: "deferred", To: "g@"}, 1}, {Filter{State: "new", Inbox: "relay"}, 0},
	} {
		list, _, err := selected(q.Spool, c.filter, q.Now)
		if err != nil || len(list) != c.want {
			t.Errorf("%+v: %d, want %d (%v)", c.filter, len(list), c.want, err)
		}
	}
	for _, f := range []Filter{{State: "odd"}, {Inbox: "tmp"}} {
		if f.Check() == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

func TestOneLineAnEntry(t *testing.T) {
	q, out := queueOf(t)
	deferred, _, fresh := mixed(t, q)
	if err := q.List(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"relay/ 2 entries, no runner\n",
		deferred.Tag()[:8] + "  deferred ",
		"2h5m  <Alice@Example.org> <d@e.example> +1  tried 1, next in 55m0s (2026-11-23 15:00:00Z)  mx.e.example: connection refused\n",
		fresh.Tag()[:8] + "  new ", "  <> <x@example.org>\n", "  odd\n", ": 1 new, 2 deferred, 1 held\n", "\n4 entries, ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 8 {
		t.Errorf("%d lines", n)
	}
	out.Reset()
	q.Filter.To = "nobody@"
	if err := q.List(); err != nil || out.String() != "no entry matches\n" {
		t.Errorf("%q %v", out, err)
	}
}

// A short name is long enough to be of one entry, also among the children of one.
func TestShortestNames(t *testing.T) {
	key := func(random, suffix string) spool.Key {
		return spool.Key("1764000000.M000001R" + random + ".mx" + suffix)
	}
	keys := []spool.Key{key("0123456789abcdef", ""), key("0123456789abcdee", ""), key("f123456789abcdef", ""),
		key("aaaaaaaaaaaaaaaa", "-0123456789ab"), key("aaaaaaaaaaaaaaaa", "-0122456789ab"), key("aaaaaaaaaaaaaaaa", "")}
	want := map[spool.Key]string{keys[0]: "0123456789abcdef", keys[1]: "0123456789abcdee", keys[2]: "f1234567",
		keys[3]: "aaaaaaaaaaaaaaaa-0123", keys[4]: "aaaaaaaaaaaaaaaa-0122", keys[5]: "aaaaaaaaaaaaaaaa"}
	got := shortest(append([]spool.Key(nil), keys...))
	for k, w := range want {
		if got.of(k) != w {
			t.Errorf("%s: %s, want %s", k, got.of(k), w)
		}
	}
}

func verbsOf(q Queue) (Verbs, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	return Verbs{Spool: q.Spool, Now: q.Now, Host: "mx.example.org", Out: &out, Errors: &errs}, &out, &errs
}

func TestVerbsOverASelection(t *testing.T) {
	q, _ := queueOf(t)
	deferred, held, _ := mixed(t, q)
	v, out, errs := verbsOf(q)
	step := func(want string, err error) {
		t.Helper()
		if err != nil || out.String() != want || errs.Len() > 0 {
			t.Errorf("%q %q %v, want %q", out, errs, err, want)
		}
		out.Reset()
	}
	if err := v.Selected("retry", Filter{}, true); err != nil || !strings.Contains(out.String(), "2 entries, ") {
		t.Errorf("%q %v", out, err)
	}
	out.Reset()
	step("hold: 1 entry\n", v.Selected("hold", Filter{To: "g@"}, false))
	step("retry: 1 entry\n", v.Selected("retry", Filter{}, false))
	step("retry: 0 entries\n", v.Selected("retry", Filter{}, false))
	step("release: 2 entries\n", v.Selected("release", Filter{}, false))
	step("", v.Each("hold", []string{deferred.Tag()[:8]}))
	step("remove: 1 entry\n", v.Selected("remove", Filter{State: "held"}, false))
	if err := v.Each("show", []string{"0000000"}); err == nil || !strings.Contains(err.Error(), "is not a key") {
		t.Error(err)
	}
	if err := v.Each("show", []string{held.Tag()[:15] + "x"}); err == nil || !strings.Contains(err.Error(), "is not a key") {
		t.Error(err)
	}
	step("", nil)
	if err := v.Selected("release", Filter{State: "new"}, false); err == nil || !strings.HasSuffix(out.String(), ", 3 failed\n") ||
		strings.Count(errs.String(), "\n") != 2 {
		t.Errorf("%q %q %v", out, errs, err)
	}
}

// The beginning of several entries is a usage error that names some.
func TestAmbiguousName(t *testing.T) {
	q, _ := queueOf(t)
	var tags []string
	for range 40 {
		tags = append(tags, accept(t, q, spool.InboxRoute, "a@example.org", "b@example.org").Tag())
	}
	find := q.Spool.Finder()
	if _, err := find.Tagged(""); err == nil || !strings.Contains(err.Error(), "is the beginning of 40 entries") {
		t.Error(err)
	}
	e, err := find.Tagged(tags[7])
	if err != nil || e.Key.Tag() != tags[7] {
		t.Fatal(err)
	}
	e.Close()
}

func TestSummary(t *testing.T) {
	q, out := queueOf(t)
	mixed(t, q)
	if err := q.Summary(false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{"T 5 10 20 40 80 160 320 640 1280 1280+", "TOTAL 5 0 0 0 0 0 5 0 0 0 0", "e.example 2 0 0 0 0 0 2 0 0 0 0",
		"example.org 2 0 0 0 0 0 2 0 0 0 0", "sub.e.example 1 0 0 0 0 0 1 0 0 0 0"}
	for i, l := range lines {
		if got := strings.Join(strings.Fields(l), " "); i >= len(want) || got != want[i] {
			t.Errorf("line %d is %q", i, got)
		}
	}
	out.Reset()
	q.JSON, q.Filter = true, Filter{From: "<>"}
	if err := q.Summary(true); err != nil {
		t.Fatal(err)
	}
	var row summed
	if err := json.Unmarshal(out.Bytes(), &row); err != nil || row.Domain != "MAILER-DAEMON" || row.Total != 1 || row.ByAge[5] != 1 {
		t.Errorf("%s %v", out, err)
	}
	for age, want := range map[time.Duration]int{0: 0, 5 * time.Minute: 0, 6 * time.Minute: 1, 1280 * time.Minute: 8, 1281 * time.Minute: 9} {
		if got := column(age); got != want {
			t.Errorf("%v is in column %d", age, got)
		}
	}
}

func TestProgressBar(t *testing.T) {
	p := &progress{what: "retry", all: 3, done: 1}
	if got := p.bar(); got != fmt.Sprintf("\rretry [%s%s] 1 of 3", strings.Repeat("#", 10), strings.Repeat(" ", 20)) {
		t.Errorf("%q", got)
	}
	var out bytes.Buffer
	p = newProgress(&out, "retry", 1)
	p.step()
	p.end()
	if out.Len() > 0 {
		t.Errorf("%q on no terminal", &out)
	}
}
