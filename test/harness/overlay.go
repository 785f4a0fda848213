package harness

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Overlay is a package that test/peers/fetch.sh unpacked and that runs as if it were installed, by
// test/peers/enter.sh: in namespaces of its own, of which all goes with the command.
type Overlay struct {
	Dir           string            // /peer inside; servers that give up root must reach it
	Package       string            // the folder in .build/peers
	Files         map[string]string // lie over those of the package
	Passwd, Group string            // its users and groups
}

// Command writes the files, and returns a command that runs inside.
func (o Overlay) Command(args ...string) (*exec.Cmd, error) {
	unpacked, enter := Unpacked(o.Package), above("test/peers/enter.sh")
	if unpacked == "" || enter == "" {
		return nil, fmt.Errorf("%s is not unpacked (test/peers/fetch.sh)", o.Package)
	}
	err := errors.Join(o.write("passwd", o.Passwd), o.write("group", o.Group))
	for _, path := range slices.Sorted(maps.Keys(o.Files)) {
		err = errors.Join(err, o.write("root/"+path, o.Files[path]))
	}
	if err != nil {
		return nil, err
	}
	return exec.Command(enter, append([]string{o.Dir, unpacked}, args...)...), nil
}

func (o Overlay) write(name, text string) error {
	path := filepath.Join(o.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
