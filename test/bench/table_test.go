package bench

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// testRow makes a row of two entrants with the values of each turn.
func testRow(ours, theirs []Result) (*Row, [][]Result) {
	return &Row{Name: "part: row", Unit: "s", Least: 0.5, Entrants: []Entrant{{Name: Ours}, {Name: "Peer"}},
		Aims:   []Aim{{Beside: "Peer", Times: 2}},
		Bounds: []Bound{{Figure: "MiB", Aim: 5, Most: 10}}}, [][]Result{ours, theirs}
}

// What fails a run, and what does not.
func TestTable(t *testing.T) {
	of := func(value float64) Result { return Result{Value: value, Awaited: 3, Arrived: 3} }
	with := func(x Result, change func(*Result)) Result { change(&x); return x }
	for _, c := range []struct {
		what         string
		ours, theirs []Result
		passes       bool
		says         string
	}{
		{"twice as fast", []Result{of(1)}, []Result{of(2)}, true, "reached: 2 x Peer"},
		{"not twice as fast", []Result{of(1)}, []Result{of(1.9)}, true, "MISSED: 2 x Peer"},
		{"behind", []Result{of(1)}, []Result{of(0.6)}, true, "first peer is better (part: row)"},
		{"far behind", []Result{of(1)}, []Result{of(0.4)}, false, "at best 0.40 times as good"},
		{"far behind in one turn", []Result{of(1), of(1)}, []Result{of(0.4), of(0.6)}, true, "0.50 (0.40 to 0.60)"},
		{"lost mail", []Result{with(of(1), func(x *Result) { x.Arrived = 2 })}, []Result{of(2)}, false, "2 of 3 came"},
		{"mail twice", []Result{with(of(1), func(x *Result) { x.Twice = 1 })}, []Result{of(2)}, false, "1 came twice"},
		{"the peer lost mail", []Result{of(1)}, []Result{with(of(2), func(x *Result) { x.Arrived = 2 })}, true, "-  2 of 3 came"},
		{"the peer doubled mail", []Result{of(1)}, []Result{with(of(2), func(x *Result) { x.Twice = 1 })}, false, "Peer: 1 came twice"},
		{"more memory than aimed at", []Result{with(of(1), func(x *Result) { x.Figures = map[string]float64{"MiB": 6} })}, []Result{of(2)}, true, "MISSED: 5.00 MiB"},
		{"more memory than allowed", []Result{with(of(1), func(x *Result) { x.Figures = map[string]float64{"MiB": 11} })}, []Result{of(2)}, false, "11.0 MiB, and 10.0 are allowed"},
	} {
		var table Table
		var out strings.Builder
		table.add(testRow(c.ours, c.theirs))
		if passed := table.print(&out); passed != c.passes || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: passes %v, and %q is missing in\n%s", c.what, passed, c.says, &out)
		}
	}
}

// A row in which Paperpath is far behind gets another turn, and no more than that.
func TestAnotherTurn(t *testing.T) {
	for _, c := range []struct {
		what   string
		theirs []float64 // ours is 1 each time
		turns  int
		passes bool
	}{
		{"never far behind", []float64{1, 1, 1, 1}, 2, true},
		{"far behind once", []float64{0.4, 0.6, 1, 1}, 2, true},
		{"far behind twice", []float64{0.4, 0.4, 0.6, 1}, 3, true},
		{"far behind in all", []float64{0.4, 0.4, 0.4, 1}, 3, false},
	} {
		measured := 0
		always := func(int) (Result, error) { return Result{Value: 1}, nil }
		theirs := func(turn int) (Result, error) { measured++; return Result{Value: c.theirs[turn]}, nil }
		run := Run{Turns: 2, Lines: io.Discard, Progress: io.Discard}
		err := run.Compare(&Row{Name: "part: row", Unit: "s", Least: 0.5, Entrants: []Entrant{{Ours, always}, {"Peer", theirs}}})
		if passed := run.End(io.Discard); err != nil || measured != c.turns || passed != c.passes {
			t.Errorf("%s: %d turns, passes %v, %v", c.what, measured, passed, err)
		}
	}
}

// Messages are seen when they come, and counted by Message-ID; torn ones do not count.
func TestSweep(t *testing.T) {
	b, err := NewBoxes(t.TempDir(), []string{"a", "b"}, -1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, name := range []string{"a/1", "a/2", "b/1"} {
		user, n, _ := strings.Cut(name, "/")
		write(t, b.new(user)+"/"+n, "X: y\nMessage-ID: <"+n+"@x>\n\nbody\n")
	}
	if err := b.Fill("a", 2); err != nil {
		t.Fatal(err)
	}
	write(t, b.new("b")+"/short", "X: y\nMessage-ID: <3@x>\n\n")
	if a.Await(6, time.Minute).IsZero() {
		t.Error("nothing was seen")
	}
	for _, want := range []int{2, 0} { // the second time all is aside
		ids, err := b.Sweep(29)
		if err != nil || ids["1@x"] != want || ids["2@x"] != min(want, 1) || ids["3@x"] != 0 {
			t.Errorf("counted %v, %v", ids, err)
		}
	}
	if left, err := os.ReadDir(b.new("a")); err != nil || len(left) != 2 {
		t.Errorf("of the messages that were there before %d are left, %v", len(left), err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
