package mailctl

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is a bar on a terminal for what takes long. Elsewhere it prints nothing.
type progress struct {
	out       io.Writer // nil: no terminal
	what      string
	done, all int
	shown     time.Time
}

const (
	barWidth = 30                     // characters
	barEvery = 100 * time.Millisecond // at most
)

func newProgress(out io.Writer, what string, all int) *progress {
	p := &progress{what: what, all: all, shown: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.out = out
	}
	return p
}

// step notes that one more is done. What is done at once shows no bar.
func (p *progress) step() {
	p.done++
	if p.out == nil || time.Since(p.shown) < barEvery {
		return
	}
	p.shown = time.Now()
	fmt.Fprint(p.out, p.bar())
}

func (p *progress) bar() string {
	full := barWidth * p.done / p.all
	return fmt.Sprintf("\r%s [%s%s] %d of %d", p.what, strings.Repeat("#", full), strings.Repeat(" ", barWidth-full), p.done, p.all)
}

// end removes the bar.
func (p *progress) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
