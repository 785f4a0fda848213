package check

import (
	"context"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/control"
	"paperpath/internal/parts"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// structureCheck bounds the MIME structure of a message: programs that read it may not
// (RFC 2046 5.1 has no limits). That it cannot be read is recorded and no more: it is not
// for transport to judge.
type structureCheck struct{}

// Name implements Check.
func (structureCheck) Name() string { return "structure" }

// Ask implements Check.
func (structureCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	f, err := m.mimeOf()
	if err != nil {
		return failed(err)
	}
	if q.Trail != nil {
		q.Trail.Add("structure", fmt.Sprintf("%d parts, %d levels", f.found.Parts, f.found.Depth), "control/limits")
	}
	if f.found.Limit != nil {
		return failed(status.Refuse("5.6.0", f.limitText()))
	}
	if f.found.Odd != nil {
		return Finding{Result: "odd", Reason: visible.ASCII(f.found.Odd.Error())}
	}
	return Finding{}
}

// mime is what is known of the parts of a message.
type mime struct {
	limits parts.Limits
	found  parts.Structure
	policy judged
}

// limitText says which limit the message exceeds.
func (f *mime) limitText() string {
	switch {
	case errors.Is(f.found.Limit, parts.ErrDepth):
		return fmt.Sprintf("MIME parts are nested more than %d deep", f.limits.Depth)
	case errors.Is(f.found.Limit, parts.ErrParts):
		return fmt.Sprintf("the message has more than %d MIME parts", f.limits.Parts)
	}
	return "MIME: " + f.found.Limit.Error()
}

// mimeOf reads the parts once for all checks that want to know.
func (m *Case) mimeOf() (*mime, error) {
	if m.mime != nil {
		return m.mime, nil
	}
	n, err := m.Control.Limits("mimedepth", "mimeparts", "headerbytes")
	if err != nil {
		return nil, err
	}
	f := &mime{limits: parts.Limits{Depth: int(min(n[0], 1<<30)), Parts: int(min(n[1], 1<<29)), Header: min(n[2], 1<<40)}}
	policy, err := m.Control.MIMEPolicy()
	if err != nil {
		return nil, err
	}
	f.policy.policy = policy
	see, size := func(parts.Part) {}, m.Body.Size()
	if !policy.None() {
		see = f.policy.see
	} else if found, all := parts.Alone(m.Header); all { // nobody asks for files in the text
		f.found, m.mime = found, f
		return f, nil
	}
	if f.found, err = parts.Read(io.NewSectionReader(m.Body, 0, size), size, f.limits, see); err != nil {
		return nil, err
	}
	m.mime = f
	return f, nil
}

// judged is what control/mime says of the parts so far.
type judged struct {
	policy control.MIMEPolicy
	worst  *control.MIMERule
	what   string // the name or the type that it is about
	err    error  // of a broken row that may be about a part
	missed bool   // a part for which there is no row
	seen   int
}
