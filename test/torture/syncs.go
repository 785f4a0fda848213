package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// syncs are how many times accepting a message syncs something in the spool.
var syncs = []struct {
	fs     string
	strict bool
	want   int
}{
	{"ext4", false, 1}, {"xfs", false, 1}, {"btrfs", false, 1}, {"ext4", true, 2}, {"xfs", true, 2}, {"btrfs", true, 2},
	{"ext2", false, 2}, {"ext4 without a journal", false, 2},
}

// syncRows accepts a message on each kind of file system and reads the trace.
func syncRows(t *table, p *pool) {
	for _, x := range syncs {
		name := "sync: " + x.fs
		if x.strict {
			name += ", strict"
		}
		r := &row{name: name}
		skipped := ""
		p.each(r, 1, func(w *worker, _ int) {
			i, err := newImage(w.near, strings.ReplaceAll(name, " ", "-"), fileSystems[x.fs])
			if err != nil {
				skipped = err.Error()
				return
			}
			defer i.close()
			for _, s := range submitScenarios() {
				found, err := w.syncPoint(&s, i, x.strict, x.want)
				if err != nil {
					r.fail(s.name, err)
					continue
				}
				r.add(found, false, s.name)
			}
		})
		if skipped != "" {
			t.skip(name, skipped)
			continue
		}
		t.row(r)
	}
}

func (wk *worker) syncPoint(s *scenario, i *image, strict bool, want int) (finding, error) {
	template, err := wk.pool.template(s)
	if err != nil {
		return finding{}, err
	}
	w, err := openWorld(wk.pool.programs, template, i.mount, i.mount)
	if err != nil {
		return finding{}, err
	}
	defer w.close()
	w.tracer = wk.tracer
	if strict {
		if err := w.set("sync", "strict"); err != nil {
			return finding{}, err
		}
	}
	ran, err := w.step(s, func(*call) act { return act{} })
	if err != nil {
		return finding{}, err
	}
	n := 0
	for _, c := range ran.calls {
		if strings.HasSuffix(c.name, "sync") && strings.HasPrefix(c.path, filepath.Join(w.home, "spool")) {
			n++
		}
	}
	if found := lintTrace(ran.calls, want == 1); len(found) > 0 || n != want {
		return finding{wrong, fmt.Sprintf("%d syncs, not %d; %s", n, want, strings.Join(found, "; "))}, nil
	}
	if err := w.settle(s, ran.yes); err != nil {
		return finding{}, err
	}
	return w.judge(s, ran.yes, false)
}
