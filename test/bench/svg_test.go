package bench

import (
	"encoding/xml"
	"strings"
	"testing"
)

// The plot is XML; the best of a row has the whole length, others their part, and who lost
// mail has no bar.
func TestPlot(t *testing.T) {
	of := func(value float64, arrived int) []Result {
		return []Result{{Value: value, Awaited: 3, Arrived: arrived}}
	}
	var r Run
	r.table.add(&Row{Name: "part: <rate> & more", Unit: "/s", Faster: true, Entrants: []Entrant{{Name: Ours}, {Name: "Half"}, {Name: "Lost"}}},
		[][]Result{of(10, 3), of(5, 3), of(20, 2)})
	r.table.add(&Row{Name: "part: time", Unit: "s", Entrants: []Entrant{{Name: Ours}, {Name: "Quarter"}}}, [][]Result{of(1, 3), of(4, 3)})
	var out strings.Builder
	if err := r.Plot(&out); err != nil {
		t.Fatal(err)
	}
	var svg struct {
		Bars []struct {
			Width string `xml:"width,attr"`
		} `xml:"rect"`
		Texts []string `xml:"text"`
	}
	if err := xml.Unmarshal([]byte(out.String()), &svg); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	var widths []string
	for _, bar := range svg.Bars[1:] {
		widths = append(widths, bar.Width)
	}
	if got := strings.Join(widths, " "); got != "520 260 520 130" {
		t.Errorf("the bars are %s", got)
	}
	if !strings.Contains(strings.Join(svg.Texts, "|"), "part: <rate> & more, /s|") {
		t.Errorf("the texts are %q", svg.Texts)
	}
}
