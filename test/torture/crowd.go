package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// A crowd shows what the stops of a race cannot: several programs, built with the race
// detector, work on one home at full speed. Each round has a home of its own with a few
// letters in it, and in the end every letter must be where it belongs exactly once.
type crowd struct {
	name    string
	prepare func(w *world) error
	actors  []actor
	wants   []want
}

// actor is one of the crowd. It ends by itself, or soon after over is set, when
// all others that end by themselves have ended.
type actor struct {
	do    func(r *round) error
	waits bool // until over is set
}

// round is one home and what its actors share.
type round struct {
	*world
	raced harness.Programs
	over  atomic.Bool
	files map[string][]byte // entries of deliver/ at the start, by name
}

// crowdLetters is how many letters a round has.
const crowdLetters = 4

func crowdToken(i int) string { return fmt.Sprintf("token-%d", i) }

// manyAccepted puts the letters of a round into an inbox.
func manyAccepted(in spool.Inbox, to ...spool.Recipient) func(*world) error {
	return func(w *world) error {
		for i := range crowdLetters {
			if _, err := w.put(in, crowdToken(i), to...); err != nil {
				return err
			}
		}
		return nil
	}
}

func manyWanted(boxes ...string) (list []want) {
	for i := range crowdLetters {
		for _, b := range boxes {
			list = append(list, want{box: b, token: crowdToken(i)})
		}
	}
	return list
}

func crowds() []crowd {
	runs := func(program string, n int) (list []actor) {
		for range n {
			list = append(list, actor{do: func(r *round) error { return r.program(program, "run") }})
		}
		return list
	}
	with := func(list []actor, more ...actor) []actor { return append(list, more...) }
	watches := func(program, inbox string) actor {
		return actor{do: func(r *round) error { return r.watch(program, inbox) }}
	}
	reader := actor{waits: true, do: func(r *round) error { return r.until(func() error { return r.readAll("spool/*") }) }}
	mailReader := actor{waits: true, do: func(r *round) error { return r.until(func() error { return r.readAll("mail/*/*/Maildir") }) }}
	people := actor{do: (*round).people}
	copies := actor{do: (*round).copyAgain}
	alice := to("alice@example.net")
	return []crowd{
		{"two runners, check", manyAccepted(spool.InboxCheck, alice...), runs("mailcheck", 2), manyWanted("alice")},
		{"two runners, route splits", manyAccepted(spool.InboxRoute, to("all@example.net")...), runs("mailroute", 2), manyWanted("alice", "bob", elsewhere)},
		{"two runners, deliver", manyAccepted(spool.InboxDeliver, alice...), runs("maildeliver", 2), manyWanted("alice")},
		{"two runners, relay", manyAccepted(spool.InboxRelay, to(elsewhere)...), runs("mailrelay", 2), manyWanted(elsewhere)},
		{"run beside watch, route", manyAccepted(spool.InboxRoute, to("both@example.net")...), with(runs("mailroute", 1), watches("mailroute", "route")), manyWanted("alice", "bob")},
		{"run beside watch, deliver", manyAccepted(spool.InboxDeliver, alice...), with(runs("maildeliver", 1), watches("maildeliver", "deliver")), manyWanted("alice")},
		{"queue verbs beside runners", manyAccepted(spool.InboxDeliver, alice...), append(runs("maildeliver", 2), people), manyWanted("alice")},
		{"a reader in the queue", manyAccepted(spool.InboxRoute, to("both@example.net")...), append(append(runs("mailroute", 2), runs("maildeliver", 2)...), reader), manyWanted("alice", "bob")},
		{"delivery beside a session that deletes", (*world).halfDelivered, append(runs("maildeliver", 1), mailReader, actor{do: (*round).deleteOld}), halfWanted()},
		{"two deliveries of one key", manyAccepted(spool.InboxDeliver, to("carl@example.net")...), append(runs("maildeliver", 2), copies), manyWanted("carl")},
		{"two deliveries of one key, rename", manyAccepted(spool.InboxDeliver, alice...), append(runs("maildeliver", 2), copies), manyWanted("alice")},
	}
}

// The old letters of halfDelivered are in the mailbox, the others on their way.
const oldToken = "token-old"

func (w *world) halfDelivered() error {
	for i := range crowdLetters {
		if _, err := w.put(spool.InboxDeliver, fmt.Sprint(oldToken, i), to("alice@example.net")...); err != nil {
			return err
		}
	}
	if err := w.drain(); err != nil {
		return err
	}
	return manyAccepted(spool.InboxDeliver, to("alice@example.net")...)(w)
}

func halfWanted() []want {
	list := manyWanted("alice")
	for i := range crowdLetters {
		list = append(list, want{box: "alice", token: fmt.Sprint(oldToken, i), deletes: true})
	}
	return list
}

// program runs one of the programs to its end. It is no failure if another one is at
// work or an entry has gone; a data race is one.
func (r *round) program(name string, args ...string) error {
	res, err := r.raced.Run(r.home, nil, name, args...)
	if err != nil {
		return err
	}
	return r.harmless(name, args, res.Status, res.Stderr)
}

func (r *round) harmless(name string, args []string, status int, stderr string) error {
	switch {
	case strings.Contains(stderr, "DATA RACE"):
		return fmt.Errorf("%s %v: %.3000s", name, args, stderr)
	case status != 0 && status != 65 && status != 75:
		return fmt.Errorf("%s %v: exit status %d: %.300s", name, args, status, stderr)
	}
	return nil
}

// watch keeps a watching program up until its inbox is empty.
func (r *round) watch(name, inbox string) error {
	cmd := exec.Command(r.raced.Path(name), "watch")
	cmd.Env = r.raced.Env(r.home)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// A second runner ends at once; the first one may be stopped only once it listens
	// for the signal.
	err := harness.Wait(name+" watch: an empty inbox", patience, func() bool {
		return len(ended) > 0 || len(r.entries(inbox)) == 0 && strings.Contains(r.log(), "prog="+name+" event=watching")
	})
	cmd.Process.Signal(syscall.SIGTERM)
	<-ended
	return errors.Join(err, r.harmless(name, []string{"watch"}, cmd.ProcessState.ExitCode(), errs.String()))
}

// until does something again and again until the round is over.
func (r *round) until(do func() error) error {
	for {
		if err := do(); err != nil || r.over.Load() {
			return err
		}
	}
}

// people use every verb on every entry in turn.
func (r *round) people() error {
	verbs := []string{"hold", "release", "reroute", "retry", "hold", "release"}
	for i, name := range r.names() {
		key, _, _ := strings.Cut(name, ",")
		if err := r.program("mailctl", "queue", verbs[i%len(verbs)], key); err != nil {
			return err
		}
		if err := r.program("mailctl", "queue", verbs[(i+1)%len(verbs)], key); err != nil {
			return err
		}
	}
	return nil
}

// copyAgain restores every entry from a copy, as a person may do, while the
// entry itself is being delivered.
func (r *round) copyAgain() error {
	for _, name := range r.names() {
		draft := filepath.Join(r.home, "spool/deliver/tmp", name)
		if err := os.WriteFile(draft, r.files[name], 0o600); err != nil {
			return err
		}
		err := os.Link(draft, filepath.Join(r.home, "spool/deliver/new", name))
		if err != nil && !os.IsExist(err) {
			return err
		}
		if err := os.Remove(draft); err != nil {
			return err
		}
	}
	return nil
}

// names returns the names of the entries that were in deliver/ at the start.
func (r *round) names() (list []string) {
	for name := range r.files {
		list = append(list, name)
	}
	return list
}

// deleteOld is a POP3 session that deletes the old letters, wherever they are by now.
func (r *round) deleteOld() error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer ours.Close()
	cmd := exec.Command(r.raced.Path("pop3d"))
	cmd.Env = r.raced.Env(r.home)
	cmd.Stdin, cmd.Stdout = theirs, theirs
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		theirs.Close()
		return err
	}
	theirs.Close()
	_, err = harness.Converse(ours).Fetch("eve@example.net", harness.Password, func(m harness.Fetched) bool {
		return bytes.Contains(m.Data, []byte("\nSubject: "+oldToken))
	})
	ours.Close()
	cmd.Wait()
	return errors.Join(err, r.harmless("pop3d", nil, cmd.ProcessState.ExitCode(), errs.String()))
}

// crowdRows runs n rounds of each crowd.
func crowdRows(t *table, p *pool, n int, only string) {
	raced, err := p.raceBuild()
	if err != nil {
		t.skip("crowds, built with -race", err.Error())
		return
	}
	for _, c := range crowds() {
		if !strings.Contains(c.name, only) {
			continue
		}
		r := &row{name: "crowd: " + c.name}
		s := scenario{name: r.name, prepare: c.prepare}
		if _, err := p.template(&s); err != nil {
			r.fail("before", err)
			t.row(r)
			continue
		}
		p.each(r, n, func(wk *worker, i int) {
			f, err := wk.crowd(c, &s, raced)
			if err != nil {
				r.fail(fmt.Sprintf("round %d", i), err)
				return
			}
			r.add(f, false, fmt.Sprintf("round %d", i))
		})
		t.row(r)
	}
}

// raceBuild builds all programs with the race detector.
func (p *pool) raceBuild() (harness.Programs, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(filepath.Dir(p.templates), "raced")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-race", "-buildvcs=false", "-tags", "urfave_cli_no_docs", "-o", bin+"/", "./cmd/...")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %.300s", err, out)
	}
	return harness.Programs(bin), nil
}

// crowd is one round.
func (wk *worker) crowd(c crowd, s *scenario, raced harness.Programs) (finding, error) {
	w, err := wk.world(s)
	if err != nil {
		return finding{}, err
	}
	defer w.close()
	r := &round{world: w, raced: raced, files: map[string][]byte{}}
	for _, path := range w.entries("deliver") {
		if r.files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			return finding{}, err
		}
	}
	if err := r.all(c.actors); err != nil {
		return finding{}, err
	}
	both := scenario{after: releaseAll, wants: c.wants}
	if err := w.settle(&both, true); err != nil {
		return finding{}, err
	}
	return w.judge(&both, true, false)
}

// all starts the actors, all at once.
func (r *round) all(actors []actor) error {
	var ending, waiting sync.WaitGroup
	errs := make([]error, len(actors))
	start := make(chan struct{})
	for i, a := range actors {
		group := &ending
		if a.waits {
			group = &waiting
		}
		group.Go(func() {
			<-start
			errs[i] = a.do(r)
		})
	}
	close(start)
	ending.Wait()
	r.over.Store(true)
	waiting.Wait()
	return errors.Join(errs...)
}

// releaseAll releases what people held and did not release.
func releaseAll(w *world, _ bool) error {
	for _, path := range w.entries("hold") {
		key, _, _ := strings.Cut(filepath.Base(path), ",")
		if _, err := w.programs.Must(w.home, nil, "mailctl", "queue", "release", key); err != nil {
			return err
		}
	}
	return nil
}
