package route

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Destination is one line of an Answer.
type Destination struct {
	Action  string `json:"action"` // "deliver", "pipe", "relay", "hold", "refuse" or "unknown"
	Address string `json:"address"`
	Maildir string `json:"maildir,omitempty"`
	Via     string `json:"via,omitempty"`     // the targets of a route
	Command string `json:"command,omitempty"` // the program or file of an alias
	Owner   string `json:"owner,omitempty"`   // the reverse path that a list gives its mail
	From    string `json:"from,omitempty"`    // the reverse path that forwarded mail gets (SRS)
	Where   string `json:"where,omitempty"`
	Why     string `json:"why,omitempty"` // of "unknown" and "refuse": the reason
}

// String is the destination as people read it.
func (d Destination) String() string {
	s := d.Action + " " + d.Address
	if d.Maildir != "" {
		s += " " + d.Maildir
	}
	if d.Command != "" {
		s += " " + d.Command
	}
	if from := d.Owner + d.From; from != "" { // never both
		s += " from " + from
	}
	if d.Via != "" {
		s += " via " + d.Via
	}
	if d.Why != "" {
		s += ": " + d.Why
	}
	if d.Where != "" {
		s += " (" + d.Where + ")"
	}
	return s
}

// Answer is where mail for an address goes.
type Answer struct {
	Address      string        `json:"address"`
	Destinations []Destination `json:"destinations"`
	Error        string        `json:"error,omitempty"`
}

// Ask answers for mail from a sender to the address in text; an address without a domain
// gets the first local one. The error is a usage error where text is not an address, else that of
// Resolve; the answer is valid also with an error of exit status 67.
func Ask(c *control.Control, from, text string, t *explain.Trail) (Answer, error) {
	answer := Answer{Address: text, Destinations: []Destination{}}
	whole, err := WithDomain(c, text)
	if err != nil {
		return answer.failed(err, t)
	}
	a, err := addr.Parse(whole)
	if err != nil {
		return answer.failed(status.UsageError("%v", err), t)
	}
	targets, err := Resolve(c, from, a, t)
	for _, target := range targets {
		answer.Destinations = append(answer.Destinations, destination(target))
	}
	if err == nil {
		err = answer.forwarded(c, from, a.Domain, targets, t)
	}
	if err != nil {
		return answer.failed(err, t)
	}
	t.End(answer.outcome())
	return answer, nil
}

// forwarded notes the reverse path that mail from a sender gets where aliases of a domain send it
// to other hosts.
func (a Answer) forwarded(c *control.Control, from, domain string, targets []Target, t *explain.Trail) error {
	if from == "" || !slices.ContainsFunc(targets, Target.forwarded) {
		return nil
	}
	path, _, err := reversePath(c, from, domain, t)
	for i, target := range targets {
		if target.Kind == Remote && target.Owner == "" {
			a.Destinations[i].From = path
		}
	}
	return err
}

func (a Answer) failed(err error, t *explain.Trail) (Answer, error) {
	a.Error = err.Error()
	t.End(a.Error)
	return a, err
}

func (a Answer) outcome() string {
	var list []string
	for _, d := range a.Destinations {
		list = append(list, d.String())
	}
	return strings.Join(list, "; ")
}

func destination(t Target) Destination {
	d := Destination{Action: "unknown", Address: t.Addr.String(), Owner: t.Owner, Where: t.Where, Why: t.Why}
	switch t.Kind {
	case Piped:
		d.Action, d.Command = "pipe", t.Command.String()
	case Local:
		d.Action, d.Maildir = "deliver", t.User.Maildir()
	case Held:
		d.Action = "hold"
	case Refused:
		d.Action, d.Why = "refuse", t.Route.Refusal().Text
	case Remote:
		d.Action = "relay"
		if t.Route != nil {
			d.Via = t.Route.String()
		}
	}
	return d
}

// Write prints a line `address -> destination` for each destination, or the answer
// as one line of JSON.
func (a Answer) Write(w io.Writer, asJSON bool) error {
	if asJSON {
		return visible.JSON(w, a)
	}
	for _, d := range a.Destinations {
		if _, err := fmt.Fprintf(w, "%s -> %s\n", visible.Line(a.Address), visible.Line(d.String())); err != nil {
			return err
		}
	}
	return nil
}
