package control

import (
	"slices"
	"strings"
)

// rootPrograms are the programs that control/root can name.
var rootPrograms = []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver", "mailrelay", "pop3d"}

// IsProgram reports whether name is one of the programs that work on a home.
func IsProgram(name string) bool { return slices.Contains(rootPrograms, name) }

// MayRunAsRoot reports whether control/root allows the program prog to run as root in
// a home that belongs to root.
func (c *Control) MayRunAsRoot(prog string) (bool, error) {
	names, err := value[[]string](c, "root")
	return slices.Contains(names, prog) || slices.Contains(names, "*"), err
}

func parseRoot(name string, data []byte) (names []string, err error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	for _, l := range ls {
		if l.text != "*" && !slices.Contains(rootPrograms, l.text) {
			return nil, fail(name, l.n, "%q is neither * nor one of %s", l.text,
				strings.Join(rootPrograms, ", "))
		}
		names = append(names, l.text)
	}
	return names, nil
}
