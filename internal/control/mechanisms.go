package control

import (
	"slices"
	"strings"
)

// Mechanisms returns the SASL mechanisms of control/mechanisms in upper case, nil if
// there is no such file.
func (c *Control) Mechanisms() ([]string, error) {
	return value[[]string](c, "mechanisms")
}

func parseMechanisms(name string, data []byte) ([]string, error) {
	known := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"}
	ls, err := items(name, data)
	list := []string{}
	for _, l := range ls {
		mechanism := strings.ToUpper(l.text)
		if !slices.Contains(known, mechanism) {
			return nil, fail(name, l.n, "%q is none of %s", l.text, strings.Join(known, " "))
		}
		list = append(list, mechanism)
	}
	return list, err
}
