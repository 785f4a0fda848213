package control

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNamesPrograms(t *testing.T) {
	for _, x := range []struct {
		file, text string
		want       bool
	}{
		{"domains", "a.example\n", false}, {"aliases", "# exec:/bin/x\n", false}, {"aliases", "exec:/bin/x\n", true},
		{"users", "once:/bin/x\n", true}, {"filters", "a: for=all program:/bin/x\n", true}, {"filters", "a: milter:inet:h:1\n", false},
		{"routes", "a.example: lmtp:h:24\n.: program:/bin/x\n", true}, {"accounts", "a.example\n", true}, {"accounts", "\n", false},
		{"relay-logins/h", "user: a\ncommand: /bin/x\n", true},
	} {
		f := newFixture(t, nil)
		path := f.path(x.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := f.NamesPrograms(); got != x.want {
			t.Errorf("%s %q: %v", x.file, x.text, got)
		}
	}
}
