package control

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"paperpath/internal/status"
)

const (
	lookupFresh = 5 * time.Second // for which an answer of exec: holds
	lookupKept  = 1000            // answers
	lookupMost  = 16              // programs at a time
)

// lookups are the answers of the program in control/users.
type lookups struct {
	slots chan struct{}
	as    *syscall.Credential // whom the program runs as; nil: us

	mu    sync.Mutex
	known map[string]answer
	last  *User // that was found, whoever it is
}

type answer struct {
	program string
	at      time.Time
	user    *User
}

func newLookups() *lookups {
	return &lookups{slots: make(chan struct{}, lookupMost), known: map[string]answer{}}
}

// RunProgramsAs lets the programs that stand in control/users run as another
// user, where we are root: who writes there need not be. It is for the start.
func (c *Control) RunProgramsAs(uid, gid int) {
	c.lookups.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}
}

// user asks p for the row of an address. That there is none is never
// remembered.
func (l *lookups) user(home string, p Program, address string) (*User, error) {
	key, program := FoldAddress(address), strings.Join(p, " ")
	l.mu.Lock()
	had, ok := l.known[key]
	l.mu.Unlock()
	if ok && had.program == program && time.Since(had.at) < lookupFresh {
		return had.user, nil
	}
	u, err := l.fresh(home, p, address)
	if err != nil || u == nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= lookupKept {
		clear(l.known)
	}
	l.known[key] = answer{program, time.Now(), u}
	return u, nil
}

// fresh asks p whatever is remembered, and has nothing remembered.
func (l *lookups) fresh(home string, p Program, address string) (*User, error) {
	key := FoldAddress(address)
	if !mayAsk(key) {
		return nil, nil
	}
	u, err := l.run(home, p, key)
	if err != nil || u == nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = u
	return u, nil
}

// mayAsk reports whether a program is asked for an address: what is nobody's,
// or an option to some program, it does not see.
func mayAsk(key string) bool {
	return CheckAddress(key) == nil && key[0] != '-' && !strings.ContainsFunc(key, isControl)
}

// someone is a user that was found, nil where none was yet.
func (l *lookups) someone() *User {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *lookups) run(home string, p Program, key string) (*User, error) {
	l.slots <- struct{}{}
	defer func() { <-l.slots }()
	out, exit, err := p.runAs(context.Background(), l.as, nil, key)
	switch {
	case err != nil:
		return nil, failFile("users", "exec: %w", err)
	case exit == status.NoMailbox:
		return nil, nil
	case exit != 0:
		return nil, failFile("users", "exec: %s: exit status %d", p[0], exit)
	}
	row, rest, _ := strings.Cut(string(out), "\n")
	u, err := parseUser(home, row)
	switch {
	case err != nil:
		return nil, failFile("users", "exec: %s: the answer is no row: %v", p[0], err)
	case rest != "" || clean("users", 1, row) != nil:
		return nil, failFile("users", "exec: %s: the answer is not one line", p[0])
	case FoldAddress(u.Address) != key:
		return nil, failFile("users", "exec: %s: the answer is about another address", p[0])
	}
	u.Where = fmt.Sprintf("control/users:exec:%s", p[0])
	return &u, nil
}

// AsksForUsers reports whether a program stands in the place of the rows of
// control/users.
func (c *Control) AsksForUsers() (bool, error) {
	t, _, err := load(c, usersFile(c.home))
	return t.exec != nil, err
}

// CheckPassword returns the program that control/users has for passwords, nil
// for none.
func (c *Control) CheckPassword() (Program, error) {
	t, _, err := load(c, usersFile(c.home))
	return t.check, err
}
