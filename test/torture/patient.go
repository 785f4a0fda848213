package main

import (
	"fmt"
	"path/filepath"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// tornMinute is how long a torn entry is left alone (spool(5)), and a little.
const tornMinute = 62 * time.Second

// tornRow puts half an entry into each inbox and returns a function that checks, a
// minute later, that it was left alone until then and is held now. Everything else goes
// on meanwhile.
func tornRow(p *pool) func() *row {
	r := &row{name: "poison: torn for longer than a minute"}
	laid := time.Now()
	worlds := make([]*world, len(stages))
	for i, st := range stages {
		var err error
		if worlds[i], err = p.tornWorld(st.inbox, st.program); err != nil {
			r.fail(st.inbox, err)
		}
	}
	return func() *row {
		if err := harness.Wait("a minute", 2*tornMinute, func() bool { return time.Since(laid) > tornMinute }); err != nil {
			r.fail("wait", err)
		}
		for i, st := range stages {
			w := worlds[i]
			if w == nil {
				continue
			}
			err := w.work(st.program, time.Now())
			if err == nil {
				err = w.isolated(poison{name: "torn for a minute", held: true})
			}
			if err != nil {
				r.fail(st.inbox, err)
			} else {
				r.add(finding{}, false, st.inbox)
			}
			w.close()
		}
		return r
	}
}

// tornWorld is a home in which a stage has met a torn entry beside a good one,
// and has left it.
func (p *pool) tornWorld(inbox, program string) (*world, error) {
	dir := filepath.Join(filepath.Dir(p.templates), "torn-"+inbox)
	w, err := openWorld(p.programs, filepath.Join(p.templates, "base"), dir, dir)
	if err != nil {
		return nil, err
	}
	text := entryText(poisonKey)
	if err := write(filepath.Join(w.home, "spool", inbox, "new", sized(poisonKey, text)), text[:len(text)/2]); err != nil {
		return nil, err
	}
	goal := "alice@example.net"
	if inbox == "relay" {
		goal = elsewhere
	}
	if _, err := w.put(spool.Inbox(inbox), token, to(goal)...); err != nil {
		return nil, err
	}
	if err := w.work(program, time.Now()); err != nil {
		return nil, err
	}
	if n := len(w.entries(inbox)); n != 1 || len(w.entries("hold")) != 0 {
		return nil, fmt.Errorf("%d files are left in %s/ and %d held at once", n, inbox, len(w.entries("hold")))
	}
	return w, nil
}
