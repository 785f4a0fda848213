package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const shownKey Key = "1764000000.M000007R00000000000000ff.mx"

// The line about an entry, and what has none.
func TestShownLine(t *testing.T) {
	made := shownKey.Made()
	many := make([]Recipient, 100)
	for i := range many {
		many[i].Addr = "somebody@example.net"
	}
	to := func(list ...string) (all []Recipient) {
		for _, a := range list {
			all = append(all, Recipient{Addr: a})
		}
		return all
	}
	for _, c := range []struct {
		what string
		s    shown
		want string // after the name; "" is no line
	}{
		{"plain", shown{arrival: made, env: Envelope{From: Path{Addr: "a@b.example"}, To: to("c@d.example")}}, " from <a@b.example> to <c@d.example>"},
		{"null sender", shown{arrival: made, env: Envelope{To: to("c@d.example")}}, " from <> to <c@d.example>"},
		{"parameters", shown{arrival: made, env: Envelope{From: Path{"a@b.example", "RET=HDRS ENVID=q7"}, To: []Recipient{{Addr: "c@d.example", Params: "NOTIFY=NEVER"}}}},
			" from <a@b.example> RET=HDRS ENVID=q7 to <c@d.example> NOTIFY=NEVER"},
		{"UTF-8", shown{arrival: made, env: Envelope{From: Path{Addr: "grün@bücher.example"}, To: to("用户@例子.example")}}, " from <grün@bücher.example> to <用户@例子.example>"},
		{"quotes", shown{arrival: made, env: Envelope{From: Path{Addr: `"a > \" b"@b.example`}, To: to(`"> to <"@d.example`)}},
			` from <"a > \" b"@b.example> to <"> to <"@d.example>`},
		{"arrival", shown{arrival: made.Add(-time.Hour - 5), env: Envelope{To: to("c@d.example")}}, " arrived 2025-11-24T15:00:00.000006995Z from <> to <c@d.example>"},
		{"several", shown{arrival: made, changed: made.Add(time.Second), env: Envelope{To: append(to("c@d.example"), Recipient{"e@f.example", "NOTIFY=NEVER", true}, Recipient{Addr: "g@h.example"})}},
			" changed 2025-11-24T16:00:01.000007Z from <> to <c@d.example> done <e@f.example> NOTIFY=NEVER to <g@h.example>"},

		{"word of the line", shown{arrival: made, env: Envelope{From: Path{"a@b.example", "X to <c@d.example>"}, To: to("c@d.example")}}, ""},
		{"open quote", shown{arrival: made, env: Envelope{From: Path{Addr: `"a@b.example`}, To: to("c@d.example")}}, ""},
		{"line end", shown{arrival: made, env: Envelope{From: Path{Addr: "a@b.example\nroot"}, To: to("c@d.example")}}, ""},
		{"escape sequence", shown{arrival: made, env: Envelope{From: Path{Addr: "a\x1b[2J@b.example"}, To: to("c@d.example")}}, ""},
		{"C1 control", shown{arrival: made, env: Envelope{From: Path{Addr: "a\u009b2J@b.example"}, To: to("c@d.example")}}, ""},
		{"turned around", shown{arrival: made, env: Envelope{From: Path{Addr: "a\u202eb@b.example"}, To: to("c@d.example")}}, ""},
		{"no UTF-8", shown{arrival: made, env: Envelope{From: Path{Addr: "a\xff@b.example"}, To: to("c@d.example")}}, ""},
		{"nobody", shown{arrival: made}, ""},
		{"too many", shown{arrival: made, changed: made, env: Envelope{To: many}}, ""},
		{"too long", shown{arrival: made, env: Envelope{From: Path{Addr: strings.Repeat("a", 900) + "@b.example"}, To: to(strings.Repeat("c", 100) + "@d.example")}}, ""},
		{"a year of five digits", shown{arrival: time.Unix(1e12-1, 0), env: Envelope{To: to("c@d.example")}}, ""},
	} {
		n := fileName{shownKey, 4711, 4803}
		got, ok := c.s.text(n)
		if want := "entry " + n.String() + c.want; ok != (c.want != "") || ok && got != want {
			t.Errorf("%s: %q, %v\nwant %q", c.what, got, ok, want)
		}
	}
}

// A line that was cut or changed, or is that of another entry, says nothing, and is no reason.
func TestShownDamaged(t *testing.T) {
	n := fileName{shownKey, 4711, 4803}
	s := shown{arrival: n.key.Made(), changed: n.key.Made(), env: Envelope{From: Path{Addr: "a@b.example"},
		To: []Recipient{{Addr: "c@d.example"}, {Addr: "e@f.example"}}}}
	line, ok := s.text(n)
	if !ok {
		t.Fatal(line)
	}
	for end := range len(line) + 1 {
		var r reasons
		if r.scan([]byte(line[:end]), n.key); r.shown != nil {
			t.Errorf("%q is taken for a line", line[:end])
		}
	}
	var r reasons
	r.scan([]byte(line+"\nrelay 2026-11-29T00:00:00Z deferred: down\nby hand\n"), n.key)
	if string(r.shown) != line || r.lines != 2 || string(r.last) != "by hand" || !strings.HasPrefix(string(r.first), "relay") {
		t.Errorf("%+v", r)
	}
	for _, other := range []fileName{{"1764000000.M000007R00000000000000fe.mx", 4711, 4803}, {shownKey, 4710, 4803}, {shownKey, 471, 4803}, {shownKey, 4711, 4804}} {
		if _, ok := parseShown([]byte(line), other); ok {
			t.Errorf("taken for that of %s", other)
		}
	}
	for _, wrong := range []string{"", line + "x", line + " to <", line + " to <>", strings.Replace(line, "<e@", "e@", 1),
		strings.Replace(line, " changed", " changes", 1), strings.Replace(line, "T", "t", 1), strings.Replace(line, "<a@", "<a\x00@", 1),
		strings.Replace(line, "from", "to", 1), strings.Replace(line, " to <e@f.example>", "", 1), strings.Repeat("\x00", len(line))} {
		if s, ok := parseShown([]byte(wrong), n); ok {
			t.Errorf("%q is %+v", wrong, s)
		}
	}
}

// listed returns the list of an inbox by key, or by name.
func (f *fixture) listed(in Inbox) map[string]Listing {
	f.t.Helper()
	list, err := f.sp.List(in)
	if err != nil {
		f.t.Fatal(err)
	}
	all := map[string]Listing{}
	for _, l := range list {
		all[l.Name] = l
	}
	return all
}

// edit changes the reasons of an inbox, whose times stay.
func (f *fixture) edit(in Inbox, change func(k Key, text string) string) (changed int) {
	f.t.Helper()
	paths, err := filepath.Glob(filepath.Join(f.home, "spool", string(in), "reason", "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, path := range paths {
		st, err := os.Lstat(path)
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		old := read(f.t, path)
		text := change(Key(filepath.Base(path)), old)
		if text != old {
			changed++
		}
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, st.ModTime(), st.ModTime())); err != nil {
			f.t.Fatal(err)
		}
	}
	return changed
}

// everyKind fills relay/ with entries of every kind.
func everyKind(f *fixture) {
	defers := func(done ...int) {
		f.run(InboxRelay, func(_ context.Context, e *Entry) Outcome {
			o := DeferUntil(f.time.Add(time.Hour), "<"+e.Envelope.To[0].Addr+">: connection refused")
			if len(e.Envelope.To) > 2 {
				o.Done = done
			}
			return o
		})
	}
	env := func(from string, to ...Recipient) Key {
		k, err := f.sp.Accept(InboxRelay, Envelope{From: Path{Addr: from}, To: to}, nil, Trace{By: "mx.example.net", With: WithLocal}, BytesBody([]byte("x\n")))
		if err != nil {
			f.t.Fatal(err)
		}
		return k
	}
	f.accept(InboxRelay, "x\n", "b@c.example")
	env("", Recipient{Addr: "b@c.example", Params: "NOTIFY=NEVER"})
	env("grün@bücher.example", Recipient{Addr: `"> to <"@c.example`})
	env("a\u202eb@c.example", Recipient{Addr: "b@c.example"})
	f.accept(InboxRelay, "x\n", "b@c.example", "d@e.example", "f@g.example")
	f.accept(InboxRelay, "x\n", strings.Split(strings.TrimSuffix(strings.Repeat("b@c.example ", 90), " "), " ")...)
	f.accept(InboxRoute, "x\n", "b@c.example")
	f.run(InboxRoute, func(_ context.Context, e *Entry) Outcome {
		if e.With == WithBounce {
			return HandOnTo(InboxRelay)
		}
		return Outcome{Children: []Child{{Inbox: InboxRelay, From: e.Envelope.From, To: []Recipient{{Addr: "child@c.example"}}}},
			Bounce: &Bounce{To: "alice@example.org", Failed: []int{0}, Body: []byte("Subject: failed\n\nx\n")}, Action: Drop}
	})
	defers()
	f.time = f.time.Add(2 * time.Hour)
	defers(1)
	f.accept(InboxRelay, "x\n", "new@c.example")
}

// What is listed is the same with the lines about the entries and without, for entries of every
// kind, whether they were deferred, retried or spoilt.
func TestListedByReasons(t *testing.T) {
	f := newFixture(t)
	everyKind(f)
	relay := filepath.Join(f.home, "spool", "relay")
	retried, odd := f.accept(InboxRelay, "x\n", "retried@c.example"), f.accept(InboxRelay, "x\n", "odd@c.example")
	f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(time.Hour), "down") })
	if err := f.sp.Retry(f.find(retried)); err != nil {
		t.Fatal(err)
	}
	reason := filepath.Join(relay, "reason", string(odd))
	if err := errors.Join(os.Remove(reason), unix.Mkfifo(reason, 0o600), os.WriteFile(filepath.Join(relay, "cur", "by hand"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	with := f.listed(InboxRelay)
	if len(with) != 12 {
		t.Errorf("%d entries", len(with))
	}
	same := func(what string, least int, change func(k Key, text string) string) {
		if n := f.edit(InboxRelay, change); n < least {
			t.Errorf("%s: %d are changed", what, n)
		}
		for name, l := range f.listed(InboxRelay) {
			if !equalListing(l, with[name]) {
				t.Errorf("%s: %+v\nbefore %+v", what, l, with[name])
			}
		}
	}
	same("a copy of the line of another", 8, func(_ Key, text string) string {
		return strings.Replace(text, ",S=", ",S=1", 1)
	})
	same("a line without a part", 8, func(_ Key, text string) string {
		return strings.Replace(text, " from <", " fro <", 1)
	})
	same("no line", 8, func(k Key, text string) (left string) {
		for line := range strings.Lines(text) {
			if !isShown([]byte(line), k) {
				left += line
			}
		}
		return left
	})
}

// The line is what is listed: once an entry is deferred its recipients change by marks alone, which
// are seen where there are several.
func TestListedWithoutTheEntry(t *testing.T) {
	f := newFixture(t)
	one, two := f.accept(InboxRelay, "x\n", "b@c.example"), f.accept(InboxRelay, "x\n", "b@c.example", "d@e.example")
	again := func() {
		f.run(InboxRelay, func(context.Context, *Entry) Outcome { return DeferUntil(f.time.Add(time.Hour), "down") })
		f.time = f.time.Add(2 * time.Hour)
	}
	again()
	again()
	for _, k := range []Key{one, two} {
		reason := read(t, filepath.Join(f.home, "spool", "relay", "reason", string(k)))
		if !strings.HasPrefix(reason, "entry "+string(k)+",S=") || strings.Count(reason, "\n") != 3 {
			t.Errorf("reason is %q", reason)
		}
		e := f.find(k)
		if text, err := e.Reasons(); strings.Contains(text, "entry ") || strings.Count(text, "down") != 2 || err != nil {
			t.Errorf("reasons are %q, %v", text, err)
		}
		path := e.at.path()
		if err := os.WriteFile(path, []byte(strings.Replace(read(t, path), "alice@", "carol@", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range f.listed(InboxRelay) {
		if want := map[Key]string{one: "alice@example.org", two: "carol@example.org"}[l.Key]; l.Envelope.From.Addr != want {
			t.Errorf("%d recipients: from %s, want %s", len(l.Envelope.To), l.Envelope.From.Addr, want)
		}
	}
	again() // which says what has changed
	if text := read(t, filepath.Join(f.home, "spool", "relay", "reason", string(one))); strings.Count(text, "entry ") != 2 || !strings.Contains(text, "carol@") {
		t.Errorf("reason is %q", text)
	}
}
