package mailctl

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/rights"
)

// wrongModes warns of groups and modes that keep a program out, or let one in, in a home that has
// a user for each program: of the directories, and of every setting. What is in the spool and in
// mailboxes is the work of the programs, and too much to look at.
func wrongModes(dir string) (found []control.Finding) {
	mail, err := groupID(rights.GroupMail)
	if err != nil || control.MailGroup(dir) != mail && !(&rights.Place{Dir: dir}).HasUsers() {
		return nil
	}
	u, err := rights.NamedUser(rights.SystemUser)
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
	relay, err := rights.NamedUser(rights.RelayUser)
	if err != nil {
		return append(found, modeFinding("dkim", err.Error()))
	}
	for _, name := range relayDirs() {
		found = append(found, keptFrom(dir, name, relay.UID)...)
	}
	return found
}

// keptFrom returns what is wrong with a directory in control/ that only mailrelay's user may read.
func keptFrom(home, name string, relay int) []control.Finding {
	var st unix.Stat_t
	err := unix.Stat(filepath.Join(home, "control", name), &st)
	if err != nil || int(st.Uid) == relay && st.Mode&0o077 == 0 {
		return nil // others have reported the error
	}
	return []control.Finding{modeFinding(name, fmt.Sprintf("has uid %d and mode %04o: only mailrelay's user (%d) may read it, with mode 0700",
		st.Uid, st.Mode&0o7777, relay))}
}

// modeFinding is a warning about a path, from control/ on.
func modeFinding(path, what string) control.Finding {
	switch path {
	case "..":
		path = "../the home"
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

// fault says what is wrong with the group and the mode of a path, "" if nothing is. Something of
// somebody else, such as a setting that root has written, is wrong only if the group cannot read
// it, or if other programs can.
func (g *giving) fault(path string, top bool) string {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return ""
	}
	want, read := g.files, uint32(0o4)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		read = 0o5
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
	mode, ours := st.Mode&0o7777, int(st.Gid) == g.gid
	switch {
	case g.wrong(st, want):
		return fmt.Sprintf("has mode %04o and gid %d, not %04o and the group %s (%d)", mode, st.Gid, want, g.group, g.gid)
	case int(st.Uid) == g.owner:
		return ""
	case mode&read != read && (!ours || mode&(read<<3) != read<<3):
		return fmt.Sprintf("has mode %04o, uid %d and gid %d: the group %s (%d) cannot read it (chown %s)",
			mode, st.Uid, st.Gid, g.group, g.gid, rights.SystemUser)
	case g.closed && (mode&read != 0 || !ours && mode&(read<<3) != 0):
		return fmt.Sprintf("has mode %04o, uid %d and gid %d: more than the group %s (%d) can read it (chown %s)",
			mode, st.Uid, st.Gid, g.group, g.gid, rights.SystemUser)
	}
	return ""
}
