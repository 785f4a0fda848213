package control

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Finding is something in control/ that a person should correct.
type Finding struct {
	Fault
	Warning bool // it works, though probably not as intended
}

// Report is what Check found: what is wrong, and what is in force.
type Report struct {
	Findings []Finding
	InForce  []Value
}

// Errors returns the findings that are not warnings.
func (r Report) Errors() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Warning })
}

// Check reads every file in control/. These are errors: files and rows that cannot be
// used, missing files that have no default, and names that are not settings, since a
// misspelt one would otherwise silently mean the default.
func (c *Control) Check() Report {
	var r Report
	entries, err := os.ReadDir(c.path(""))
	if err != nil {
		r.error(failFile("", "%w", plain(err)))
		return r
	}
	for _, e := range entries {
		if f, ok := c.unknownName(e); ok {
			r.Findings = append(r.Findings, Finding{Fault: f})
		}
	}
	for _, s := range Settings() {
		from := len(r.Findings)
		c.checkSetting(&r, s)
		if s.Secret {
			c.checkSecret(&r, s.Name)
		}
		r.InForce = append(r.InForce, c.inForce(s, r.Findings[from:])...)
	}
	c.checkRelayLogins(&r)
	c.checkDKIM(&r)
	c.checkFilters(&r)
	c.checkHostname(&r)
	c.checkReached(&r)
	c.checkWishes(&r)
	c.checkRewrite(&r)
	return r
}

// checkSetting reads one file.
func (c *Control) checkSetting(r *Report, s Setting) {
	if s.read != nil {
		if err := s.read(c); err != nil {
			r.error(err, s)
		}
		return
	}
	faults, errs := c.Faults(s.Name)
	for _, err := range errs {
		r.error(err, s)
	}
	for _, f := range faults {
		r.Findings = append(r.Findings, Finding{Fault: f, Warning: f.Dead})
	}
	if s.Name != "users" {
		if err := c.checkBackend(s.Name); err != nil && len(errs) == 0 {
			r.error(err, s)
		}
	} else {
		if err := c.checkPrograms(); err != nil && len(errs) == 0 {
			r.error(err, s)
		}
	}
}

// checkBackend says why the backend of a table that has been read cannot be asked.
func (c *Control) checkBackend(table string) error {
	c.mu.Lock()
	got, ok := c.cache[table]
	if !ok {
		got = c.young[table]
	}
	c.mu.Unlock()
	t, ok := got.value.(interface{ backend() asker })
	if !ok || t.backend() == nil {
		return nil
	}
	if err := t.backend().check(); err != nil {
		return failFile(table, "%w", err)
	}
	return nil
}

// checkPrograms looks for the programs in control/users.
func (c *Control) checkPrograms() error {
	t, _, err := load(c, usersFile(c))
	if err != nil {
		return err
	}
	if err := t.checkPrograms(); err != nil {
		return failFile("users", "%w", err)
	}
	return nil
}

// error adds an error from reading a file. How to correct it is in parentheses in the
// text; otherwise the advice is what the file of the setting may say.
func (r *Report) error(err error, of ...Setting) {
	f := Fault{What: err.Error()}
	var p *fileError
	if errors.As(err, &p) {
		f.File, f.Line, f.What = p.file, p.line, p.err.Error()
	}
	if before, after, ok := strings.Cut(f.What, " ("); ok && strings.HasSuffix(after, ")") {
		f.What, f.Mend = before, strings.TrimSuffix(after, ")")
	}
	var file *fs.PathError // of another file, which a row names
	if f.Mend == "" && len(of) > 0 && of[0].Like() != "" && !errors.As(err, &file) {
		f.Mend = "such as `" + of[0].Like() + "`, see control(5)"
	}
	if errors.Is(err, fs.ErrPermission) {
		f.Mend = "the owner of the home must be able to read it: chown or chmod it"
	}
	r.Findings = append(r.Findings, Finding{Fault: f})
}

// warn adds a warning.
func (r *Report) warn(file string, line int, what, mend string) {
	f := Fault{File: file, Line: line, What: what, Mend: mend}
	r.Findings = append(r.Findings, Finding{Fault: f, Warning: true})
}

// unknownName returns what is wrong with a name in control/ that no program reads.
func (c *Control) unknownName(e fs.DirEntry) (f Fault, unknown bool) {
	name := e.Name()
	s, known := c.settings[name]
	info, err := os.Stat(c.path(name))
	switch {
	case PassedOver(name), known && (s.Form != Directory || err != nil || info.IsDir()):
		return f, false
	case known:
		return Fault{File: name, What: "is a file, but must be a directory", Mend: "see control(5)"}, true
	}
	f = Fault{File: name, What: "unknown setting", Mend: "remove it; control(5) lists them all"}
	var all []string
	for _, s := range Settings() {
		all = append(all, s.Name)
	}
	if like := nearest(name, all); like != "" {
		f.Mend = "did you mean " + like + "?"
	}
	return f, true
}
