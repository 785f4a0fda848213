package control

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"paperpath/internal/addr"
)

// Groups tells which groups a process of a user may have, whoever asks for it: the machine's
// databases say so, by getent(1).
type Groups struct {
	control *Control

	mu    sync.Mutex
	known map[membership]groupsAt
}

// membership is a question: a user, the group that they are to have, and the account, "" for
// none.
type membership struct {
	uid, gid int
	account  string
}

type groupsAt struct {
	groups []int
	at     time.Time
}

const (
	groupsFresh = time.Minute // how long an answer is valid
	groupsKept  = 1000        // answers
	maxGroups   = 256         // of an account
)

// Groups returns what tells groups.
func (c *Control) Groups() *Groups {
	return &Groups{control: c, known: map[membership]groupsAt{}}
}

// Of returns the groups of a process: gid first, and those that the account has when it logs in.
// Without an account it is gid alone. It must be a group of theirs, or one that the machine does
// not know. Every error is temporary: nothing runs with fewer groups because a directory is away.
func (g *Groups) Of(uid, gid int, account string) ([]int, error) {
	q := membership{uid, gid, account}
	g.mu.Lock()
	had, ok := g.known[q]
	g.mu.Unlock()
	if ok && time.Since(had.at) < groupsFresh {
		return had.groups, nil
	}
	groups, err := g.ask(q)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= groupsKept {
		clear(g.known)
	}
	g.known[q] = groupsAt{groups, time.Now()}
	return groups, nil
}

func (g *Groups) ask(q membership) ([]int, error) {
	from := getent{control: g.control}
	if _, err := from.path(); err != nil && q.account == "" {
		return []int{q.gid}, nil // in a container with nothing else groups mean nothing
	}
	name := q.account
	if name == "" {
		name = strconv.Itoa(q.uid)
	} else if !isAccountName(addr.Fold(name)) {
		return nil, fmt.Errorf("%.70q is no name of an account", name)
	}
	line, found, err := from.line("passwd", name)
	switch {
	case err != nil:
		return nil, err
	case found:
		return g.ofAccount(from, q, line)
	case q.account != "":
		return nil, fmt.Errorf("getent knows no account %s", name)
	}
	_, found, err = from.line("group", strconv.Itoa(q.gid))
	if err == nil && found {
		err = fmt.Errorf("uid %d has no account, so it is not in group %d", q.uid, q.gid)
	}
	return []int{q.gid}, err
}

func (g *Groups) ofAccount(from getent, q membership, line string) ([]int, error) {
	e, err := parsePasswd(line)
	if err == nil && e.uid != q.uid {
		err = fmt.Errorf("account %s has uid %d, not %d", e.name, e.uid, q.uid)
	}
	if err == nil && q.account == "" && q.gid == e.gid {
		return []int{q.gid}, nil // whatever the name is
	}
	if err == nil && !isAccountName(addr.Fold(e.name)) {
		err = fmt.Errorf("uid %d has an account with a name that cannot be asked for", q.uid)
	}
	if err != nil {
		return nil, err
	}
	also, err := from.groups(e.name)
	if err != nil {
		return nil, err
	}
	if q.gid != e.gid && !slices.Contains(also, q.gid) {
		return nil, fmt.Errorf("account %s is not in group %d", e.name, q.gid)
	}
	groups := []int{q.gid}
	if q.account == "" {
		return groups, nil
	}
	for _, id := range also {
		if id > 0 && !slices.Contains(groups, id) && len(groups) < maxGroups {
			groups = append(groups, id)
		}
	}
	return groups, nil
}

// line is the first line of an answer.
func (g getent) line(args ...string) (line string, found bool, err error) {
	out, exit, err := g.run(args...)
	if err == nil && exit != 0 && exit != notFound {
		err = fmt.Errorf("getent %s: exit status %d", strings.Join(args, " "), exit)
	}
	line, _, _ = strings.Cut(string(out), "\n")
	return line, exit == 0 && err == nil, err
}

// unknownDatabase is what getent(1) exits with if it does not know the database that it is asked
// for: that of musl does not know initgroups.
const unknownDatabase = 1

// groups are those of an account beside its own.
func (g getent) groups(account string) (ids []int, err error) {
	out, exit, err := g.run("initgroups", account)
	words := strings.Fields(string(out))
	switch {
	case err != nil:
		return nil, err
	case exit == unknownDatabase:
		return g.memberOf(account)
	case exit != 0:
		return nil, fmt.Errorf("getent initgroups %s: exit status %d", account, exit)
	case len(words) == 0 || !strings.EqualFold(words[0], account):
		return nil, fmt.Errorf("getent initgroups %s: an answer about somebody else", account)
	}
	for _, word := range words[1:] {
		id, err := parseID("gid", word)
		if err != nil {
			return nil, fmt.Errorf("getent initgroups %s: %w", account, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// memberOf finds the groups that name an account among all.
func (g getent) memberOf(account string) (ids []int, err error) {
	out, exit, err := g.run("group")
	if err == nil && exit != 0 {
		err = fmt.Errorf("getent group: exit status %d", exit)
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || !slices.Contains(strings.Split(f[3], ","), account) {
			continue
		}
		id, err := parseID("gid", f[2])
		if err != nil {
			return nil, errors.Join(errors.New("getent group"), err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
