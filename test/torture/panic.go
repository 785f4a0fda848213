package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// panicRow builds a mailroute that panics at one address, and gives it two
// entries: the good one goes on, the other one is tried again, then held.
func panicRow(p *pool) *row {
	r := &row{name: "poison: a stage panics"}
	v := variant{programs: []string{"mailroute"}, edits: []edit{{"internal/route/stage.go", "	d := Decide(",
		"	if e.Envelope.To[0].Addr == \"eve@example.net\" {\n		panic(\"torture\")\n	}\n	d := Decide("}}}
	root, err := moduleRoot()
	if err != nil {
		r.fail("build", err)
		return r
	}
	bin, err := v.build(root, string(p.programs))
	if err != nil {
		r.fail("build", err)
		return r
	}
	defer os.RemoveAll(filepath.Dir(bin))
	p.with(harness.Programs(bin)).each(r, 1, func(w *worker, _ int) {
		if err := w.panics(); err != nil {
			r.fail("mailroute", err)
			return
		}
		r.add(finding{}, false, "")
	})
	return r
}

func (wk *worker) panics() error {
	w, err := wk.world(&scenario{})
	if err != nil {
		return err
	}
	defer w.close()
	_, bad := w.put(spool.InboxRoute, "token-9", to("eve@example.net")...)
	_, good := w.put(spool.InboxRoute, token, to("bob@example.net")...)
	if err := errors.Join(bad, good); err != nil {
		return err
	}
	start := time.Now()
	for n := 1; n <= 3; n++ {
		if err := w.work("mailroute", start.Add(time.Duration(n)*5*time.Hour)); err != nil {
			return err
		}
	}
	if held := w.entries("hold"); len(held) != 1 || !strings.Contains(w.reason("hold"), "panic: torture") {
		return fmt.Errorf("held are %q: %s", held, w.reason("hold"))
	}
	if err := w.work("maildeliver", start); err != nil {
		return err
	}
	a, err := w.arrived()
	if err == nil && a.counts["bob"][token] != 1 {
		err = fmt.Errorf("the message beside it arrived %d times", a.counts["bob"][token])
	}
	return err
}
