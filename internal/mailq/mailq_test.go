package mailq

import (
	"testing"

	"paperpath/internal/spool"
	"paperpath/internal/status"
)

func TestSelection(t *testing.T) {
	entry := spool.Listing{Key: "1.M2Rabc.mx", Envelope: spool.Envelope{From: spool.Path{Addr: "Bob@example.org"},
		To: []spool.Recipient{{Addr: "done@a.example", Done: true}, {Addr: "x@B.example"}}}}
	for value, want := range map[string]string{
		"": "all", "f": "all", "p": "all", "30m": "due", "p30m": "due", "1": "due",
		"IRabc": "holds", "Irabc": "not", "Sbob@": "holds", "Salice": "not", "Rb.example": "holds", "Ra.example": "not",
		"I": "64", "X": "64", "!Rx": "64",
	} {
		sel, due, err := ParseSelection(value)
		got := "not"
		switch {
		case err != nil && status.Exit(err) == status.Usage:
			got = "64"
		case due:
			got = "due"
		case sel == Selection{}:
			got = "all"
		case sel.holds(entry):
			got = "holds"
		}
		if got != want {
			t.Errorf("-q%s: %s, want %s", value, got, want)
		}
	}
	if !(Selection{}).holds(entry) {
		t.Error("all does not hold an entry")
	}
}

func TestQueueNames(t *testing.T) {
	for _, c := range []struct {
		state   string
		running bool
		want    string
	}{{"new", false, "incoming"}, {"new", true, "active"}, {"deferred", true, "deferred"}, {"held", false, "hold"}, {"torn", false, "hold"}, {"foreign", true, "hold"}} {
		if got := queue(spool.Listing{State: c.state}, c.running); got != c.want {
			t.Errorf("%s: %s, want %s", c.state, got, c.want)
		}
	}
	if got := clean("a\nb\x1b[2J\u0085é"); got != "a?b?[2J?é" {
		t.Errorf("%q", got)
	}
}
