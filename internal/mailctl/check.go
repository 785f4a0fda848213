package mailctl

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Check reads all settings of a home, for a person.
type Check struct {
	Home    string
	Control *control.Control
	Now     time.Time
	Out     io.Writer
	JSON    bool
}

// Run prints what is wrong and what is in force. The error, exit status 65, means
// that something cannot be used.
func (k Check) Run() error {
	if _, err := os.ReadDir(filepath.Join(k.Home, "control")); errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(spool.CheckMark(filepath.Join(k.Home, "spool")),
			error(status.Temp("4.3.5", "there are no settings (mailctl init makes what is missing)", err)))
	} else if err != nil {
		return status.Temp("4.3.5", "cannot read the settings", err)
	}
	r := examine(k.Home, k.Control, k.Now)
	r.Findings = append(r.Findings, lostPrograms(k.Control)...)
	write := writeText
	if k.JSON {
		write = writeJSON
	}
	if err := write(k.Out, r); err != nil {
		return err
	}
	return k.verdict(r)
}

// verdict is an error, exit status 65, if something cannot be used.
func (k Check) verdict(r control.Report) error {
	switch n := len(r.Errors()); n {
	case 0:
		return nil
	case 1:
		return refused("1 error in %s", filepath.Join(k.Home, "control"))
	default:
		return refused("%d errors in %s", n, filepath.Join(k.Home, "control"))
	}
}

// examine checks the settings and the certificates.
func examine(home string, c *control.Control, now time.Time) control.Report {
	r := c.Check()
	r.Findings = append(r.Findings, route.UnknownTargets(c, r.Findings)...)
	r.Findings = append(r.Findings, deadTag(c)...)
	r.Findings = append(r.Findings, wrongModes(home)...)
	if info, err := os.Stat(filepath.Join(home, "control")); err == nil && info.IsDir() {
		found, inForce := certs.Check(home, now)
		r.Findings, r.InForce = append(r.Findings, found...), append(r.InForce, inForce...)
	}
	return r
}

// deadTag warns of limits of the check dnsbl by which nothing is ever tagged: whatever reaches
// the one for tags is refused.
func deadTag(c *control.Control) []control.Finding {
	all, err := c.Checks()
	if err != nil {
		return nil // has been reported already
	}
	row := all.Row("dnsbl")
	refuse, err := strconv.Atoi(row.Option("refuse"))
	tag, never := strconv.Atoi(row.Option("tag"))
	if row.Err != nil || err != nil || never != nil || tag < refuse || row.Action != control.CheckAnswer {
		return nil
	}
	f := control.Finding{Warning: true, Fault: control.Fault{File: "checks",
		What: fmt.Sprintf("dnsbl: refuse=%d is not above tag=%s, so no message is only tagged", refuse, row.Option("tag")),
		Mend: "give refuse a higher number, or say tag=never"}}
	fmt.Sscanf(row.Where, "control/checks:%d", &f.Line)
	return []control.Finding{f}
}

// lostPrograms warns of services that mailctl start would not find.
func lostPrograms(c *control.Control) (found []control.Finding) {
	rows, err := c.Services()
	if err != nil {
		return nil // has been reported already
	}
	for _, row := range rows {
		if _, err := findProgram(row.Args[0]); err != nil {
			f := control.Finding{Warning: true, Fault: control.Fault{File: "services", What: err.Error(),
				Mend: "mailctl start refuses to start without it"}}
			fmt.Sscanf(row.Where, "control/services:%d", &f.Line)
			found = append(found, f)
		}
	}
	return found
}

// tellFindings prints what is wrong, one line each, errors first.
func tellFindings(w io.Writer, r control.Report) error {
	for _, warnings := range []bool{false, true} {
		for _, f := range r.Findings {
			if f.Warning != warnings {
				continue
			}
			if _, err := fmt.Fprintf(w, "%s: %s\n", kindOf(f), visible.Line(f.String())); err != nil {
				return err
			}
		}
	}
	return nil
}

func kindOf(f control.Finding) string {
	if f.Warning {
		return "warning"
	}
	return "error"
}

func writeText(w io.Writer, r control.Report) error {
	if err := tellFindings(w, r); err != nil {
		return err
	}
	for _, v := range r.InForce {
		name := strings.TrimSpace(v.Setting + " " + v.Key)
		if _, err := fmt.Fprintf(w, "%s: %s (%s)\n", visible.Escape(name), visible.Line(v.Text),
			visible.Escape(v.From)); err != nil {
			return err
		}
	}
	return nil
}

// checkedRow is a line of mailctl check --json.
type checkedRow struct {
	Kind string `json:"kind"` // "error", "warning" or "setting"

	Name  string `json:"name,omitempty"` // of a setting
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	From  string `json:"from,omitempty"`
	About string `json:"about,omitempty"`

	File string `json:"file,omitempty"` // of a finding
	Line int    `json:"line,omitempty"`
	What string `json:"what,omitempty"`
	Mend string `json:"mend,omitempty"`
}

func writeJSON(w io.Writer, r control.Report) error {
	about := map[string]string{}
	for _, s := range control.Settings() {
		about[s.Name] = s.Doc
	}
	var rows []checkedRow
	for _, f := range r.Findings {
		rows = append(rows, checkedRow{Kind: kindOf(f), File: "control/" + f.File, Line: f.Line,
			What: f.What, Mend: f.Mend})
	}
	for _, v := range r.InForce {
		rows = append(rows, checkedRow{Kind: "setting", Name: v.Setting, Key: v.Key, Value: v.Text,
			From: v.From, About: about[v.Setting]})
	}
	for _, row := range rows {
		if err := visible.JSON(w, row); err != nil {
			return err
		}
	}
	return nil
}

// checkToStart prints what is wrong with the settings. The error, exit status 65, is
// about those that must be correct before anything is started.
func checkToStart(home string, c *control.Control, now time.Time, notes io.Writer) error {
	r := examine(home, c, now)
	if err := tellFindings(notes, r); err != nil {
		return err
	}
	var wrong []string
	for _, f := range r.Errors() {
		needed := slices.Contains([]string{"services", "hostname", "domains"}, f.File)
		if name := "control/" + f.File; needed && !slices.Contains(wrong, name) {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return refused("nothing is started until %s is corrected (see mailctl check)",
		strings.Join(wrong, " and "))
}
