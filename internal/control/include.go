package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxInclude  = 4 << 20 // bytes of a list that an alias includes
	maxMembers  = 10000   // of it
	maxIncluded = 100     // lists that are remembered
)

// Member is an address in a list that an alias includes.
type Member struct {
	Target string // as Alias.Targets have it; an address, `\user` or another list
	Where  string // "/etc/team:3"
}

// lists remembers what lists had in a state of their files.
type lists struct {
	mu    sync.Mutex
	known map[string]list
}

type list struct {
	stamp   stamp
	members []Member
}

// Include returns the members of the list in the file path: addresses, separated by commas
// and line ends, as the value of an alias has them, or as `Name <address>`. Every error is
// temporary: of the whole list, so that no member misses a message for good.
func (c *Control) Include(path string) ([]Member, error) {
	for waited := time.Duration(0); ; {
		members, wait, err := c.includeNow(path)
		switch {
		case wait > 0 && waited < longestWait: // somebody is writing it
			c.sleep(wait)
			waited += wait
			continue
		case err != nil:
			return nil, broken(fmt.Errorf("list %s: %w", path, err))
		case wait > 0:
			return nil, broken(fmt.Errorf("list %s: the file keeps changing", path))
		}
		return members, nil
	}
}

// includeNow returns the members of a list, or how long to wait until it will not have changed for
// a second. It holds the lock only while it reads: others need not wait for one list.
func (c *Control) includeNow(path string) (members []Member, wait time.Duration, err error) {
	l := &c.lists
	l.mu.Lock()
	defer l.mu.Unlock()
	from, err := c.listFile(path)
	if err != nil {
		return nil, 0, err
	}
	now, err := stat(from)
	if err != nil {
		c.recording.list(path, nil, err)
		return nil, 0, err
	}
	if had, ok := l.known[path]; ok && had.stamp == now {
		return had.members, 0, nil
	}
	members, state, err := c.readList(path, from)
	if wait := c.unsettledList(state); wait > 0 || err != nil {
		return nil, wait, err
	}
	if l.known == nil || len(l.known) >= maxIncluded {
		l.known = map[string]list{}
	}
	l.known[path] = list{state, members}
	return members, 0, nil
}

// unsettledList returns how long to wait until a list will not have changed for a second.
func (c *Control) unsettledList(s stamp) time.Duration {
	if !c.fresh(s) {
		return 0
	}
	return max(settled-c.now().Sub(time.Unix(0, s.mtime)), 10*time.Millisecond)
}

// listFile is where the list path is read: of a record, there.
func (c *Control) listFile(path string) (string, error) {
	if c.replayed == nil {
		return path, nil
	}
	name, err := c.replayed.listName(path)
	return filepath.Join(c.home, "lists", name), err
}

// readList reads the list path in the file from.
func (c *Control) readList(path, from string) (members []Member, state stamp, err error) {
	data, state, err := read(from, maxInclude)
	if err == nil && c.replayed == nil { // a record has no modes
		if info, e := os.Stat(from); e != nil || info.Mode().Perm()&0o002 != 0 {
			err = errors.New("everybody may write the file (chmod o-w)")
		}
	}
	c.recording.list(path, data, err)
	if err != nil {
		return nil, state, err
	}
	members, err = parseList(path, data)
	return members, state, err
}

func parseList(path string, data []byte) (members []Member, err error) {
	for _, l := range rawRows(data, false) {
		at := path + ":" + strconv.Itoa(l.n)
		if l.wrong == nil && l.torn {
			l.wrong = errNoEnd
		}
		if l.wrong != nil {
			return nil, fmt.Errorf("line %d: %w", l.n, l.wrong)
		}
		if l.blank {
			continue
		}
		words, err := cutOutside(l.text, ',', -1)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.n, err)
		}
		for _, w := range words {
			if w == "" {
				continue // a comma at the end of a line
			}
			target, err := parseMember(w)
			if err != nil {
				return nil, fmt.Errorf("line %d: member %q %w", l.n, w, err)
			}
			if members = append(members, Member{target, at}); len(members) > maxMembers {
				return nil, fmt.Errorf("more than %d members", maxMembers)
			}
		}
	}
	return members, nil
}

// parseMember is parseTarget for a member of a list: no program and no file, for whoever
// may write the list need not be allowed to run programs.
func parseMember(s string) (string, error) {
	if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
		s = strings.Trim(s[open+1:len(s)-1], " \t")
	}
	target, err := parseTarget(s)
	if form, _ := FormOf(target); err == nil && (form == ProgramTarget || form == FileTarget) {
		err = errors.New("is a program or a file (only a row of control/aliases may have them)")
	}
	return target, err
}
