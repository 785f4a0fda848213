package maillog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/status"
)

func at() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// someValue has a value for every type that events have.
var someValue = map[reflect.Type]any{
	reflect.TypeFor[string]():        "x",
	reflect.TypeFor[[]string]():      []string{"c@d", "e@f"},
	reflect.TypeFor[int]():           1,
	reflect.TypeFor[int64]():         int64(7),
	reflect.TypeFor[bool]():          true,
	reflect.TypeFor[error]():         status.Guard(func() error { panic("disk") }),
	reflect.TypeFor[time.Time]():     at(),
	reflect.TypeFor[time.Duration](): 24 * time.Hour,
	reflect.TypeFor[Message]():       Message{Key: "k", Inbox: "route", From: "a@b", To: []string{"c@d", "e@f"}, Size: 7, With: "ESMTP", ID: "<i>"},
	reflect.TypeFor[Remote]():        Remote{Host: "mx.example", Addr: "192.0.2.1", TLS: "TLS1.3", Verified: "yes", Rule: "may (default)", Signed: "example.org: r e"},
	reflect.TypeFor[Verdict](): Verdict{Action: "tag", Check: "spf", Reason: "why", From: "a@b",
		Checks: []CheckResult{{Name: "spf", Result: "fail", Action: "tag", Reason: "why", Took: time.Millisecond}}},
	reflect.TypeFor[Client](): Client{Addr: "192.0.2.7", Helo: "h", Login: "a@b", TLS: "TLS1.3", UID: "0"},
}

// everyEvent calls every method of l that writes one, with every value set.
func everyEvent(t *testing.T, l *Log) {
	t.Helper()
	l.to.lost.Store(3) // which the next event says
	v := reflect.ValueOf(l)
	for i := range v.NumMethod() {
		name, method := v.Type().Method(i).Name, v.Method(i)
		if name == "Forward" || name == "Together" || name == "Gather" { // say how others are written
			continue
		}
		var args []reflect.Value
		for in := range method.Type().Ins() {
			value, ok := someValue[in]
			if !ok {
				t.Fatalf("%s: the test has no value of type %s", name, in)
			}
			args = append(args, reflect.ValueOf(value))
		}
		method.Call(args)
	}
}

var shape = regexp.MustCompile(`^time=\S+ prog=test event=(\S+) key=(\S+)((?: [a-z]+=(?:"[^"]*"|\S*))*)$`)

// TestTogether: events of many recipients are as those written one by one, in few writes.
func TestTogether(t *testing.T) {
	var one, many writes
	each := func(l *Log) {
		for i := range 1000 {
			l.Split("key", "child", "deliver", []string{strconv.Itoa(i)})
		}
	}
	each(To(&one, "test", at))
	To(&many, "test", at).Together(each)
	(*Log)(nil).Together(each)
	if len(one.all()) != 1000 || len(many.all()) > 30 || strings.Join(one.all(), "") != strings.Join(many.all(), "") {
		t.Errorf("%d and %d writes", len(one.all()), len(many.all()))
	}
	for _, text := range many.all() {
		if !strings.HasSuffix(text, "\n") || len(text) > 4096 {
			t.Errorf("a write ends in a line, or a pipe may cut it: %q", text)
		}
	}
}

// TestGather: events of deliveries are written together and in order, soon, at the latest before
// the next event of another kind.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var one, many writes
		each := func(l *Log) {
			for i := range 100 {
				l.Delivered(strconv.Itoa(i), "a@b", "/box", "rename")
			}
			l.Dropped("100", "deliver", "done")
			l.Delivered("101", "a@b", "/box", "rename")
		}
		each(To(&one, "test", at))
		l := To(&many, "test", at)
		end := l.Gather()
		each(l)
		if last := many.all()[len(many.all())-1]; !strings.Contains(last, "event=dropped") {
			t.Errorf("what waits comes before other events: %q", last)
		}
		time.Sleep(gatherFor)
		synctest.Wait()
		if len(many.all()) > 12 || strings.Join(one.all(), "") != strings.Join(many.all(), "") {
			t.Errorf("%d and %d writes", len(one.all()), len(many.all()))
		}
		for _, text := range many.all() {
			if !strings.HasSuffix(text, "\n") || len(text) > maxHeld {
				t.Errorf("a write ends in a line, or a pipe may cut it: %q", text)
			}
		}
		for what, do := range map[string]func(){"flush": l.Flush, "end": end, "after the end": func() {}} {
			if what == "after the end" {
				end()
			}
			before := len(many.all())
			l.Delivered("k", "a@b", "/box", "rename")
			if do(); len(many.all()) != before+1 {
				t.Errorf("%s: it is not written", what)
			}
			l.Gather()
		}
		end()
		(*Log)(nil).Gather()()
		(*Log)(nil).Flush()
	})
}

// writes keeps each write.
type writes struct {
	mu    sync.Mutex // a log writes in goroutines of its own
	texts []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, string(p))
	return len(p), nil
}

// all returns what was written until now.
func (w *writes) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.texts)
}

// TestEveryEventIsDocumented holds maillog(5) and the code together: the same
// events, with the same names of values.
func TestEveryEventIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../man/maillog.5")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\.It Cm (\S+) Ar (.*)$`).FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = " " + strings.TrimPrefix(m[2], `\&`) + " "
	}
	var out bytes.Buffer
	everyEvent(t, To(&out, "test", at))
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		m := shape.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("odd line %s", line)
			continue
		}
		names, ok := documented[m[1]]
		if !ok {
			t.Errorf("event %s is not in maillog(5)", m[1])
		}
		delete(documented, m[1])
		for _, v := range regexp.MustCompile(` ([a-z]+)=`).FindAllStringSubmatch(m[3], -1) {
			if !strings.Contains(names, " "+v[1]+" ") {
				t.Errorf("maillog(5) gives no %s for %s", v[1], m[1])
			}
			names = strings.Replace(names, " "+v[1]+" ", " ", 1)
		}
		if strings.TrimSpace(names) != "" {
			t.Errorf("maillog(5) gives%sfor %s, the code does not", names, m[1])
		}
	}
	for name := range documented {
		t.Errorf("maillog(5) has %s, the code has not", name)
	}
}

// Every event has a program that writes it.
func TestEveryEventIsWritten(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"../*/*.go", "../../cmd/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(name, "_test.go") {
				code.Write(text)
			}
		}
	}
	called := map[string]bool{}
	for _, call := range regexp.MustCompile(`[lL]og\.(\w+)\(`).FindAllStringSubmatch(code.String(), -1) {
		called[call[1]] = true
	}
	for m := range reflect.TypeFor[*Log]().Methods() {
		if !called[m.Name] {
			t.Errorf("no program calls %s", m.Name)
		}
	}
}

func TestValuesCannotForgeALine(t *testing.T) {
	var out bytes.Buffer
	To(&out, "test", at).Refused("a\nevent=accepted", "b\x1b[31m", "x\" y", "z\nevent=accepted", Client{})
	if n := strings.Count(out.String(), "\n"); n != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%d lines: %q", n, out.String())
	}
}

// Nothing that a terminal may obey stands raw in a line, wherever it goes, nor in
// one that another process hands over.
func TestNothingInALineIsObeyed(t *testing.T) {
	for raw, shown := range map[string]string{"\x7f": `\x7f`, "\x1b[2J": `\x1b[2J`, "\u009b2J": `\u009b2J`, "\x9b2J": `\x9b2J`,
		"\u2028": `\u2028`, "\u202e": `\u202e`, "\u2066": `\u2066`, "\t": `\t`} {
		var out bytes.Buffer
		l := To(&out, "test", at)
		l.Refused("a"+raw+"b"+raw, raw, "550 a=b c"+raw, "", Client{Helo: "h\\" + raw, Login: "plain"})
		line := out.String()
		if strings.Contains(line, raw) || strings.Count(line, "\n") != 1 || !shape.MatchString(strings.TrimSpace(line)) ||
			!strings.Contains(line, `from="a`+shown+"b"+shown+`" to="`+shown+`"`) || !strings.Contains(line, "login=plain") {
			t.Errorf("%q: %q", raw, line)
		}
		out.Reset()
		l.Forward(strings.NewReader(line))
		if out.String() != line {
			t.Errorf("%q is handed over as %q", line, out.String())
		}
		out.Reset()
		l.Forward(strings.NewReader("time=x prog=test event=busy key=- inbox=" + raw + "\n"))
		if out.Len() > 0 && raw != "\t" {
			t.Errorf("taken over: %q", out.String())
		}
	}
}

func TestTheFileIsFollowedThroughRotation(t *testing.T) {
	home := t.TempDir()
	os.Mkdir(filepath.Join(home, "log"), 0o700)
	path := filepath.Join(home, "log", "mail.log")
	l := Open(home, "test", func() string { return "" }, at)
	l.Busy("route")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Watching("route")
	for name, want := range map[string]string{path + ".1": "event=busy", path: "event=watching"} {
		b, err := os.ReadFile(name)
		if err != nil || strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), want) {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
}

// However deep a panic was and however often it is wrapped, its event has the stack,
// and no line is too long to be forwarded.
func TestTroubleHasTheStackOfAPanic(t *testing.T) {
	var deep func(n int)
	deep = func(n int) {
		if n == 0 {
			panic(strings.Repeat("\x00\n", 1000))
		}
		deep(n - 1)
	}
	err := fmt.Errorf("wrapped: %w", status.Guard(func() error { deep(300); return nil }))
	var out bytes.Buffer
	l := To(&out, "test", at)
	l.Trouble("", "op", err)
	line := out.String()
	if !strings.Contains(line, ` stack="goroutine `) || !strings.Contains(line, "maillog_test.go:") ||
		strings.Count(line, "\n") != 1 || len(line) > maxForwarded {
		t.Errorf("%d octets: %s", len(line), line)
	}
	if !l.isEvent([]byte(line)) {
		t.Error("it would not be forwarded")
	}
	out.Reset()
	l.Trouble("", "op", errors.New("disk"))
	if strings.Contains(out.String(), "stack=") {
		t.Errorf("no panic: %s", out.String())
	}
}

// Where the group may write to log/, every program of the group may append to the file,
// whichever has made it and whatever its umask; elsewhere the file stays its owner's.
func TestTheFileIsSharedWhereItsDirectoryIs(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	for dirMode, want := range map[os.FileMode]os.FileMode{0o700: 0o600, 0o750: 0o600, 0o770: 0o660} {
		home := t.TempDir()
		dir := filepath.Join(home, "log")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, dirMode|os.ModeSetgid)); err != nil {
			t.Fatal(err)
		}
		Open(home, "test", func() string { return "file" }, at).Busy("route")
		info, err := os.Stat(filepath.Join(dir, "mail.log"))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("log/ with mode %o: %v, %v; want %o", dirMode, info, err, want)
		}
	}
}
