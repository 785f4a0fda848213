package home

import (
	"errors"
	"fmt"

	"paperpath/internal/visible"
)

// maxNamed is how many broken rows are named at a time.
const maxNamed = 10

// LogBrokenRows has each broken row of a table an event when a lookup meets it,
// once an hour. It is for what works on mail: people see the error itself.
func (h *Home) LogBrokenRows() { h.Control.OnBrokenRow(h.brokenRow) }

func (h *Home) brokenRow(err error) { h.Log.Trouble("", "read settings", err) }

// nameBrokenRows names the broken rows of the tables that this program looks
// things up in, in the log and on standard error: the work goes on beside them.
// A table that cannot be read at all is told by who needs it.
func (h *Home) nameBrokenRows() {
	tables := tablesOf(h.Name)
	if len(tables) == 0 {
		return
	}
	faults, _ := h.Control.Faults(tables...)
	named := 0
	for _, fault := range faults {
		if fault.Dead {
			continue
		}
		if named++; named > maxNamed {
			continue
		}
		h.brokenRow(errors.New(fault.String()))
		fmt.Fprintf(h.Stderr, "%s: %s\n", h.Name, visible.Line(fault.String()))
	}
	if named > maxNamed {
		fmt.Fprintf(h.Stderr, "%s: and %d more broken rows (mailctl check names them)\n", h.Name, named-maxNamed)
	}
}

// tablesOf returns the tables that a program asks; control(5) has them too.
func tablesOf(name string) []string {
	switch name {
	case "mailsubmit":
		return []string{"domains", "users", "aliases", "senders", "relayfrom", "proxyfrom", "xclientfrom"}
	case "mailroute", "maildeliver":
		return []string{"domains", "users", "aliases", "relayfrom"}
	case "mailrelay":
		return []string{"domains", "routes", "relayfrom"}
	case "mailcheck":
		return []string{"domains", "senders", "relayfrom"}
	case "pop3d":
		return []string{"domains", "users", "relayfrom", "proxyfrom"}
	case "mailctl":
		return []string{"services"} // the services name the rest
	}
	return nil
}
