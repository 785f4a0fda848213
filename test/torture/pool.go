package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"paperpath/test/harness"
)

// pool is some workers, each with a tracer and directories of its own.
type pool struct {
	programs  harness.Programs
	templates string // a template a scenario
	workers   chan *worker
	all       []*worker
	ctx       context.Context
	one       bool // one failure is enough
}

type worker struct {
	pool   *pool
	tracer *tracer
	near   string // where homes are
	far    string // a directory on another file system
}

// newPool makes n workers. near should be in memory, far on a disk.
func newPool(ctx context.Context, p harness.Programs, near, far string, n int) (*pool, error) {
	pl := &pool{ctx: ctx, programs: p, templates: filepath.Join(near, "templates"), workers: make(chan *worker, n)}
	for i := range n {
		name := "worker" + strconv.Itoa(i)
		w := &worker{pool: pl, tracer: newTracer(), near: filepath.Join(near, name), far: filepath.Join(far, name)}
		for _, dir := range []string{w.near, w.far} { // other users pass through
			if err := os.MkdirAll(dir, 0o711); err != nil {
				return nil, err
			}
		}
		pl.all = append(pl.all, w)
		pl.workers <- w
	}
	return pl, newTemplate(p, filepath.Join(pl.templates, "base"))
}

// template returns the home in the state before the scenario's step, which is
// made once.
func (p *pool) template(s *scenario) (string, error) {
	dir := filepath.Join(p.templates, s.name)
	if _, err := os.Stat(dir); err == nil || s.prepare == nil && s.peer == "" {
		if s.prepare == nil {
			dir = filepath.Join(p.templates, "base")
		}
		return dir, nil
	}
	w, err := openWorld(p.programs, filepath.Join(p.templates, "base"), dir, filepath.Join(dir, "tmp"))
	if err != nil {
		return "", err
	}
	defer w.sink.Close()
	if err := s.prepare(w); err != nil {
		return "", err
	}
	os.Remove(filepath.Join(w.home, "log", "mail.log"))
	return dir, os.Rename(w.far, filepath.Join(dir, "far"))
}

// each runs do for 1 to n, the points of a row, as many at once as there are workers. It
// ends early if the whole run must end, or if the row has all the failures that are
// looked for.
func (p *pool) each(r *row, n int, do func(w *worker, i int)) {
	var wg sync.WaitGroup
	for i := 1; i <= n && p.ctx.Err() == nil && !(p.one && r.bad()); i++ {
		w := <-p.workers
		wg.Go(func() {
			defer func() { p.workers <- w }()
			do(w, i)
		})
	}
	wg.Wait()
}

// world makes a fresh world of the scenario's template.
func (w *worker) world(s *scenario) (*world, error) {
	template, err := w.pool.template(s)
	if err != nil {
		return nil, err
	}
	made, err := openWorld(w.pool.programs, template, w.near, w.far)
	if err == nil {
		made.tracer, made.owners = w.tracer, s.owners
	}
	return made, err
}
