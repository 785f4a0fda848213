package control

import (
	"fmt"
	"testing"

	"paperpath/internal/addr"
)

func TestRelayTo(t *testing.T) {
	f := newFixture(t, map[string]string{"relayto": "# backup\nExample.org\n.example.org\nvip@a.example\nb@a.example\n" +
		"b\u00fccher.example\nx@both.example\nboth.example\n"})
	for ask, want := range map[string]string{
		"x@example.org": "control/relayto:2 true", "x@a.b.example.org": "control/relayto:3 true",
		"VIP@A.example": "control/relayto:4 true", "c@a.example": "control/relayto:4 false", "x@other.example": " true",
		"x@xn--bcher-kva.example": "control/relayto:6 true", "y@both.example": "control/relayto:8 true",
		"x@both.example": "control/relayto:7 true", "x@[192.0.2.1]": " true",
	} {
		_, domain := addr.Split(ask)
		where, known, err := f.RelayTo(domain, ask)
		if got := fmt.Sprint(where, " ", known); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", ask, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"a b\n": `control/relayto:1: "a b"`, "@a.example\n": `control/relayto:1: "@a.example" is not an address (a.example is the whole domain)`,
		"x@a b\n": `control/relayto:1: "x@a b"`,
	} {
		f.write("relayto", text)
		wantError(t, f.checkTable("relayto"), want)
	}
}
