package peers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// The parameters of Postfix that paperpath-migrate(7) names are Postfix's.
func TestMigrateNamesPostfix(t *testing.T) {
	pkg := harness.Unpacked("postfix")
	if pkg == "" {
		missing(t, "postfix (test/peers/fetch.sh)")
	}
	conf := t.TempDir()
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.WriteFile(filepath.Join(conf, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(pkg, "usr/sbin/postconf"), "-c", conf, "-d")
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(pkg, "usr/lib/postfix"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range migrated(t, "Postfix", 40) {
		if !regexp.MustCompile(`(?m)^` + name + ` =`).Match(out) {
			t.Errorf("Postfix has no parameter %s", name)
		}
	}
}

// The options of Exim are in its program, but for the lists of Debian's configuration and
// what exim4-daemon-light lacks.
func TestMigrateNamesExim(t *testing.T) {
	pkg := harness.Unpacked("exim")
	if pkg == "" {
		missing(t, "exim (test/peers/fetch.sh)")
	}
	program, err := os.ReadFile(filepath.Join(pkg, "usr/sbin/exim4"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{"local_domains", "relay_to_domains", "relay_from_hosts",
		"hosts_proxy", "av_scanner", "spamd_address", "acl_smtp_mime"}
	for _, name := range migrated(t, "Exim", 20) {
		if !slices.Contains(elsewhere, name) && !bytes.Contains(program, []byte(name+"\x00")) {
			t.Errorf("Exim has no option %s", name)
		}
	}
}

// migrated are the names that the page has on the left, at least so many.
func migrated(t *testing.T, from string, least int) (names []string) {
	t.Helper()
	page, err := os.ReadFile("../../man/paperpath-migrate.7")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), ".Ss From "+from+"\n")
	part, _, _ = strings.Cut(part, "\n.Ss ")
	for _, m := range regexp.MustCompile(`(?m)^\.It Va (.*) Ta `).FindAllStringSubmatch(part, -1) {
		left, _, _ := strings.Cut(m[1], " No ")
		names = append(names, strings.Split(left, " , ")...)
	}
	if len(names) < least {
		t.Errorf("only %d names were understood: %q", len(names), names)
	}
	return names
}
