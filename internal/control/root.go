package control

import (
	"slices"
	"strings"
)

// rootPrograms are those that control/root can name.
var rootPrograms = []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver", "mailrelay", "pop3d"}

// IsProgram reports whether a program of this name works at a home.
func IsProgram(name string) bool { return slices.Contains(rootPrograms, name) }

// MayRunAsRoot reports whether control/root lets the program prog work as root
// where the home is root's.
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
