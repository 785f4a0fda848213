package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/parts"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// mimeCheck asks control/mime about the files in a message, by their names and types under
// every reading that some mail reader has of them. Archives are not opened.
type mimeCheck struct{}

// Name implements Check.
func (mimeCheck) Name() string { return "mime" }

// Ask implements Check.
func (mimeCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	f, err := m.mimeOf()
	if err != nil {
		return failed(err)
	}
	p := &f.policy
	switch {
	case p.policy.None():
		return Finding{Result: "none"}
	case p.worst != nil && p.worst.Action.Worse(control.CheckAccept):
		text := p.worst.Text
		if text == "" {
			text = "a file of this kind is not accepted: " + p.what
		}
		reason := fmt.Sprintf("%s (%s)", p.what, p.worst.Where)
		q.Trail.Add("worst part", p.what, p.worst.Where)
		return Finding{Fails: true, Reason: reason, Answer: p.worst.Action, Err: status.Refuse("5.7.1", text)}
	case p.err != nil:
		return Finding{Err: p.err}
	case f.found.Limit != nil: // the structure check has let it pass
		return Finding{Fails: true, Answer: control.CheckRefuse, Reason: "not all parts were read: " + f.found.Limit.Error()}
	}
	if p.missed {
		if err := p.policy.Hidden(); err != nil {
			return Finding{Err: err}
		}
	}
	if q.Trail != nil {
		q.Trail.Add("parts with a name or a type", fmt.Sprint(p.seen), "control/mime")
	}
	return Finding{}
}

// see asks about one part. Under the worst of its readings it counts.
func (j *judged) see(p parts.Part) {
	j.seen++
	for _, kind := range p.Types {
		r, err := j.policy.Type(kind)
		j.take(r, err, kind)
	}
	for _, name := range p.Names {
		for _, form := range nameForms(name) {
			r, err := j.policy.Name(form)
			j.take(r, err, name)
		}
	}
}

// shown is how much of a name a reply shows.
const shown = 80

func (j *judged) take(r *control.MIMERule, err error, what string) {
	switch {
	case err != nil:
		if j.err == nil {
			j.err = err
		}
	case r == nil:
		j.missed = true
	case j.worst == nil || r.Action.Worse(j.worst.Action):
		j.worst, j.what = r, visible.ASCII(what[:min(len(what), shown)])
	}
}

// nameForms returns the names that a system may take a name for: with signs of East Asian
// width as the narrow ones; without what some leave out at its end, up to a NUL, and without
// the stream of a file (a.exe::$DATA); without what no file's name may have (a.e|xe).
func nameForms(name string) []string {
	name = strings.Map(narrow, addr.Fold(name))
	forms := []string{name}
	for _, mark := range []string{"\x00", ":"} {
		if before, _, ok := strings.Cut(name, mark); ok {
			forms = append(forms, before)
		}
	}
	forms = append(forms, strings.Map(func(r rune) rune {
		if r != '.' && leftOut(r) {
			return -1
		}
		return r
	}, name))
	for i, f := range forms {
		forms[i] = strings.TrimRightFunc(f, leftOut)
	}
	return slices.Compact(forms)
}

// leftOut reports whether systems and readers leave a sign out, or at least at the end.
func leftOut(r rune) bool {
	return strings.ContainsRune(".,;\"'<>|?*/\\", r) || r == unicode.ReplacementChar || unicode.IsSpace(r) ||
		unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// narrow returns the sign of ASCII that a wide one is taken for, and a dot for those of other
// scripts (as in names, RFC 3490 3.1).
func narrow(r rune) rune {
	switch {
	case r >= '\uff01' && r <= '\uff5e':
		return unicode.ToLower(r - 0xfee0)
	case r == '\u3002' || r == '\uff61' || r == '\u2024':
		return '.'
	}
	return r
}
