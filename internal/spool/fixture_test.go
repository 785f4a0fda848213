package spool

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/maillog"
)

// fixture is a home with a spool, a log and a clock that a test sets.
type fixture struct {
	t    *testing.T
	home string
	sp   *Spool
	log  bytes.Buffer
	time time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, home: t.TempDir(), time: time.Now()}
	if err := Init(f.home); err != nil {
		t.Fatal(err)
	}
	sp, err := Open(f.home, f.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	f.sp = sp
	return f
}

func (f *fixture) options() Options {
	now := func() time.Time { return f.time }
	return Options{Now: now, Hostname: "mx.example.net", Log: maillog.To(&f.log, "test", now)}
}

func (f *fixture) accept(in Inbox, body string, to ...string) Key {
	f.t.Helper()
	env := Envelope{From: Path{Addr: "alice@example.org"}}
	for _, a := range to {
		env.To = append(env.To, Recipient{Addr: a})
	}
	k, err := f.sp.Accept(in, env, nil, Trace{By: "mx.example.net", With: WithLocal}, BytesBody([]byte(body)))
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

func (f *fixture) runner(in Inbox, h Handler) *Runner {
	return &Runner{Spool: f.sp, Inbox: in, Handle: h, Workers: workers(2),
		Retry: func() (control.Retry, error) {
			return control.Retry{Steps: []time.Duration{5 * time.Minute, time.Hour}, Lifetime: 120 * time.Hour, Attempts: 10}, nil
		}}
}

// machine moves the machine's clock forward, by which files grow old.
func (f *fixture) machine(by time.Duration) {
	f.sp.machine = func() time.Time { return time.Now().Add(by) }
}

func workers(n int) func() int { return func() int { return n } }

func (f *fixture) run(in Inbox, h Handler) {
	f.t.Helper()
	if err := f.runner(in, h).Run(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// files lists the spool's files, names cut to what a test can know.
func (f *fixture) files() []string {
	f.t.Helper()
	var list []string
	err := filepath.WalkDir(filepath.Join(f.home, "spool"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != Mark && d.Name() != Record {
			rel, _ := filepath.Rel(filepath.Join(f.home, "spool"), path)
			list = append(list, rel)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

func (f *fixture) only(dir string) string {
	f.t.Helper()
	names := f.files()
	if len(names) != 1 || !strings.HasPrefix(names[0], dir+"/") {
		f.t.Fatalf("files are %q, want one in %s", names, dir)
	}
	return filepath.Join(f.home, "spool", names[0])
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
