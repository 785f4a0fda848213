package mailctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/dir"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

const (
	firstWait = time.Second      // before a service is started again; doubled each time
	lastWait  = time.Minute      // the longest of these waits; a run this long resets them
	grace     = 20 * time.Second // from SIGTERM to SIGKILL; longer than a server gives its sessions
	patience  = 10 * time.Second // until those that are not ready are named; six times that while it goes on
)

// Start checks the settings, then runs the commands of control/services until ctx
// ends: it prints `ready` on standard output once each of them has reported that it
// is ready, restarts those that exit, and stops them all at the end. If a command
// rejects its arguments (exit status 64) or is not allowed to do its work (77) before
// all are ready, Start fails.
func Start(ctx context.Context, h *home.Home) error {
	lent, err := h.LendRoot()
	if err != nil {
		return err
	}
	for _, part := range []string{"spool", "mail"} {
		if err := spool.CheckMark(filepath.Join(h.Dir, part)); err != nil {
			return err
		}
	}
	o := &orders{log: h.Log}
	defer o.release() // when run/ is free again
	unlock, err := lockRun(filepath.Join(h.Dir, "run"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkToStart(h.Dir, h.Control, h.Clock.Now(), h.Stderr); err != nil {
		return err
	}
	rows, err := h.Control.Services()
	if err != nil {
		return err
	}
	g := newGroup(h)
	g.lent = lent
	g.users, _ = h.Reserved()
	if g.services, err = g.servicesOf(rows); err != nil {
		return err
	}
	take := func(ctx context.Context, stop func()) (func(), error) { return g.take(ctx, h, o, stop) }
	return g.run(ctx, take, func() error {
		_, err := fmt.Fprintln(h.Stdout, "ready")
		return err
	})
}

// take takes SIGHUP and orders on the socket until done is called.
func (g *group) take(ctx context.Context, h *home.Home, o *orders, stop func()) (done func(), err error) {
	reload := func() error {
		rows, err := h.Control.Services()
		if err != nil {
			return err
		}
		faults, _ := h.Control.Faults("services") // Reload names them
		return g.reload(ctx, rows, len(faults) > 0)
	}
	o.state, o.stop = g.states, stop
	o.reload = func() error { return h.Reload(reload) }
	close, err := o.listen(h.Dir)
	if err != nil {
		return nil, err
	}
	hangups := h.OnHangup(ctx, reload)
	return func() { hangups(); close() }, nil
}

// lockRun allows one mailctl start at a time to run a home. The lock ends with the
// process.
func lockRun(path string) (unlock func(), err error) {
	d, err := dir.Open(path)
	if err != nil {
		return nil, status.Temp("4.3.5", "the home is incomplete (mailctl init makes what is missing)", err)
	}
	err = unix.Flock(d.Fd(), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return func() { d.Close() }, nil
	}
	d.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, status.Temp("4.3.0", "another mailctl start runs this home ("+path+" is locked)", nil)
	}
	return nil, status.Temp("4.3.0", "cannot lock "+path, err)
}

// group is the services of a running mailctl start.
type group struct {
	home   string
	clock  clock.Clock
	log    *maillog.Log
	stderr *os.File

	reloading sync.Mutex // held by reload
	mu        sync.Mutex
	services  []*service

	// lent says that root is only lent to us: our own programs are started as root
	// each time, so that they can bind their ports. Other commands are started as the
	// owner, who may write anything into control/services.
	lent bool

	users []int // of the programs

	news    chan struct{} // there was some: a service became ready, or services changed
	broken  chan error    // of a service that will never be ready
	running sync.WaitGroup

	firstWait, lastWait, grace, patience time.Duration
}

// now is the time on the group's clock.
func (g *group) now() time.Time { return g.clock.Now() }

// all returns the services of now.
func (g *group) all() []*service {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.services)
}

// changed wakes await.
func (g *group) changed() {
	select {
	case g.news <- struct{}{}:
	default:
	}
}

func newGroup(h *home.Home) *group {
	return &group{home: h.Dir, clock: h.Clock, log: h.Log, stderr: h.Stderr,
		news: make(chan struct{}, 1), broken: make(chan error, 1),
		firstWait: firstWait, lastWait: lastWait, grace: grace, patience: patience}
}

// guard calls work; a panic in it is logged and does not end the program.
func (g *group) guard(what string, work func()) {
	if err := status.Guard(func() error { work(); return nil }); err != nil {
		g.log.Trouble("", what, err)
	}
}

// environment is the environment of a service: ours without the sockets of whatever
// started mailctl, plus the home, where to report that it is ready, and the clock if
// it is not the machine's.
func (g *group) environment(notify string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "LISTEN_") && !strings.HasPrefix(name, "WATCHDOG_") {
			env = append(env, v)
		}
	}
	// If a name has two values, the last one counts.
	env = append(env, "PAPERPATH_HOME="+g.home, "NOTIFY_SOCKET="+notify)
	if g.clock.Shifted() {
		env = append(env, "PAPERPATH_NOW="+g.clock.Now().UTC().Format(time.RFC3339))
	}
	return env
}

// servicesOf makes the services of the lines of control/services. With an error, it
// returns those whose programs exist.
func (g *group) servicesOf(rows []control.Service) (list []*service, err error) {
	if len(rows) == 0 {
		return nil, status.Temp("4.3.5",
			filepath.Join(g.home, "control", "services")+" has no commands (one per line)", nil)
	}
	var errs []error
	for _, row := range rows {
		s, err := g.service(row)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

// service makes the service of a line of control/services.
func (g *group) service(row control.Service) (*service, error) {
	path, err := findProgram(row.Args[0])
	if err != nil {
		return nil, status.Temp("4.3.5", fmt.Sprintf("%s: %v", row.Where, err), nil)
	}
	return &service{group: g, name: strings.Join(row.Args, " "), where: row.Where, path: path,
		args: row.Args[1:]}, nil
}

// isOurs reports whether the program at path is one of Paperpath's own, which are in
// the directory of mailctl.
func isOurs(path string) bool {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && filepath.Dir(real) == filepath.Dir(self) && control.IsProgram(filepath.Base(real))
}

// findProgram looks for a program next to mailctl itself, then in PATH.
func findProgram(name string) (string, error) {
	if strings.Contains(name, "/") {
		return exec.LookPath(name)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), name)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither next to mailctl nor in PATH", name)
	}
	return path, nil
}

// run supervises the services until ctx ends or one of them can never be ready. take
// makes SIGHUP and orders call reload, until done is called.
func (g *group) run(ctx context.Context, take func(_ context.Context, stop func()) (done func(), err error),
	allReady func() error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	for _, s := range g.services {
		g.launch(ctx, s)
	}
	done, err := take(ctx, end)
	if err == nil {
		err = g.await(ctx, allReady)
		if err == nil {
			<-ctx.Done()
		}
		end()
		done()
	}
	end()
	g.running.Wait()
	return err
}

// launch supervises a service until ctx ends or letGo is called.
func (g *group) launch(ctx context.Context, s *service) {
	ctx, s.letGo = context.WithCancel(ctx)
	g.running.Go(func() {
		g.guard("supervise "+s.name, func() { s.supervise(ctx) })
	})
}

// reload starts what is new in control/services, stops what is no longer there, and
// passes SIGHUP on to the rest. If rows are broken, nothing is stopped: a service
// that is missing may be the one that such a row names.
func (g *group) reload(ctx context.Context, rows []control.Service, broken bool) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	wanted, err := g.servicesOf(rows)
	if len(wanted) == 0 {
		return err
	}
	old := g.all()
	for i, s := range wanted {
		at := slices.IndexFunc(old, func(o *service) bool { return o.same(s) })
		if at < 0 {
			continue
		}
		wanted[i] = old[at]
		old = slices.Delete(old, at, at+1)
	}
	if broken || err != nil {
		wanted, old = append(wanted, old...), nil
	}
	for _, s := range old {
		s.letGo()
	}
	for _, s := range wanted {
		if s.letGo == nil {
			g.launch(ctx, s)
		} else {
			s.hangup()
		}
	}
	g.mu.Lock()
	g.services = wanted
	g.mu.Unlock()
	g.changed()
	return err
}

// await returns once every service has been ready, or with an error if that cannot
// happen. It names those that keep it waiting; after a while the service manager above us
// learns that mail flows through the others.
func (g *group) await(ctx context.Context, allReady func() error) error {
	wait := time.NewTimer(g.patience)
	defer wait.Stop()
	told := false
	for !g.allWereReady() {
		select {
		case <-g.news:
		case err := <-g.broken:
			return err
		case <-wait.C:
			text := g.tellUnready()
			if told {
				g.notify(text)
			}
			told = true
			wait.Reset(6 * g.patience)
		case <-ctx.Done():
			return nil
		}
	}
	g.notify("all services are ready")
	return allReady()
}
