package control

import (
	"testing"
	"time"
)

// Every default is a row that can be read, and says what every check needs.
func TestCheckDefaults(t *testing.T) {
	defaults := checkDefaults()
	for _, k := range checkKinds() {
		r, err := k.parse("x", k.Default)
		if err != nil {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		if r.Action == "" || r.Temporary == "" || r.Time == 0 {
			t.Errorf("%s: %+v", k.Name, r)
		}
		for _, o := range k.Options {
			if r.Option(o.Name) == "" {
				t.Errorf("%s: no default for %s=", k.Name, o.Name)
			}
		}
		if d, ok := defaults[k.Name]; !ok || d.Where != fromDefault {
			t.Errorf("%s: the default is %+v", k.Name, d)
		}
	}
}

// A row says what it says, and the rest is the default's.
func TestCheckRows(t *testing.T) {
	f := newFixture(t, map[string]string{"checks": "# mine\nfrom: tag\nhops: defer time=5s\n"})
	s, err := f.Checks()
	if err != nil {
		t.Fatal(err)
	}
	from, hops, size, none := s.Row("from"), s.Row("hops"), s.Row("size"), s.Row("none")
	if from.Action != CheckTag || from.Temporary != CheckDefer || from.Where != "control/checks:2" || from.Err != nil {
		t.Errorf("from: %+v", from)
	}
	if hops.Action != CheckDefer || hops.Time != 5*time.Second {
		t.Errorf("hops: %+v", hops)
	}
	if size.Action != CheckRefuse || size.Where != "default" || size.Err != nil {
		t.Errorf("size: %+v", size)
	}
	if none.Err == nil {
		t.Errorf("none: %+v", none)
	}
}

// The worst of several actions decides.
func TestWorseActions(t *testing.T) {
	var last CheckAction
	for _, a := range checkActions() {
		if !a.Worse(last) || last.Worse(a) || a.Worse(a) {
			t.Errorf("%s after %s", a, last)
		}
		last = a
	}
	if CheckHold.Ends() || !CheckDefer.Ends() || !CheckRefuse.Ends() || !CheckDiscard.Ends() {
		t.Error("what ends the checks of a message")
	}
}
