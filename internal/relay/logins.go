package relay

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

const (
	secretKept   = time.Minute     // what a command printed is used again for so long
	shortRest    = time.Minute     // of a login that failed otherwise than by a refusal
	refusalRest  = 5 * time.Minute // after a refused login; doubles each time, since providers lock accounts
	longestRest  = time.Hour
	maxKeptLogin = 1000 // logins whose secrets are kept
)

// logins are the secrets that commands printed, and the logins that rest. Rests are
// shared by all processes, in a file of run/: one that cron starts each minute would
// otherwise try a refused password each minute.
type logins struct {
	table *ratelimit.Table

	mu   sync.Mutex
	kept map[string]*keptLogin // by its ID
}

// keptLogin is what this process knows about a login.
type keptLogin struct {
	turn chan struct{} // holds one value while a session tries whether the login is good
	good atomic.Bool   // a host has accepted it

	mu     sync.Mutex     // held while the command runs: once for all sessions that wait for it
	secret control.Secret // that the command printed
	until  time.Time      // when it is forgotten
}

func newLogins(home string) *logins {
	path := filepath.Join(home, "run", "relay-logins")
	// Where the file cannot be used this process still knows.
	return &logins{table: ratelimit.OpenWithFallback(path, func(error) {}), kept: map[string]*keptLogin{}}
}

// secret returns the password or token of a login. cached means that its command has not
// just run.
func (l *logins) secret(ctx context.Context, of *control.RelayLogin) (
	s control.Secret, cached bool, err error) {
	if of.Command == nil {
		return of.Password, false, nil
	}
	k := l.keep(of.ID)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secret != "" && time.Now().Before(k.until) {
		return k.secret, true, nil
	}
	k.secret, err = of.Secret(ctx)
	k.until = time.Now().Add(secretKept)
	return k.secret, false, err
}

// keep returns what is known about a login, and forgets the secrets that are too old.
func (l *logins) keep(id string) *keptLogin {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, k := range l.kept {
		if other == id || len(k.turn) > 0 || !k.mu.TryLock() {
			continue
		}
		if time.Now().After(k.until) || len(l.kept) > maxKeptLogin {
			delete(l.kept, other)
		}
		k.mu.Unlock()
	}
	if l.kept[id] == nil {
		l.kept[id] = &keptLogin{turn: make(chan struct{}, 1)}
	}
	return l.kept[id]
}

// turn waits until no other session tries whether a login is good: several at once would
// be as many wrong passwords. done ends the turn.
func (l *logins) turn(ctx context.Context, of *control.RelayLogin) (done func()) {
	k := l.keep(of.ID)
	if k.good.Load() {
		return func() {}
	}
	select {
	case k.turn <- struct{}{}:
		return func() { <-k.turn }
	case <-ctx.Done():
		return func() {}
	}
}

// forget makes the command run again.
func (l *logins) forget(of *control.RelayLogin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.kept, of.ID)
}

// refused lets a login rest. The entry counts refusals for good.
func (l *logins) refused(of *control.RelayLogin, forGood bool, now time.Time) {
	l.keep(of.ID).good.Store(false)
	// A table that cannot be written falls back to memory.
	_ = l.table.Update(of.ID, func(e ratelimit.Entry) ratelimit.Entry {
		e.Time = now
		if forGood {
			e.Count++
		}
		return e
	})
}

// accepted ends the rest of a login.
func (l *logins) accepted(of *control.RelayLogin) {
	l.keep(of.ID).good.Store(true)
	_ = l.table.Update(of.ID, func(ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{} })
}

// asked is when a person asked for an attempt, on the clock that says now: files have the
// machine's. Zero: nobody did.
func (m *Message) asked(now time.Time) time.Time {
	if m.Asked.IsZero() {
		return m.Asked
	}
	return m.Asked.Add(time.Until(now)).Add(coarse)
}

// ask lets a login be tried again if a person has asked for that since it was refused.
// asked is on the clock of now.
func (l *logins) ask(t terms, asked time.Time) {
	if t.login == "" || asked.IsZero() {
		return
	}
	_ = l.table.Update(t.login, func(e ratelimit.Entry) ratelimit.Entry {
		if asked.After(e.Time) {
			e.Time = time.Time{}
		}
		return e
	})
}

// rest returns why a login is not tried now; nil: it may be.
func (l *logins) rest(t terms, now time.Time) error {
	if t.login == "" {
		return nil
	}
	e, err := l.table.Get(t.login)
	if err != nil || e.Time.IsZero() {
		return nil
	}
	pause, what := shortRest, "failed"
	if e.Count > 0 {
		pause, what = min(refusalRest<<min(e.Count-1, 8), longestRest), "was refused"
	}
	until := e.Time.Add(pause)
	if !now.Before(until) || now.Before(e.Time.Add(-longestRest)) { // the clock was set
		return nil
	}
	text := fmt.Sprintf("%s: the login %s at %s and is tried again after %s",
		t.host.name, what, clockTime(e.Time), clockTime(until))
	return status.Ours("4.7.8", text, text+" (see relay-login-failed in the log)", nil)
}
