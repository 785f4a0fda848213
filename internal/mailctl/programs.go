package mailctl

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"paperpath/internal/home"
	"paperpath/internal/rights"
	"paperpath/internal/status"
)

// createUsers makes the users of the programs and their groups, and what is missing of them.
// The owner is the system user.
func (i Init) createUsers() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{}, &status.Error{Exit: status.NotAllowed,
			Text: "only root makes users (run this as root, or without --create-user for a home of your own)"}
	}
	tools, err := findAccountTools(i.Dir)
	if err != nil {
		return owner{}, err
	}
	for _, name := range append([]string{rights.SystemUser}, rights.ProgramGroups()...) {
		if _, err := user.LookupGroup(name); err == nil {
			continue
		}
		if err := i.tool(tools.group(name)); err != nil {
			return owner{}, err
		}
	}
	for _, p := range rights.ProgramUsers() {
		if err := i.createUser(tools, p); err != nil {
			return owner{}, err
		}
	}
	return systemOwner("as --create-user says")
}

// createUser makes the user of a program in its groups, or puts it into those that it lacks.
func (i Init) createUser(tools accountTools, p rights.ProgramUser) error {
	groups := append([]string{rights.SystemUser}, p.Groups...)
	if _, err := user.Lookup(p.Name); err != nil {
		if err := i.tool(tools.user(p.Name, groups)); err != nil {
			return err
		}
	}
	missing, err := missingGroups(p.Name, groups)
	if err != nil || len(missing) == 0 {
		return err
	}
	for _, args := range tools.join(p.Name, missing) {
		if err := i.tool(args); err != nil {
			return err
		}
	}
	return nil
}

// missingGroups are those of some groups that a user is not in.
func missingGroups(name string, groups []string) (missing []string, err error) {
	u, err := rights.NamedUser(name)
	if err != nil {
		return nil, err
	}
	for _, group := range groups {
		gid, err := groupID(group)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(u.Groups, gid) {
			missing = append(missing, group)
		}
	}
	return missing, nil
}

// systemOwner is the system user, whose home has a user for each program.
func systemOwner(why string) (owner, error) {
	u, err := rights.NamedUser(rights.SystemUser)
	if err != nil {
		return owner{}, err
	}
	gid, err := groupID(rights.SystemUser)
	if err != nil {
		return owner{}, err
	}
	return owner{uid: u.UID, gid: gid, why: why, groups: u.Groups}, nil
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("%w (mailctl init --create-user makes it)", err)
	}
	return strconv.Atoi(g.Gid)
}

// tool runs a program of the machine that makes accounts, and says so.
func (i Init) tool(args []string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return status.Temp("4.3.5", fmt.Sprintf("%s: %q", strings.Join(args, " "),
			strings.TrimSpace(string(out))), err)
	}
	fmt.Fprintf(i.Notes, "ran: %s\n", strings.Join(args, " "))
	return nil
}

// accountTools are the programs of the machine that make users and groups: those of shadow,
// or adduser, which is not the same program on Debian as in BusyBox.
type accountTools struct {
	home, shell                string
	useradd, groupadd, usermod string
	adduser                    string
	busybox                    bool
}

func findAccountTools(home string) (accountTools, error) {
	t := accountTools{home: home, shell: "/usr/sbin/nologin",
		useradd: adminTool("useradd"), groupadd: adminTool("groupadd"), usermod: adminTool("usermod")}
	if !exists(t.shell) {
		t.shell = "/bin/false"
	}
	if t.useradd != "" && t.groupadd != "" && t.usermod != "" {
		return t, nil
	}
	t.useradd, t.adduser = "", adminTool("adduser")
	if t.adduser == "" {
		return t, status.Temp("4.3.5", "there is neither useradd nor adduser here to make the user "+systemUser+
			" (make one in another way, or name a user or a number with --owner)", nil)
	}
	real, err := filepath.EvalSymlinks(t.adduser)
	if t.busybox = err == nil && filepath.Base(real) == "busybox"; t.busybox {
		t.adduser = real
	}
	return t, nil
}

// group is the command that makes a group.
func (t accountTools) group(name string) []string {
	switch {
	case t.useradd != "":
		return []string{t.groupadd, "--system", name}
	case t.busybox:
		return []string{t.adduser, "addgroup", "-S", name}
	}
	return []string{t.adduser, "--system", "--group", name}
}

// user is the command that makes a user. Only useradd puts it into more groups than the first.
func (t accountTools) user(name string, groups []string) []string {
	switch {
	case t.useradd != "":
		return []string{t.useradd, "--system", "--gid", groups[0], "--groups", strings.Join(groups[1:], ","),
			"--no-create-home", "--home-dir", t.home, "--shell", t.shell, name}
	case t.busybox:
		return []string{t.adduser, "adduser", "-S", "-D", "-H", "-h", t.home, "-s", t.shell, "-G", groups[0], name}
	}
	return []string{t.adduser, "--system", "--ingroup", groups[0], "--no-create-home", "--home", t.home,
		"--shell", t.shell, name}
}

// join are the commands that put a user into groups.
func (t accountTools) join(name string, groups []string) (list [][]string) {
	if t.useradd != "" {
		return [][]string{{t.usermod, "--append", "--groups", strings.Join(groups, ","), name}}
	}
	for _, group := range groups {
		args := []string{t.adduser, name, group}
		if t.busybox {
			args = []string{t.adduser, "addgroup", name, group}
		}
		list = append(list, args)
	}
	return list
}

// adminTool finds a program for root, even if PATH is that of a user.
func adminTool(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// asRelay does something as the user of mailrelay where that is another one: its directories
// in control/ are closed to the owner of the home.
func (i Init) asRelay(o owner, do func() error) error {
	if !o.apart() {
		return do()
	}
	relay, err := rights.NamedUser(rights.RelayUser)
	if err != nil {
		return err
	}
	if err := home.WorkAs(relay); err != nil {
		return fmt.Errorf("work as %s: %w", rights.RelayUser, err)
	}
	return errors.Join(do(), home.WorkAs(o.user()))
}
