package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// world is all that a point needs: a home, a directory on another file system
// and a next host. Each point gets a fresh copy of its scenario's template.
type world struct {
	home     string // the home
	far      string // on another file system, what home/far leads to
	programs harness.Programs
	sink     *harness.Sink
	tracer   *tracer
	owners   owners
}

// The users. carl's mailbox is on the other file system, as that of owen, which is another
// user's; dora has none yet, as the members of crew.
var boxes = append([]string{"alice", "bob", "carl", "owen", "dora"}, crew()...)

// crew are so many that the children of a message for all of them are synced
// together.
func crew() (names []string) {
	for n := range 16 {
		names = append(names, fmt.Sprintf("crew%d", n))
	}
	return names
}

func (w *world) mailbox(user string) string {
	if user == "carl" || user == "owen" {
		return filepath.Join(w.far, user)
	}
	return filepath.Join(w.home, "mail", harness.Domain, user)
}

// newTemplate makes the home of which all others are copies: users, aliases
// that split, and letters to elsewhere.example for the next host.
func newTemplate(p harness.Programs, dir string) error {
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	h, err := p.NewHome(home, "alice", "bob")
	if err != nil {
		return err
	}
	users, err := os.ReadFile(filepath.Join(home, "control/users"))
	if err != nil {
		return err
	}
	for name, rows := range map[string][]string{
		"users": {strings.TrimSpace(string(users)), "carl@example.net:::::far/carl:",
			fmt.Sprintf("owen@example.net::%d:%d::far/owen:", foreignUID, foreignUID), "dora@example.net::::::",
			"eve@example.net:{PLAIN}" + harness.Password + "::::mail/example.net/alice:",
			strings.Join(crew(), "@example.net::::::\n") + "@example.net::::::"},
		"aliases": {"both: alice, bob", "all: alice, bob, x@elsewhere.example", "away: x@elsewhere.example", "ghost: ghost, alice, x@elsewhere.example",
			"crew: " + strings.Join(crew(), ", ")},
		"hostname": {harness.Hostname},
		// Each name beside the home would be three calls more to be killed at.
		"landlock": {"no"},
	} {
		if err := h.Set(name, rows...); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "far"), 0o711); err != nil { // owen passes through
		return err
	}
	for _, user := range []string{"carl", "owen"} {
		if err := os.MkdirAll(filepath.Join(dir, "far", user), 0o700); err != nil {
			return err
		}
	}
	return makeOld(dir)
}

// makeOld sets the times of all files back, so that control files count as
// still (control(5)).
func makeOld(dir string) error {
	then := time.Now().Add(-time.Hour)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, then, then)
	})
}

// openWorld makes a world from the template dir: home in homeDir, what is far in
// farDir. Both are empty or missing.
func openWorld(p harness.Programs, template, homeDir, farDir string) (*world, error) {
	w := &world{home: filepath.Join(homeDir, "home"), far: filepath.Join(farDir, "far"), programs: p}
	if err := copyTree(filepath.Join(template, "home"), w.home); err != nil {
		return nil, err
	}
	if err := copyTree(filepath.Join(template, "far"), w.far); err != nil {
		return nil, err
	}
	if err := os.Symlink(w.far, filepath.Join(w.home, "far")); err != nil {
		return nil, err
	}
	var err error
	if w.sink, err = harness.NewSink("ok"); err != nil {
		return nil, err
	}
	return w, w.setRoutes()
}

// routesFile has the routes of a template: SINK stands for the next host, HOME for the home,
// which are others in each world, and BIN for the programs.
const routesFile = "run/torture-routes"

func (w *world) setRoutes() error {
	rows, err := os.ReadFile(filepath.Join(w.home, routesFile))
	if errors.Is(err, fs.ErrNotExist) {
		rows, err = []byte("elsewhere.example: SINK\nother.example: SINK"), nil
	}
	if err != nil {
		return err
	}
	return w.set("routes", strings.NewReplacer("SINK", w.sink.Addr, "HOME", w.home,
		"BIN", string(w.programs)).Replace(string(rows)))
}

// set writes a control file, as if an hour ago.
func (w *world) set(name string, rows ...string) error {
	path := filepath.Join(w.home, "control", name)
	if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	then := time.Now().Add(-time.Hour)
	return os.Chtimes(path, then, then)
}

func (w *world) close() {
	w.sink.Close()
	os.RemoveAll(w.home)
	os.RemoveAll(w.far)
}

// copyTree copies files, directories and their times. Links are left out.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, info.Mode().Perm())
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(target, data, info.Mode().Perm())
		}
		if err == nil {
			err = os.Chtimes(target, info.ModTime(), info.ModTime())
		}
		return err
	})
}

// entries returns the entries in the inboxes named.
func (w *world) entries(inboxes ...string) (all []string) {
	for _, inbox := range inboxes {
		for _, sub := range []string{"new", "cur"} {
			names, _ := filepath.Glob(filepath.Join(w.home, "spool", inbox, sub, "*"))
			all = append(all, names...)
		}
	}
	return all
}

// complete returns the files in tmp/ of an inbox that have the name and the size of an entry.
func (w *world) complete(inbox string) (all []string) {
	names, _ := filepath.Glob(filepath.Join(w.home, "spool", inbox, "tmp", "*,S=*"))
	for _, name := range names {
		_, sizes, _ := strings.Cut(name, ",S=")
		size, _, _ := strings.Cut(sizes, ",")
		if info, err := os.Stat(name); err == nil && fmt.Sprint(info.Size()) == size {
			all = append(all, name)
		}
	}
	return all
}

// leave puts an entry where a power cut leaves one that was acknowledged.
func (w *world) leave(in spool.Inbox, to ...spool.Recipient) error {
	if _, err := w.put(in, token, to...); err != nil {
		return err
	}
	for _, path := range w.entries(string(in)) {
		if err := os.Rename(path, filepath.Join(w.home, "spool", string(in), "tmp", filepath.Base(path))); err != nil {
			return err
		}
	}
	return w.newBoot()
}

// open opens the spool as a program does at its start, and closes it.
func (w *world) open() error {
	s, err := spool.Open(w.home, spool.Options{Hostname: harness.Hostname})
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

// newBoot makes the spool look as it does on another boot of the machine.
func (w *world) newBoot() error {
	err := os.Remove(filepath.Join(w.home, "spool", spool.Record))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// log returns the events so far.
func (w *world) log() string {
	text, _ := os.ReadFile(filepath.Join(w.home, "log", "mail.log"))
	return string(text)
}
