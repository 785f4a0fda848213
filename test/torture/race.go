package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"paperpath/internal/spool"
)

// A race is a step that is stopped before each of its changes and locks in turn, while
// a rival does all of its work; then the step goes on. No delay could make a window
// wider.
type race struct {
	scenario string
	rivals   []rival
}

type rival struct {
	name  string
	do    func(w *world) error
	wants []want // beside those of the scenario
	gone  bool   // the message may be gone
}

// races pairs steps with rivals.
func races() []race {
	runs := func(programs ...string) (list []rival) {
		for _, p := range programs {
			list = append(list, rival{name: p + " run", do: func(w *world) error { return w.rivalRun(p, "run") }})
		}
		return list
	}
	reader := rival{name: "a reader in the queue", do: func(w *world) error { return w.readAll("spool/*") }}
	mailReader := rival{name: "a reader in the mailbox", do: func(w *world) error { return w.readAll("mail/*/*/Maildir") }}
	everything := append(runs("mailcheck", "mailroute", "maildeliver"), reader, mailReader,
		verbRival("hold"), verbRival("reroute"), verbRival("retry"), removeRival(), arrival())
	return []race{
		{"mailcheck", everything},
		{"mailroute, rename", everything},
		{"mailroute, split", append(runs("mailroute", "maildeliver"), reader, mailReader, verbRival("hold"), verbRival("retry"), arrival())},
		{"mailroute, bounce", append(runs("mailroute", "maildeliver"), reader, mailReader, arrival())},
		{"maildeliver, rename", everything},
		{"maildeliver, copy for its parameters", everything},
		{"maildeliver, two file systems", append(runs("maildeliver"), reader, verbRival("hold"), removeRival(), arrival())},
		{"mailrelay, one host", append(runs("mailrelay"), reader, arrival())},
		{"mailrelay, deferred", append(runs("mailrelay"), reader, verbRival("retry"), verbRival("hold"), arrival())},
		{"pop3d, QUIT with deletions", append(runs("maildeliver"), mailReader, arrival())},
	}
}

// rivalRun runs a program; it is no failure if that finds nothing to do or has to try
// again.
func (w *world) rivalRun(program string, args ...string) error {
	r, err := w.programs.Run(w.home, nil, program, args...)
	if err == nil && r.Status != 0 && r.Status != 75 && r.Status != 65 {
		err = fmt.Errorf("%s %v beside it: exit status %d: %.300s", program, args, r.Status, r.Stderr)
	}
	return err
}

// readAll is a mail reader that has seen everything: from new/ to cur/.
func (w *world) readAll(pattern string) error {
	names, _ := filepath.Glob(filepath.Join(w.home, pattern, "new", "*"))
	for _, name := range names {
		if strings.Contains(name, "/hold/") {
			continue
		}
		to := filepath.Join(filepath.Dir(filepath.Dir(name)), "cur", filepath.Base(name)+":2,S")
		if err := os.Rename(name, to); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func verbRival(verb string) rival {
	return rival{name: "queue " + verb, do: func(w *world) error {
		if w.key() == "" {
			return nil
		}
		return w.rivalRun("mailctl", "queue", verb, w.key())
	}}
}

func removeRival() rival {
	r := verbRival("remove")
	r.gone = true
	return r
}

// arrival is another message that is accepted, and delivered at once.
func arrival() rival {
	return rival{name: "another message", wants: []want{{box: "alice", token: "token-8"}}, do: func(w *world) error {
		if _, err := w.put(spool.InboxDeliver, "token-8", to("alice@example.net")...); err != nil {
			return err
		}
		return w.rivalRun("maildeliver", "run")
	}}
}

// raceRows tries each rival before each change; with quick half of them, in turn.
func raceRows(t *table, p *pool, all []scenario, only string, quick bool) {
	for _, x := range races() {
		for i := range all {
			if all[i].name != x.scenario || !strings.Contains(x.scenario, only) {
				continue
			}
			r := &row{name: "race: " + x.scenario}
			points := p.baseline(&all[i], r, racing)
			p.each(r, points*len(x.rivals), func(w *worker, at int) {
				turn, n := (at-1)%len(x.rivals), (at-1)/len(x.rivals)+1
				if quick && (turn+n)%2 == 1 {
					return
				}
				v := x.rivals[turn]
				where := fmt.Sprintf("%s before change %d", v.name, n)
				f, err := w.race(&all[i], v, n)
				if err != nil {
					r.fail(where, err)
					return
				}
				r.add(f, false, where)
			})
			t.row(r)
		}
	}
}

// racing is the filter of calls whose effect a rival may change if it acts just before
// them.
func racing(w *world, c *call) bool { return changing(w, c) || c.name == "flock" && w.holds(c.path) }

func (wk *worker) race(s *scenario, v rival, n int) (finding, error) {
	w, err := wk.world(s)
	if err != nil {
		return finding{}, err
	}
	defer w.close()
	var failed error
	r, err := w.step(s, func(c *call) act {
		if !racing(w, c) {
			return act{}
		}
		if n--; n == 0 {
			done := make(chan error)
			go func() { done <- v.do(w) }() // on another thread: this one traces
			failed = <-done
		}
		return act{}
	})
	switch {
	case err != nil || failed != nil:
		return finding{}, fmt.Errorf("%v %v", err, failed)
	case misbehaved(s, r) != "":
		return finding{wrong, misbehaved(s, r)}, nil
	case n > 0:
		v.wants = nil // the step ended before
	}
	both := *s
	both.after = releaseHeld
	both.wants = append(append([]want{}, s.wants...), v.wants...)
	for i := range both.wants {
		both.wants[i].deletes = both.wants[i].deletes || v.gone && both.wants[i].token == token
	}
	yes := r.yes && s.program == "pop3d"
	if err := w.settle(&both, yes); err != nil {
		return finding{}, err
	}
	return w.judge(&both, yes, false)
}
