package mailctl

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/visible"
)

// serviceState says how a service does, for people.
type serviceState struct {
	Where string    `json:"where"` // "control/services:1"
	Name  string    `json:"name"`  // the command line
	Ready bool      `json:"ready"`
	Since time.Time `json:"since"`         // of the state
	Ends  int       `json:"ends"`          // how often it ended before it was ready, in succession
	Says  string    `json:"says,omitzero"` // its own words, or how it ended
}

// String says what is wrong with a service that is not ready.
func (s serviceState) String() string {
	text := fmt.Sprintf("%s: %s", s.Where, s.Name)
	if s.Ends > 0 {
		text += fmt.Sprintf(" has ended %s", count(s.Ends, "time", "times"))
	} else {
		text += " has not said that it is ready"
	}
	if s.Says != "" {
		text += ": " + s.Says
	}
	return text
}

// serviceLife is what changes while a service runs; its mutex is the service's.
type serviceLife struct {
	process *os.Process // while it is ready
	pending bool        // it missed a SIGHUP while it was not
	since   time.Time
	ends    int
	says    string

	wasReady bool // once; mailctl start is ready when all were
}

// state returns how the service does.
func (s *service) state() serviceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return serviceState{Where: s.where, Name: visible.Line(s.name), Ready: s.life.process != nil, Since: s.life.since,
		Ends: s.life.ends, Says: s.life.says}
}

// hangup passes SIGHUP on, but not before the service is ready: until then it may not
// yet have asked for the signal.
func (s *service) hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.pending = s.life.process == nil; !s.life.pending {
		// A process that has ended is started again, and then reads everything.
		s.signal(s.life.process, syscall.SIGHUP)
	}
}

// setReady records the process that takes signals now.
func (s *service) setReady(p *os.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := s.life.pending
	s.life = serviceLife{process: p, since: s.group.now(), wasReady: true}
	if pending {
		s.signal(p, syscall.SIGHUP)
	}
	s.group.changed()
}

// setSays records what the service says about itself.
func (s *service) setSays(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life.says = visible.Shorten(visible.Line(text), maxSays)
}

// maxSays is how much of a service's words is kept, in octets.
const maxSays = 1000

// setEnded records how the service ended. Its last words say more than its exit status.
func (s *service) setEnded(how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.process != nil {
		s.life = serviceLife{pending: s.life.pending, says: s.life.says, wasReady: true}
	}
	s.life.since = s.group.now()
	s.life.ends++
	if s.life.says == "" {
		s.life.says = how
	}
}

// allWereReady reports whether each service has been ready once.
func (g *group) allWereReady() bool {
	return !slices.ContainsFunc(g.all(), func(s *service) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.life.wasReady
	})
}

// states says how each service does.
func (g *group) states() []serviceState {
	services := g.all()
	list := make([]serviceState, 0, len(services))
	for _, s := range services {
		list = append(list, s.state())
	}
	return list
}

// tellUnready names on standard error the services that are not ready, and returns the
// sentence that counts them.
func (g *group) tellUnready() string {
	var unready []string
	all := g.states()
	for _, s := range all {
		if !s.Ready {
			unready = append(unready, s.String())
			maillog.Say(g.stderr, "mailctl: not ready yet: "+s.String()+"\n")
		}
	}
	return fmt.Sprintf("%d of %s ready; not ready: %s", len(all)-len(unready), count(len(all), "service", "services"),
		strings.Join(unready, "; "))
}

// notify tells the service manager above us that mail flows, and how the services do.
func (g *group) notify(text string) {
	if err := listen.NotifyStatus(text); err != nil {
		g.log.Trouble("", "notify", err)
	}
	if err := listen.NotifyReady(); err != nil {
		g.log.Trouble("", "notify", err)
	}
}
