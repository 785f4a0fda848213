package faces

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstall runs make install without Go, as under sudo, on what make built, and make
// uninstall, which leaves no file.
func TestInstall(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "bin", "mailctl")); err != nil {
		t.Skip("bin/ is not built: make check builds it")
	}
	dest := t.TempDir()
	target := func(name string) {
		t.Helper()
		cmd := exec.Command("make", "-C", root, name, "GO=/nonexistent/go", "DESTDIR="+dest, "PREFIX=/opt/mail")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", name, err, out)
		}
	}
	target("install")
	for _, name := range []string{"bin/sendmail", "bin/mailq", "bin/newaliases", "share/man/man8/sendmail.8",
		"share/man/man1/mailq.1", "share/man/man1/newaliases.1", "share/man/man7/paperpath-tutorial.7",
		"share/man/man5/control.5", "share/bash-completion/completions/mailctl", "share/zsh/site-functions/_mailctl",
		"share/fish/vendor_completions.d/mailctl.fish", "share/doc/paperpath/contrib/logrotate",
		"share/doc/paperpath/contrib/systemd/paperpath.service"} {
		if info, err := os.Stat(filepath.Join(dest, "opt/mail", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver", "mailrelay", "pop3d", "mailctl", "sendmail"} {
		stripped(t, filepath.Join(dest, "opt/mail/bin", name))
	}
	eachFile(t, filepath.Join(dest, "opt/mail/share/doc/paperpath/contrib"), func(path string) {
		text, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(text), "/usr/local/bin") {
			t.Errorf("%s calls programs where they are not (%v)", path, err)
		}
	})
	target("uninstall")
	eachFile(t, dest, func(path string) { t.Errorf("make uninstall leaves %s", path) })
}

// stripped wants a static program without symbols.
func stripped(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil || f.Section(".interp") != nil {
		t.Errorf("%s has symbols, or is not static", path)
	}
}

// eachFile calls see with all that is no directory below dir.
func eachFile(t *testing.T, dir string, see func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			see(path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
