package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"paperpath/test/harness"
)

// full is a small file system that fills up while mail arrives.
type full struct {
	name    string
	mkfs    []string // options
	reserve string   // control/reserve, "" for the default
	octets  int64    // what that is
	inodes  int64
	size    int // of the letters
}

func fulls() []full {
	return []full{
		{"full: 64 MiB", nil, "", 16 << 20, 100, 1 << 20},
		{"full: 200 inodes", []string{"-N", "200"}, "1000000 20", 1000000, 20, small},
	}
}

// fullRow fills the file system by mailsubmit, then frees it.
func fullRow(t *table, p *pool, f full) {
	w := <-p.workers
	defer func() { p.workers <- w }()
	i, err := newImage(w.near, "full", fileSystems["ext4"], f.mkfs...)
	if err != nil {
		t.skip(f.name, err.Error())
		return
	}
	defer i.close()
	r := &row{name: f.name}
	if err := f.run(w, i, r); err != nil {
		r.fail("on "+i.fs, err)
	}
	t.row(r)
}

// fullSplitRow splits a message for which there is room once and not for all of
// its mailboxes, then frees the file system.
func fullSplitRow(t *table, p *pool) {
	f := full{name: "full: a split", octets: 16 << 20, inodes: 100}
	w := <-p.workers
	defer func() { p.workers <- w }()
	i, err := newImage(w.near, "full", fileSystems["ext4"])
	if err != nil {
		t.skip(f.name, err.Error())
		return
	}
	defer i.close()
	r := &row{name: f.name}
	if err := f.split(w, i, r); err != nil {
		r.fail("on "+i.fs, err)
	}
	t.row(r)
}

func (f full) split(wk *worker, i *image, r *row) error {
	template, err := wk.pool.template(&scenario{})
	if err != nil {
		return err
	}
	w, err := openWorld(wk.pool.programs, template, i.mount, i.mount)
	if err != nil {
		return err
	}
	w.tracer = wk.tracer
	s := scenario{program: "mailroute", args: fixed("run"), wants: must(crew()...)}
	in := bytes.NewReader(letter(token, 1<<20))
	if _, err := w.programs.Must(w.home, in, "mailsubmit", "-f", "bob@example.net", "crew@example.net"); err != nil {
		return err
	}
	ballast := filepath.Join(i.mount, "ballast")
	if err := fillUpTo(i.mount, ballast, f.octets+8<<20); err != nil {
		return err
	}
	for _, stage := range []string{"mailcheck", "mailroute"} {
		if _, err := w.programs.Must(w.home, nil, stage, "run"); err != nil {
			return err
		}
	}
	if err := f.stillFree(i.mount); err != nil {
		return err
	}
	if n := len(w.entries("deliver")); n > 0 || len(w.entries("route")) != 1 {
		return fmt.Errorf("%d children without room for them", n)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := w.settle(&s, true); err != nil {
		return err
	}
	found, err := w.judge(&s, true, false)
	if err != nil {
		return err
	}
	r.add(found, false, "after the split")
	return nil
}

// fillUpTo writes a file that leaves that many octets free.
func fillUpTo(path, name string, octets int64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return err
	}
	return os.WriteFile(name, make([]byte, int64(st.Bavail)*st.Bsize-octets), 0o600)
}

func (f full) run(wk *worker, i *image, r *row) error {
	template, err := wk.pool.template(&scenario{})
	if err != nil {
		return err
	}
	w, err := openWorld(wk.pool.programs, template, i.mount, i.mount)
	if err != nil {
		return err
	}
	w.tracer = wk.tracer
	if f.reserve != "" {
		if err := w.set("reserve", f.reserve); err != nil {
			return err
		}
	}
	s := scenario{program: "mailsubmit"}
	for n := 1; ; n++ {
		name := fmt.Sprintf("token-%d", n)
		res, err := w.submit(name, f.size)
		if err != nil {
			return err
		}
		if res.Status == 75 && n > 1 {
			break
		}
		if res.Status != 0 || n == 500 {
			return fmt.Errorf("letter %d: exit status %d: %.300s", n, res.Status, res.Stderr)
		}
		s.wants = append(s.wants, want{box: "alice", token: name})
	}
	if err := f.stillFree(i.mount); err != nil {
		return err
	}
	if err := w.refusedBySMTP(f.size); err != nil {
		return err
	}
	if err := w.settle(&s, true); err != nil {
		return err
	}
	found, err := w.judge(&s, true, false)
	if err != nil {
		return err
	}
	r.add(found, false, fmt.Sprintf("after %d letters", len(s.wants)))
	return w.resumes()
}

func (w *world) submit(token string, size int) (harness.Result, error) {
	return w.programs.Run(w.home, bytes.NewReader(letter(token, size)), "mailsubmit", "-f", "bob@example.net", "alice@example.net")
}

// stillFree checks that the reserve was left alone, except for a few blocks of the log
// and of directories.
func (f full) stillFree(path string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * st.Bsize; free < f.octets-64<<10 {
		return fmt.Errorf("%d octets are free, the reserve is %d", free, f.octets)
	}
	if int64(st.Ffree) < f.inodes-2 {
		return fmt.Errorf("%d inodes are free, the reserve is %d", st.Ffree, f.inodes)
	}
	return nil
}

// refusedBySMTP: the same refusal in a session is a 452.
func (w *world) refusedBySMTP(size int) error {
	s := bySMTP(size)
	r, err := w.step(&s, func(*call) act { return act{} })
	if err == nil && (r.yes || len(r.replies) == 0 || !strings.HasPrefix(r.replies[0], "452")) {
		err = fmt.Errorf("by SMTP the reply is %q, not 452", r.replies)
	}
	return err
}

// resumes frees the mailbox, after which mail is taken again.
func (w *world) resumes() error {
	names, _ := filepath.Glob(filepath.Join(w.mailbox("alice"), "Maildir/new/*"))
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	r, err := w.submit("token-again", small)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("with room again: exit status %d: %.300s", r.Status, r.Stderr)
	}
	return err
}
