package route

import (
	"testing"

	"paperpath/internal/addr"
)

// A local name without alias and mailbox is what stands for this machine elsewhere, if
// anything does; what has a row, and the postmaster's names, are as without it.
func TestMasquerade(t *testing.T) {
	for _, c := range []struct{ mask, name, want string }{
		{"me@provider.example", "cron@example.net", "me@provider.example remote (control/masquerade)"},
		{"provider.example", "cron@example.net", "cron@provider.example remote (control/masquerade)"},
		{"provider.example", "cron+x@example.net", "cron+x@provider.example remote (control/masquerade)"},
		{"me@provider.example", "alice@example.net", "alice@example.net local (control/users:1)"},
		{"me@provider.example", "team@example.net", "carol@elsewhere.example remote (control/aliases:1)"},
		{"me@provider.example", "root@example.net", "boss@elsewhere.example remote (control/postmaster)"},
		{"me@provider.example", "x@far.example", "x@far.example remote ()"},
		{"example.net", "cron@example.net", "550"}, // it is itself
		{"nobody@example.net", "cron@example.net", "550"},
		{"alice@example.net", "cron@example.net", "alice@example.net local (control/masquerade, control/users:1)"},
	} {
		_, settings := home(t, map[string]string{"domains": "example.net\n", "users": "alice@example.net:\n",
			"aliases": "team: carol@elsewhere.example\n", "postmaster": "boss@elsewhere.example\n", "masquerade": c.mask + "\n"})
		a, err := addr.Parse(c.name)
		if err != nil {
			t.Fatal(err)
		}
		targets, err := Resolve(settings, "", a, nil)
		got := "550"
		if err == nil {
			got = targets[0].Addr.String() + " " + string(targets[0].Kind) + " (" + targets[0].Where + ")"
		}
		if got != c.want {
			t.Errorf("%s, %s: %s, %v, want %s", c.mask, c.name, got, err, c.want)
		}
	}
}
