package mailctl

import (
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Status says how a home does, for people and for monitoring.
type Status struct {
	Home    string
	Control *control.Control
	Spool   func() (*spool.Spool, error)
	Now     time.Time
	Out     io.Writer
	JSON    bool
}

// level is how bad a line of a status is.
type level string

const (
	levelOK    level = "ok"
	levelNote  level = "warning" // works, but look at it
	levelFault level = "fault"   // a person must mend it: exit status 65
	levelDown  level = "down"    // mail does not move: exit status 75
)

// condition is a line of a status.
type condition struct {
	Level level          `json:"level"`
	Part  string         `json:"part"` // "relay/", "server", "certificate"
	Text  string         `json:"text"`
	Mend  string         `json:"mend,omitempty"`
	Facts map[string]any `json:"facts,omitempty"`
}

// lookback is the time of which a status counts events.
const lookback = 24 * time.Hour

// Run prints the state of everything. The error says how many parts are down (exit
// status 75) or, if none is, at fault (65).
func (s Status) Run() error {
	var list []condition
	day, err := s.day()
	if err != nil {
		list = append(list, condition{Level: levelFault, Part: "log", Text: err.Error()})
	}
	sp, err := s.Spool()
	if err != nil {
		list = append(list, condition{Level: levelDown, Part: "spool", Text: err.Error()})
	} else {
		list = append(list, s.inboxes(sp, day)...)
		list = append(list, s.hold(sp), s.silent(sp, day))
	}
	list = append(list, s.servers(day)...)
	list = append(list, s.events(day)...)
	list = append(list, s.logWritable(), s.settings())
	list = append(list, s.certificates()...)
	list = append(list, s.disks()...)
	if err := s.print(list); err != nil {
		return err
	}
	return verdict(list)
}

func (s Status) print(list []condition) error {
	if s.JSON {
		for _, c := range list {
			if err := visible.JSON(s.Out, c); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	for _, c := range list {
		mark := map[level]string{levelOK: "  ", levelNote: "- ", levelFault: "! ", levelDown: "! "}[c.Level]
		fmt.Fprintf(&b, "%s%-11s  %s", mark, c.Part, visible.Line(c.Text))
		if c.Mend != "" {
			fmt.Fprintf(&b, ": %s", visible.Line(c.Mend))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// verdict is nil if nothing is down or at fault.
func verdict(list []condition) error {
	n := map[level]int{}
	var first string
	for _, c := range list {
		if n[c.Level]++; c.Level == levelDown && n[c.Level] == 1 || c.Level == levelFault && n[levelDown]+n[levelFault] == 1 {
			first = c.Part + ": " + c.Text
		}
	}
	switch {
	case n[levelDown] > 0:
		return status.Temp("4.3.0", fmt.Sprintf("%s, such as %s", count(n[levelDown], "part is down", "parts are down"), first), nil)
	case n[levelFault] > 0:
		return refused("%s, such as %s", count(n[levelFault], "thing needs a person", "things need a person"), first)
	}
	return nil
}

// settings counts what is wrong with control/.
func (s Status) settings() condition {
	r := examine(s.Home, s.Control, s.Now)
	errors := len(r.Errors())
	warnings := len(r.Findings) - errors
	c := condition{Level: levelOK, Part: "settings", Text: count(errors, "error", "errors") + ", " + count(warnings, "warning", "warnings"),
		Facts: map[string]any{"errors": errors, "warnings": warnings}}
	switch {
	case errors > 0:
		c.Level, c.Mend = levelFault, "mailctl check names them"
	case warnings > 0:
		c.Level, c.Mend = levelNote, "mailctl check names them"
	}
	return c
}
