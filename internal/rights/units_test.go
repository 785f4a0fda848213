package rights

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The units of systemd run as the owner of a home of one user, and the drop-ins give each its
// program's user.
func TestUnitsNameTheUsers(t *testing.T) {
	units := map[string]string{} // of their programs
	for _, p := range []string{"mailcheck", "mailroute", "maildeliver", "mailrelay"} {
		units["paperpath-stage@"+p+".service"] = p
	}
	command := regexp.MustCompile(`(?m)^ExecStart=-?/usr/local/bin/(\S+)`)
	files, _ := filepath.Glob("../../contrib/systemd/*.service")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), "\nUser=paperpath\n") {
			t.Errorf("%s does not run as paperpath: %v", file, err)
		}
		if m := command.FindSubmatch(text); m != nil && string(m[1]) != "%i" {
			units[filepath.Base(file)] = string(m[1])
		}
	}
	users := map[string]string{}
	for _, p := range ProgramUsers() {
		users[p.Program] = p.Name
	}
	users["mailctl"] = "root" // which starts the others, and works as the owner
	for unit, program := range units {
		path := "../../contrib/systemd-users/" + unit + ".d/00-user.conf"
		text, err := os.ReadFile(path)
		if want := "[Service]\nUser=" + users[program] + "\n"; err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q: %v", path, want, err)
		}
	}
	drop, _ := filepath.Glob("../../contrib/systemd-users/*")
	if len(drop) != len(units) || len(units) < 11 {
		t.Errorf("%d units have %d drop-ins", len(units), len(drop))
	}
}

// A purge of the Debian package removes all users and groups that its installation makes.
func TestPurgeNamesTheUsers(t *testing.T) {
	text, err := os.ReadFile("../../packaging/debian/postrm")
	if err != nil {
		t.Fatal(err)
	}
	list := func(loop string) string {
		m := regexp.MustCompile(`(?m)^\tfor ` + loop + ` in (.*); do$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("no loop over %s", loop)
		}
		names := strings.Fields(string(m[1]))
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	var users []string
	for _, p := range ProgramUsers() {
		users = append(users, p.Name)
	}
	groups := append(ProgramGroups(), SystemUser)
	slices.Sort(users)
	slices.Sort(groups)
	if got := list("u"); got != strings.Join(users, " ") {
		t.Errorf("users %s, not %s", got, users)
	}
	if got := list("g"); got != strings.Join(groups, " ") {
		t.Errorf("groups %s, not %s", got, groups)
	}
}
