package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paperpath/internal/message"
)

func TestAcceptWritesTheFinalForm(t *testing.T) {
	f := newFixture(t)
	k := f.accept(InboxRoute, "From: a@example.org\n\nhello\n", "bob@example.net")
	path := f.only("route/new")
	want := "Return-Path: <alice@example.org>\nDelivered-To: bob@example.net\n" +
		"Received: by mx.example.net\n with local id " + string(k) + "; "
	got := read(t, path)
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\nFrom: a@example.org\n\nhello\n") {
		t.Errorf("the file is\n%s", got)
	}
	name := fmt.Sprintf("%s,S=%d,W=%d", k, len(got), len(got)+strings.Count(got, "\n"))
	if filepath.Base(path) != name {
		t.Errorf("the name is %s, want %s", filepath.Base(path), name)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

func TestAcceptGuardsTheFirstLine(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"Subject: x\n\nb\n", "Subject: x\n\nb\n"},
		{"Subject : x\n\nb\n", "Subject : x\n\nb\n"},
		{" folded into ours\n", "\n folded into ours\n"},
		{"just text", "\njust text\n"},
		{"\nbody\n", "\nbody\n"},
		{"From joe Thu\nSubject: x\n\n", "X-Mailbox-Line: From joe Thu\nSubject: x\n\n"},
		{"From : a@b\n\n", "From : a@b\n\n"},
		{"Subject: no end", "Subject: no end\n"},
		{": x\n", "\n: x\n"},
		{"", ""},
	} {
		f := newFixture(t)
		f.accept(InboxCheck, c.body, "b@example.net")
		_, got, _ := strings.Cut(read(t, f.only("check/new")), " +0000\n")
		if got != c.want {
			t.Errorf("%q became %q, want %q", c.body, got, c.want)
		}
	}
}

func TestAcceptRefusesWhatCouldNotBeReadBack(t *testing.T) {
	f := newFixture(t)
	for _, env := range []Envelope{
		{From: Path{Addr: "a@b"}},
		{From: Path{Addr: "a\n@b"}, To: []Recipient{{Addr: "c@d"}}},
		{To: []Recipient{{Addr: "c\r@d"}}},
		{To: []Recipient{{Addr: ""}}},
		{To: []Recipient{{Addr: "c@d", Params: "NOTIFY=\nNEVER"}}},
		{To: []Recipient{{Addr: strings.Repeat("x", 2000)}}},
		{To: slices.Repeat([]Recipient{{Addr: strings.Repeat("x", 1000)}}, 5000)},
	} {
		if _, err := f.sp.Accept(InboxRoute, env, nil, Trace{}, BytesBody(nil)); err == nil {
			t.Errorf("accepted %+v", env)
		}
	}
	if files := f.files(); len(files) != 0 {
		t.Errorf("left %q", files)
	}
}

func TestBufferSpills(t *testing.T) {
	f := newFixture(t)
	b := f.sp.Buffer()
	defer b.Close()
	line := []byte(strings.Repeat("x", 998) + "\n")
	for b.Size() < 3*message.MemoryLimit {
		if _, err := b.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if len(nameless(f.home)) != 1 || len(f.files()) != 0 {
		t.Fatalf("not spilled without a name: %q, %q", nameless(f.home), f.files())
	}
	env := Envelope{To: []Recipient{{Addr: "b@example.net"}}}
	if _, err := f.sp.Accept(InboxRoute, env, nil, Trace{With: "ESMTP"}, b); err != nil {
		t.Fatal(err)
	}
	got := read(t, f.only("route/new"))
	if n := strings.Count(got, string(line)); int64(n*len(line)) != b.Size() {
		t.Errorf("%d lines arrived", n)
	}
}

// nameless returns the open files without a name below dir.
func nameless(dir string) (list []string) {
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, dir+"/") && strings.HasSuffix(to, " (deleted)") {
			list = append(list, to)
		}
	}
	return list
}

func TestMissingMarkMakesNothing(t *testing.T) {
	home := t.TempDir()
	os.MkdirAll(filepath.Join(home, "spool"), 0o700)
	if _, err := Open(home, Options{}); err == nil || !strings.Contains(err.Error(), Mark) {
		t.Errorf("error is %v", err)
	}
	if names, _ := os.ReadDir(filepath.Join(home, "spool")); len(names) != 0 {
		t.Errorf("made %v", names)
	}
}

func TestReserve(t *testing.T) {
	f := newFixture(t)
	f.sp.reserve = 1 << 62
	_, err := f.sp.Accept(InboxRoute, Envelope{To: []Recipient{{Addr: "a@b"}}}, nil, Trace{}, BytesBody([]byte("x\n")))
	if err == nil || !strings.Contains(err.Error(), "not enough space") || len(f.files()) != 0 {
		t.Errorf("error %v, files %q", err, f.files())
	}
}
