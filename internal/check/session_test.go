package check

import (
	"context"
	"testing"
)

// fake is a check that has one finding, under the name of a real one.
type fake struct {
	name string
	ask  askFunc
}

func (f fake) Name() string                                      { return f.name }
func (f fake) Ask(ctx context.Context, m *Case, q Query) Finding { return f.ask(ctx, m, q) }

func fakeRow(name string, p phase, f Finding) row {
	return row{make: func() Check {
		return fake{name, func(context.Context, *Case, Query) Finding { return f }}
	}, phase: p}
}

// Every check has a row in control/checks.
func TestEveryCheckHasARow(t *testing.T) {
	s, err := settings(t).Checks()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows() {
		name := r.make().Name()
		if row := s.Row(name); row.Err != nil || seen[name] {
			t.Errorf("%s: %+v", name, row)
		}
		seen[name] = true
	}
}
