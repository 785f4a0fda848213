package home

import (
	"errors"
	"fmt"

	"paperpath/internal/visible"
)

// maxNamed is how many broken rows are listed at a time.
const maxNamed = 10

// LogBrokenRows makes lookups log the broken rows that they meet, each once an
// hour. It is for programs that work on mail: people see the error itself.
func (h *Home) LogBrokenRows() {
	h.Control.OnBrokenRow(h.brokenRow)
	h.Control.OnTrouble(func(op string, err error) { h.Log.Trouble("", op, err) })
}

func (h *Home) brokenRow(err error) { h.Log.Trouble("", "read settings", err) }

// nameBrokenRows writes the broken rows of the tables that this program uses to the
// log and to standard error: the program continues without them. If a table cannot be
// read at all, its lookups fail.
func (h *Home) nameBrokenRows() {
	tables := tablesOf(h.Name)
	if len(tables) == 0 {
		return
	}
	faults, _ := h.Control.FaultsAtOnce(tables...)
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

// tablesOf returns the tables that a program uses; control(5) lists them too.
func tablesOf(name string) []string {
	switch name {
	case "mailsubmit":
		return []string{"domains", "users", "aliases", "senders", "relayfrom", "proxyfrom", "xclientfrom"}
	case "mailroute", "maildeliver":
		return []string{"domains", "users", "aliases", "relayfrom"}
	case "mailrelay":
		return []string{"domains", "routes", "sender-routes", "tls-policy", "reply-rules", "relayfrom"}
	case "mailcheck":
		return []string{"domains", "senders", "relayfrom"}
	case "pop3d":
		return []string{"domains", "users", "relayfrom", "proxyfrom"}
	case "mailctl":
		return []string{"services"} // the services report those that they use
	}
	return nil
}
