package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paperpath/internal/spool"
)

// poison is a file in an inbox that no stage can work on.
type poison struct {
	name string
	lay  func(w *world, path string) error // path is free, in the inbox's new/
	held bool                              // it ends up in hold/ with a reason; else it stays and is reported
}

const poisonKey = "1764000000.M000001R0123456789abcdef.mx"

// entryText is an entry as it should be, except for its id.
func entryText(id string) string {
	return "Return-Path: <bob@example.net>\nDelivered-To: alice@example.net\n" +
		"Received: by mx.example.net\n with local id " + id + "; Mon, 23 Nov 2026 12:00:00 +0000\n" + string(letter("token-9", small))
}

func sized(key, text string) string {
	return fmt.Sprintf("%s,S=%d,W=%d", key, len(text), len(text)+strings.Count(text, "\n"))
}

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

func poisons() []poison {
	in := func(path, name string) string { return filepath.Join(filepath.Dir(path), name) }
	elsewhereFile := func(w *world) (string, error) {
		path := filepath.Join(w.home, "control", "hostname~")
		return path, os.WriteFile(path, []byte(entryText(poisonKey)), 0o600)
	}
	return []poison{
		{"an id that is not its name", func(_ *world, path string) error {
			text := entryText("1764000000.M000002R0123456789abcdef.mx")
			return write(in(path, sized(poisonKey, text)), text)
		}, true},
		{"a name of another form", func(_ *world, path string) error {
			return write(in(path, "hello"), entryText(poisonKey))
		}, true},
		{"none of our fields", func(_ *world, path string) error {
			text := string(letter("token-9", small))
			return write(in(path, sized(poisonKey, text)), text)
		}, true},
		{"an empty file", func(_ *world, path string) error { return write(in(path, poisonKey+",S=0,W=0"), "") }, true},
		{"longer than its name says", func(_ *world, path string) error {
			text := entryText(poisonKey)
			return write(in(path, sized(poisonKey, text)), text+"more\n")
		}, true},
		{"torn: it may be on its way in", func(_ *world, path string) error {
			text := entryText(poisonKey)
			return write(in(path, sized(poisonKey, text)), text[:len(text)/2])
		}, false},
		{"a symbolic link", func(w *world, path string) error {
			target, err := elsewhereFile(w)
			if err != nil {
				return err
			}
			return os.Symlink(target, in(path, sized(poisonKey, entryText(poisonKey))))
		}, false},
		{"a fifo", func(_ *world, path string) error { return syscall.Mkfifo(in(path, poisonKey+",S=9,W=9"), 0o600) }, false},
		{"a directory", func(_ *world, path string) error { return os.Mkdir(in(path, poisonKey+",S=9,W=9"), 0o700) }, false},
		{"a device", func(_ *world, path string) error {
			return syscall.Mknod(in(path, poisonKey+",S=9,W=9"), syscall.S_IFCHR|0o600, 1<<8|5) // /dev/zero
		}, false},
		{"a file of another owner", func(_ *world, path string) error {
			name := in(path, sized(poisonKey, entryText(poisonKey)))
			if err := write(name, entryText(poisonKey)); err != nil {
				return err
			}
			return os.Chown(name, 65534, 65534)
		}, false},
		{"a hard link", func(w *world, path string) error {
			target, err := elsewhereFile(w)
			if err != nil {
				return err
			}
			return os.Link(target, in(path, sized(poisonKey, entryText(poisonKey))))
		}, false},
	}
}

// poisonRow puts each poison into each inbox, with a good message beside it, and runs
// the stage: the good one goes on, the bad one is isolated.
func poisonRow(p *pool) *row {
	r := &row{name: "poison"}
	list := poisons()
	p.each(r, len(list)*len(stages), func(w *worker, i int) {
		x, st := list[(i-1)%len(list)], stages[(i-1)/len(list)]
		where := x.name + " in " + st.inbox
		if err := w.poison(x, st.inbox, st.program); err != nil {
			r.fail(where, err)
			return
		}
		r.add(finding{}, false, where)
	})
	return r
}

func (wk *worker) poison(x poison, inbox, program string) error {
	w, err := wk.world(&scenario{})
	if err != nil {
		return err
	}
	defer w.close()
	dir := filepath.Join(w.home, "spool", inbox, "new")
	if err := x.lay(w, filepath.Join(dir, "x")); err != nil {
		return err
	}
	goal := "alice@example.net"
	if inbox == "relay" {
		goal = elsewhere
	}
	if _, err := w.put(spool.Inbox(inbox), token, to(goal)...); err != nil {
		return err
	}
	if err := w.work(program, time.Now()); err != nil {
		return err
	}
	if n := len(w.entries(inbox)); x.held && n != 0 || !x.held && n != 1 {
		return fmt.Errorf("%d files left in %s/", n, inbox)
	}
	return w.isolated(x)
}

// isolated checks where the poison is, and that the others went on.
func (w *world) isolated(x poison) error {
	held, reason := w.entries("hold"), ""
	if len(held) > 0 {
		key, _, _ := strings.Cut(filepath.Base(held[0]), ",")
		text, _ := os.ReadFile(filepath.Join(w.home, "spool/hold/reason", key))
		reason = string(text)
	}
	switch {
	case x.held && (len(held) != 1 || !strings.Contains(reason, "held: ")):
		return fmt.Errorf("in hold/ are %q, for %q", held, reason)
	case !x.held && (len(held) != 0 || !strings.Contains(w.log(), "left in ") && !strings.HasPrefix(x.name, "torn")):
		return fmt.Errorf("in hold/ are %q; nothing is reported: %.300s", held, w.log())
	}
	for _, path := range w.entries("check", "route", "deliver", "relay", "hold") {
		if strings.Contains(path, poisonKey) || x.held && strings.Contains(path, "/hold/") {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	if err := w.drain(); err != nil {
		return err
	}
	a, err := w.arrived()
	if err != nil {
		return err
	}
	if n := a.counts["alice"][token] + a.counts[elsewhere][token]; n != 1 || len(a.torn) > 0 {
		return fmt.Errorf("the message beside it arrived %d times; torn: %q", n, a.torn)
	}
	return nil
}
