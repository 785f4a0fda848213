package mailctl

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/home"
)

// wrongModes warns of groups and modes that keep a program out, or let one in, in a home that has
// a user for each program: of the directories, and of every setting. What is in the spool and in
// mailboxes is the work of the programs, and too much to look at.
func wrongModes(dir string) (found []control.Finding) {
	mail, err := groupID(home.GroupMail)
	if err != nil || control.MailGroup(dir) != mail && !(&home.Home{Dir: dir}).HasUsers() {
		return nil
	}
	u, err := home.NamedUser(home.SystemUser)
	if err != nil {
		return []control.Finding{modeFinding("../spool", err.Error())}
	}
	for _, p := range portions() {
		gid, err := groupID(p.group)
		if err != nil {
			found = append(found, modeFinding(filepath.Join("..", p.path), err.Error()))
			continue
		}
		g := giving{portion: p, owner: u.UID, gid: gid}
		found = append(found, g.look(dir)...)
	}
	return found
}

// modeFinding is a warning about a path, from control/ on.
func modeFinding(path, what string) control.Finding {
	switch path {
	case "..":
		path = "../." // the home itself
	case ".":
		path = "" // control/
	}
	return control.Finding{Warning: true, Fault: control.Fault{File: path, What: what,
		Mend: "mailctl init --create-user, as root, mends groups and modes"}}
}

// look returns what is wrong with the portion, and in control/ with what is in it.
func (g *giving) look(dir string) (found []control.Finding) {
	root, err := filepath.EvalSymlinks(filepath.Join(dir, g.path)) // control may be a link
	if err != nil {
		return nil // others have reported it
	}
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		below, _ := filepath.Rel(root, path)
		name, _ := filepath.Rel("control", filepath.Join(g.path, below))
		switch {
		case err != nil:
			found = append(found, modeFinding(name, fmt.Sprintf("cannot look into it: %v", err)))
			return nil
		case slices.Contains(g.except, below):
			return skip(e)
		}
		if what := g.fault(path, below == "."); what != "" {
			found = append(found, modeFinding(name, what))
		}
		if below == "." && !strings.HasPrefix(g.path, "control") {
			return fs.SkipAll
		}
		return nil
	})
	return found
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// fault says what is wrong with the group and the mode of a path, "" if nothing is. A setting of
// somebody else, such as one that root has written, is wrong only if the group cannot read it.
func (g *giving) fault(path string, top bool) string {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return ""
	}
	want := g.files
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if want = g.dirs; top {
			want = g.top
		}
	case unix.S_IFREG:
		if g.executable {
			want |= st.Mode&0o100>>3 | st.Mode&0o100
		}
	default:
		return ""
	}
	mode := st.Mode & 0o7777
	switch {
	case g.wrong(st, want):
		return fmt.Sprintf("has mode %04o and gid %d, not %04o and the group %s (%d)", mode, st.Gid, want, g.group, g.gid)
	case int(st.Uid) != g.owner && mode&0o004 == 0 && (int(st.Gid) != g.gid || mode&0o040 == 0):
		return fmt.Sprintf("has mode %04o, uid %d and gid %d: the group %s (%d) cannot read it", mode, st.Uid, st.Gid, g.group, g.gid)
	}
	return ""
}
