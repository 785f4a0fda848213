package route

import (
	"testing"

	"paperpath/internal/control"
	"paperpath/internal/params"
	"paperpath/internal/spool"
)

// TestCommandName: a program of an alias learns which part of the recipient is the extension.
func TestCommandName(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users,
		"aliases": "prog: |/bin/prog\nbox+x@example.net: |/bin/prog\n@example.com: |/bin/prog\n"})
	id := control.NewCommand("|/bin/prog", "", "").ID()
	for to, want := range map[string]string{
		"prog@example.net": "prog@example.net", "Prog+A@example.net": "prog@example.net",
		"box+x+y@example.net": "box+x@example.net", "any+x@example.com": "any+x@example.com",
	} {
		command, err := CommandFor(c, spool.Recipient{Addr: to, Params: params.Alias + "=" + id})
		if err != nil || command == nil || command.Alias != want {
			t.Errorf("%s: %+v, %v, want %s", to, command, err, want)
		}
	}
}
