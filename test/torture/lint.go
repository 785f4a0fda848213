package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
)

// lint reads the trace of one step for a file system that promises no more than POSIX:
// nothing is durable but what was synced, the file and its name each by itself. It
// finds what ext4 hides.
type lint struct {
	dirty   map[string]bool            // files with data that is not synced
	names   map[string]map[string]bool // by directory: new names that are not synced
	removed map[string]bool            // directories with removals that are not synced
	relayed map[string]bool            // those from which entries went whose marks are not synced
	journal bool                       // the sync of a new file makes its name durable, too
	durable map[string]bool            // names that are so
	found   []string
}

func lintTrace(calls []*call, journal bool) []string {
	l := &lint{journal: journal, durable: map[string]bool{}, dirty: map[string]bool{}, names: map[string]map[string]bool{}, removed: map[string]bool{}, relayed: map[string]bool{}}
	for _, c := range calls {
		if c.ok() {
			l.call(c)
		} else if strings.HasPrefix(c.path, "socket:") {
			l.yes("an answer")
		}
	}
	l.yes("the exit")
	for dir := range l.relayed {
		l.find("the exit before it is synced what left %s", shorten(dir))
	}
	return l.found
}

func (l *lint) call(c *call) {
	switch c.name {
	case "openat":
		if c.makes {
			l.name(c.path)
		}
	case "write", "copy_file_range", "sendfile", "ftruncate":
		if strings.HasPrefix(c.path, "socket:") {
			l.yes(fmt.Sprintf("the answer %.20q", c.data))
		} else {
			l.dirty[c.path] = true
		}
	case "fsync", "fdatasync":
		l.durable[c.path] = l.journal
		delete(l.dirty, c.path)
		delete(l.names, c.path)
		delete(l.removed, c.path)
		delete(l.relayed, c.path)
	case "syncfs":
		l.all(c.path)
	case "mkdir":
		l.name(c.path)
	case "rename", "link":
		l.place(c)
	case "unlink":
		l.remove(c.path)
	}
}

// all: what is below the directory is durable. More may be, but no step relies on that.
func (l *lint) all(dir string) {
	below := func(path string) bool { return strings.HasPrefix(path, dir+"/") }
	maps.DeleteFunc(l.dirty, func(path string, _ bool) bool { return below(path) })
	maps.DeleteFunc(l.names, func(path string, _ map[string]bool) bool { return below(path) })
	maps.DeleteFunc(l.removed, func(path string, _ bool) bool { return below(path) })
}

func (l *lint) name(path string) {
	dir := filepath.Dir(path)
	if l.names[dir] == nil {
		l.names[dir] = map[string]bool{}
	}
	l.names[dir][path] = true
}

// place: a name appears in new/ or cur/. What comes from tmp/ was written just
// now, and its data must be synced.
func (l *lint) place(c *call) {
	if within(c.path, "tmp") && l.dirty[c.path] {
		l.find("%v before its data is synced", c)
	}
	if l.dirty[c.path] {
		l.dirty[c.to] = true
	}
	if c.name == "rename" {
		delete(l.dirty, c.path)
		delete(l.names[filepath.Dir(c.path)], c.path)
	}
	// Handing on inside the spool is journaled and needs no sync. What a power cut would
	// leave in tmp/ under the name of its entry is promoted.
	if l.durable[c.path] && filepath.Base(c.path) == filepath.Base(c.to) && strings.Contains(c.to, "/spool/") {
		return
	}
	if within(c.path, "tmp") || !strings.Contains(c.to, "/spool/") {
		l.name(c.to)
	}
}

// remove: an entry may go only once all that was made of it is durable.
func (l *lint) remove(path string) {
	switch {
	case strings.Contains(path, "/spool/") && (within(path, "new") || within(path, "cur")):
		l.settled("the entry goes: " + shorten(path))
		if l.dirty[path] { // its removal is the record of its marks
			l.relayed[filepath.Dir(path)] = true
		}
	case within(path, "new") || within(path, "cur"):
		l.removed[filepath.Dir(path)] = true
	}
	delete(l.names[filepath.Dir(path)], path)
	delete(l.dirty, path)
}

func within(path, sub string) bool { return filepath.Base(filepath.Dir(path)) == sub }

// yes: the client that hears it relies on all that was done.
func (l *lint) yes(what string) {
	l.settled(what)
	for dir := range l.removed {
		l.find("%s before removals in %s are synced", what, shorten(dir))
	}
}

// settled finds messages and directories whose names are not durable yet.
func (l *lint) settled(what string) {
	for dir, names := range l.names {
		for path := range names {
			if within(path, "new") || within(path, "cur") || within(dir, "mail") || l.isParent(path) {
				l.find("%s before %s is synced in its directory", what, shorten(path))
			}
		}
	}
}

// isParent reports whether path is a directory of a mailbox.
func (l *lint) isParent(path string) bool {
	base := filepath.Base(path)
	return base == "Maildir" || within(path, "Maildir") && (base == "new" || base == "cur" || base == "tmp")
}

func (l *lint) find(format string, args ...any) {
	l.found = append(l.found, fmt.Sprintf(format, args...))
}

// lintScenario runs the step once, without a fault, and reads its trace.
func lintScenario(p *pool, s *scenario) *row {
	r := &row{name: "order: " + s.name}
	p.each(r, 1, func(w *worker, _ int) {
		point, err := w.point(s, func(*world) hook { return func(*call) act { return act{} } })
		switch found := lintTrace(point.calls, false); {
		case err != nil:
			r.fail("in its trace", err)
		case len(found) > 0:
			r.add(finding{wrong, strings.Join(found, "; ")}, false, "in its trace")
		default:
			r.add(point.finding, false, "in its trace")
		}
	})
	return r
}
