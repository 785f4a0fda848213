package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The measures of the plot, in pixels.
const (
	plotWidth = 900
	barStart  = 220
	barLength = 520 // of the best in a row
	lineStep  = 18
	rowGap    = 14
)

// Plot writes the table as an SVG picture: in each row the bar of the best is whole, and the
// others are as long as they are good beside it. Who is not trusted has no bar.
func (r *Run) Plot(out io.Writer) error {
	var b strings.Builder
	y := rowGap
	for _, m := range r.table.rows {
		y += lineStep
		text(&b, 10, y, "font-weight=\"bold\"", m.row.Name+", "+m.row.Unit)
		best := m.best()
		for i, e := range m.row.Entrants {
			y += lineStep
			m.bar(&b, y, i, best)
			text(&b, 20, y, "", e.Name)
		}
		y += rowGap
	}
	_, err := fmt.Fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"+
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n%s</svg>\n", plotWidth, y+rowGap, &b)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

// bar draws what an entrant reached, at y.
func (m measured) bar(b *strings.Builder, y, i int, best float64) {
	if !m.trusted(i) {
		text(b, barStart, y, "", "not all mail arrived")
		return
	}
	colour := "#9aa5b1"
	if m.row.Entrants[i].Name == Ours {
		colour = "#1f6f54"
	}
	length := max(1, int(barLength*m.row.better(m.median(i), best)))
	fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n", barStart, y-lineStep+6, length, lineStep-5, colour)
	text(b, barStart+length+6, y, "", Figure(m.median(i)))
}

// text writes a line that begins at x.
func text(b *strings.Builder, x, y int, attributes, words string) {
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" %s>", x, y, attributes)
	xml.EscapeText(b, []byte(words)) // a Builder has no errors
	b.WriteString("</text>\n")
}

// best is the best median of a row.
func (m measured) best() (best float64) {
	for i := range m.row.Entrants {
		if v := m.median(i); m.trusted(i) && (best == 0 || m.row.better(v, best) > 1) {
			best = v
		}
	}
	return best
}

// trusted reports whether an entrant has lost no mail.
func (m measured) trusted(i int) bool {
	for _, x := range m.results[i] {
		if !x.trusted() {
			return false
		}
	}
	return true
}
