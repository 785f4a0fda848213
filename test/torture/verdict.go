package main

import (
	"fmt"
	"strings"
)

// verdict is the result of a point.
type verdict int

const (
	once verdict = iota // each acknowledged message arrived exactly once
	twice
	lost
	torn
	wrong // anything else that is not as promised
)

// finding is a verdict with its reason.
type finding struct {
	verdict verdict
	why     string
}

// judge compares what arrived with what the scenario wants. repeated says that the
// client sent the message again because it heard no yes.
func (w *world) judge(s *scenario, yes, repeated bool) (finding, error) {
	a, err := w.arrived()
	if err != nil {
		return finding{}, err
	}
	if len(a.torn) > 0 {
		return finding{torn, strings.Join(a.torn, "; ")}, nil
	}
	worst := finding{}
	worsen := func(v verdict, format string, args ...any) {
		if v > worst.verdict {
			worst = finding{v, fmt.Sprintf(format, args...)}
		}
	}
	for _, x := range s.wants {
		n := a.counts[x.box][x.token]
		delete(a.counts[x.box], x.token)
		least, most := x.bounds(yes, repeated)
		switch {
		case n < least:
			worsen(lost, "%s is not at %s", x.token, x.box)
		case n > 1 && n > most:
			worsen(twice, "%s is %d times at %s", x.token, n, x.box)
		case n > most:
			worsen(wrong, "%s is still at %s", x.token, x.box)
		}
	}
	for box, tokens := range a.counts {
		for t, n := range tokens {
			worsen(wrong, "%s is %d times at %s, where nobody wants it", t, n, box)
		}
	}
	return worst, nil
}

// bounds returns how often the message must and may be there.
func (x want) bounds(yes, repeated bool) (least, most int) {
	switch {
	case x.may:
		return 0, 1
	case x.deletes && yes:
		return 0, 0
	case x.deletes, x.accepts && !yes:
		return 0, 1
	case x.accepts && repeated:
		return 1, 2 // the first attempt may have got in
	}
	return 1, 1
}
