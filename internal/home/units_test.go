package home

import (
	"os"
	"path/filepath"
	"regexp"
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
