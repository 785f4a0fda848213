package mailctl

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/trace"
)

// day is what the events of the last day say.
type day struct {
	counts  map[string]int
	last    map[string]string    // of some events: the text of the last one
	ran     map[string]time.Time // when a run of each inbox ended
	listens map[string]string    // address to program
	reached map[string]bool      // domains that mail was relayed to
}

// maxReached bounds the domains that a status remembers.
const maxReached = 100000

func (s Status) day() (*day, error) {
	d := &day{counts: map[string]int{}, last: map[string]string{}, ran: map[string]time.Time{}, listens: map[string]string{}, reached: map[string]bool{}}
	return d, trace.Events(s.Home, s.Now.Add(-lookback), d.add)
}

func (d *day) add(e maillog.Event) {
	name := string(e.Name)
	d.counts[name]++
	switch name {
	case "trouble":
		d.last[name] = fmt.Sprintf("%s %s: %s: %s", e.Time[:19], e.Prog, e.Value("op"), e.Value("error"))
	case "failed":
		d.last[name] = fmt.Sprintf("%s %s: %s", e.Time[:19], e.Value("to"), e.Value("reason"))
	case "ran":
		if at, err := time.Parse(time.RFC3339Nano, string(e.Time)); err == nil {
			d.ran[e.Value("inbox")] = at
		}
	case "relayed":
		if _, domain := addr.Split(e.Value("to")); len(d.reached) < maxReached {
			d.reached[addr.FoldDomain(domain)] = true
		}
	case "listening":
		d.listens[e.Value("addr")] = string(e.Prog)
	}
}

// events says what happened in the last day. Trouble and failures are for people to
// judge: they are no fault of the system's state now.
func (s Status) events(d *day) []condition {
	traffic := []string{"accepted", "delivered", "relayed", "deferred", "bounced", "held", "refused", "login-failed"}
	var words []string
	facts := map[string]any{}
	for _, name := range traffic {
		facts[name] = d.counts[name]
		if d.counts[name] > 0 {
			words = append(words, fmt.Sprintf("%d %s", d.counts[name], name))
		}
	}
	if len(words) == 0 {
		words = []string{"no events"}
	}
	list := []condition{{Level: levelOK, Part: "last 24 h", Text: strings.Join(words, ", "), Facts: facts}}
	for _, name := range []string{"failed", "trouble"} {
		if d.counts[name] > 0 {
			list = append(list, condition{Level: levelNote, Part: name, Facts: map[string]any{"count": d.counts[name]},
				Text: fmt.Sprintf("%s, the last: %s", count(d.counts[name], "time", "times"), d.last[name])})
		}
	}
	return list
}

// dialTimeout is how long a server has to accept a connection.
const dialTimeout = 2 * time.Second

// servers says whether each server accepts connections: those of control/services while
// mailctl start runs them, else those that have said in the last day that they listen.
func (s Status) servers(d *day) (list []condition) {
	addresses := map[string]string{}
	unlock, err := lockRun(filepath.Join(s.Home, "run"))
	if err == nil {
		unlock()
		for addr, prog := range d.listens {
			addresses[addr] = prog
		}
	} else {
		rows, err := s.Control.Services()
		if err != nil {
			return []condition{{Level: levelFault, Part: "server", Text: err.Error()}}
		}
		for _, row := range rows {
			for _, addr := range listensAt(row.Args) {
				addresses[addr] = row.Args[0]
			}
		}
	}
	sorted := make([]string, 0, len(addresses))
	for addr := range addresses {
		sorted = append(sorted, addr)
	}
	slices.Sort(sorted)
	for _, addr := range sorted {
		list = append(list, s.server(addresses[addr], addr))
	}
	return append(list, s.unready()...)
}

// unready names the services of a running mailctl start that are not ready.
func (s Status) unready() (list []condition) {
	a, err := askStart(s.Home, "state")
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err != nil {
		return []condition{{Level: levelNote, Part: "service", Text: err.Error()}}
	}
	for _, v := range a.Services {
		if !v.Ready {
			list = append(list, condition{Level: levelDown, Part: "service", Text: "not ready: " + v.String(),
				Mend: "mailctl reload when it is mended, or wait", Facts: map[string]any{"where": v.Where, "ends": v.Ends}})
		}
	}
	return list
}

// listensAt returns the addresses in the options of a server's command line.
func listensAt(args []string) (list []string) {
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		switch name {
		case "--listen", "--listen-tls":
			if !joined && i+1 < len(args) {
				value = args[i+1]
			}
			list = append(list, value)
		}
	}
	return list
}

func (s Status) server(prog, addr string) condition {
	c := condition{Level: levelOK, Part: "server", Text: prog + " on " + addr, Facts: map[string]any{"prog": prog, "addr": addr}}
	conn, err := s.dial(addr)
	if err != nil {
		c.Level, c.Mend = levelDown, "no connection: "+err.Error()
		return c
	}
	conn.Close()
	c.Text += " accepts connections"
	return c
}

func (s Status) dial(addr string) (net.Conn, error) {
	path, unix := strings.CutPrefix(addr, "unix:")
	switch {
	case !unix && !filepath.IsAbs(addr): // a socket from systemd says its path alone
		return net.DialTimeout("tcp", addr, dialTimeout)
	case !filepath.IsAbs(path):
		path = filepath.Join(s.Home, path)
	}
	return listen.DialUnix(path, dialTimeout)
}
