package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// powerCut is a sweep over one kind of file system: the power is cut before
// each state-changing call and after the last one.
type powerCut struct {
	fs     string
	two    bool // spool and mailboxes on two images
	quick  bool // one lead at every second point, in turn, instead of all
	images map[*worker][]*image
}

// What has reached the disk by itself before the cut.
const (
	nothing     = iota // only what was synced
	namesSynced        // one image: others have synced where names were moved to
	firstAhead         // two images, which no journal orders: all of the spool
	secondAhead        // or all of the mail
	recordKept         // one image: nothing, and it is mounted again on the same boot
)

// leads returns what is tried at each point.
func (c *powerCut) leads() []int {
	if c.two {
		return []int{nothing, firstAhead, secondAhead}
	}
	return []int{nothing, namesSynced, recordKept}
}

func newPowerCut(p *pool, fs string, two, quick bool) (*powerCut, error) {
	c := &powerCut{fs: fs, two: two, quick: quick, images: map[*worker][]*image{}}
	for _, w := range p.all {
		names := []string{"one"}
		if two {
			names = []string{"spool", "mail"}
		}
		for _, name := range names {
			i, err := newImage(w.near, strings.ReplaceAll(c.name()+" "+name, " ", "-"), fileSystems[fs])
			if err != nil {
				c.close()
				return nil, err
			}
			c.images[w] = append(c.images[w], i)
		}
	}
	return c, nil
}

func (c *powerCut) close() {
	for _, list := range c.images {
		for _, i := range list {
			i.close()
		}
	}
}

func (c *powerCut) name() string {
	if c.two {
		return "cut " + c.fs + " x2"
	}
	return "cut " + c.fs
}

// world is the worker's world on images instead of directories.
func (c *powerCut) world(wk *worker, s *scenario) (*world, error) {
	template, err := wk.pool.template(s)
	if err != nil {
		return nil, err
	}
	images := c.of(wk)
	near, far := images[0].mount, images[len(images)-1].mount
	w, err := openWorld(wk.pool.programs, template, near, far)
	if err == nil && c.two {
		err = w.moveMail()
	}
	if err != nil {
		return nil, err
	}
	w.tracer, w.owners = wk.tracer, s.owners
	// The record names the file system: it has to be durable here before it can be kept.
	if len(w.complete("check"))+len(w.complete("route")) == 0 {
		err = w.open()
	}
	if err = errors.Join(err, w.hand()); err != nil {
		return nil, err
	}
	for _, i := range images {
		if err := i.flush(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// of returns the images of a worker, or of the worker that it is a copy of.
func (c *powerCut) of(wk *worker) []*image {
	for w, list := range c.images {
		if w.near == wk.near {
			return list
		}
	}
	return nil
}

func (c *powerCut) sweep(p *pool, s *scenario) *row {
	r := &row{name: c.name() + ": " + s.name}
	points, leads := p.baseline(s, r, changing)+1, c.leads()
	tries := points * len(leads)
	if c.quick {
		tries = (points + 1) / 2
	}
	p.each(r, tries, func(wk *worker, i int) {
		n, lead := (i-1)/len(leads)+1, leads[(i-1)%len(leads)]
		if c.quick {
			n, lead = points-2*(i-1), leads[i%len(leads)]
		}
		where := fmt.Sprintf("before change %d, lead %d", n, lead)
		f, allowed, at, err := c.point(wk, s, n, lead)
		if err != nil {
			r.fail(fmt.Sprintf("%s (%v)", where, at), err)
			return
		}
		r.add(f, allowed, fmt.Sprintf("%s (%v)", where, at))
	})
	return r
}

// point cuts the power before the n-th change, or once the program has ended.
func (c *powerCut) point(wk *worker, s *scenario, n, lead int) (f finding, allowed bool, at *call, err error) {
	w, err := c.world(wk, s)
	if err != nil {
		return f, false, nil, err
	}
	defer w.close()
	var failed error
	var before []*call
	step, err := w.step(s, func(next *call) act {
		before = append(before, next)
		if !changing(w, next) {
			return act{}
		}
		if n--; n == 0 {
			// Now: another thread's sync may be under way, and end before the kill.
			allowed = s.twice != nil && s.twice(before[:len(before)-1], true)
			at, failed = next, c.cut(wk, lead, before)
			return act{kill: true}
		}
		return act{}
	})
	if err == nil && at == nil {
		allowed = s.twice != nil && s.twice(before, true)
		failed = c.cut(wk, lead, before)
	}
	for _, i := range c.of(wk) {
		failed = errors.Join(failed, i.reboot())
	}
	if failed = errors.Join(err, failed); failed == nil && lead != recordKept {
		failed = w.newBoot()
	}
	if failed != nil {
		return f, false, at, failed
	}
	// What a person's verb did is not synced: a cut may undo it.
	yes := step.yes && s.program != "mailctl"
	if err := w.settle(s, yes); err != nil {
		return f, false, at, err
	}
	f, err = w.judge(s, yes, false)
	return f, allowed, at, err
}

// cut cuts the power of all images at once; one may be ahead.
func (c *powerCut) cut(wk *worker, lead int, before []*call) error {
	images := c.of(wk)
	var err error
	switch lead {
	case namesSynced:
		err = syncTargets(before)
	case firstAhead:
		err = images[0].flush()
	case secondAhead:
		err = images[1].flush()
	}
	if err != nil {
		return err
	}
	for _, i := range images {
		if err := i.cut(); err != nil {
			return err
		}
	}
	return nil
}

// syncTargets syncs the directories into which names were moved, as a program that
// accepts or delivers another message there does. The directories from which they came
// are not synced: btrfs may then have the file under both names.
func syncTargets(before []*call) error {
	for _, c := range before {
		if c.name != "rename" || !c.ok() || within(c.path, "tmp") {
			continue
		}
		f, err := os.Open(filepath.Dir(c.to))
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// moveMail puts the mailboxes on the other file system.
func (w *world) moveMail() error {
	here := filepath.Join(w.home, "mail")
	there := filepath.Join(w.far, "mail")
	if err := copyTree(here, there); err != nil {
		return err
	}
	if err := os.RemoveAll(here); err != nil {
		return err
	}
	return os.Symlink(there, here)
}
