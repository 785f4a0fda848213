package relay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/bench"
	"paperpath/test/bench/mta"
	"paperpath/test/harness"
)

// The row of local recipients: one message comes into route/, or into Postfix's incoming/, and
// from there into the Maildirs of all its recipients, which exist before. As on a server, what works
// on it runs already. Postfix's own delivery agent for such mailboxes is virtual(8).
const localMost = 1000 // recipients

// locals makes a letter to n local mailboxes.
func locals(n int) []letter {
	return letters(1, func(int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("r%d@%s", i, mta.Domain))
		}
		return all
	})
}

// users are the local parts of its recipients.
func (l letter) users() (all []string) {
	for _, to := range l.to {
		user, _, _ := strings.Cut(to, "@")
		all = append(all, user)
	}
	return all
}

// stored counts the mailboxes that have a message, and those that have more than one.
func stored(boxes bench.Boxes) (n, twice int) {
	for _, user := range boxes.Users {
		list, _ := os.ReadDir(filepath.Join(boxes.Maildir(user), "new"))
		n += min(len(list), 1)
		if len(list) > 1 {
			twice++
		}
	}
	return n, twice
}

// local measures one server on a row of local recipients: from the moment at which the
// message is in the queue to that at which the queue is empty.
func (r *row) local(began time.Time, boxes bench.Boxes, empty func() bool, server func() bench.Spent) (res bench.Result, err error) {
	err = wait(r.limit, empty)
	res = bench.Result{Value: time.Since(began).Seconds(), Awaited: r.awaited, Figures: figures(server(), r.awaited)}
	res.Arrived, res.Twice = stored(boxes)
	return res, err
}

// wait looks every millisecond.
func wait(limit time.Duration, done func() bool) error {
	for deadline := time.Now().Add(limit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the queue is not empty after %v", limit)
		}
	}
	return nil
}

// isEmpty reports whether a directory has no entry. It does not read a long one.
func isEmpty(path string) bool {
	d, err := os.Open(path)
	if err != nil {
		return false
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	return err == io.EOF
}

// oursLocal measures mailroute and maildeliver.
func (c *comparison) oursLocal(r *row) (res bench.Result, err error) {
	home, err := os.MkdirTemp(c.Dir, "home")
	if err != nil {
		return res, err
	}
	o, err := newPaperpath(c.Programs, filepath.Join(home, "home"), nil) // kept to the end, as theirs are
	if err != nil {
		return res, err
	}
	boxes, err := bench.NewBoxes(filepath.Join(o.home.Dir, "mail", mta.Domain), r.letters[0].users(), 0)
	if err := errors.Join(err, mta.SetUsers(o.home, r.letters[0].users())); err != nil {
		return res, err
	}
	var servers []*bench.Server
	defer func() {
		for _, s := range servers {
			s.Stop()
		}
	}()
	programs := []string{"maildeliver", "mailroute"}
	for _, name := range programs {
		cmd := exec.Command(o.home.Programs.Path(name), "watch")
		cmd.Env = o.home.Programs.Env(o.home.Dir)
		s, err := bench.Start(name, "", cmd, func(string) error { return nil })
		if err != nil {
			return res, err
		}
		servers = append(servers, s)
	}
	err = harness.Wait("the runners", time.Minute, func() bool { return len(o.home.Events("event=watching")) == len(programs) })
	if err = errors.Join(err, o.fillInbox(spool.InboxRoute, r.letters)); err != nil {
		return res, err
	}
	began := time.Now()
	res, err = r.local(began, boxes, o.idle, func() (sum bench.Spent) {
		for _, s := range servers {
			used := s.Spent()
			sum.User, sum.System = sum.User+used.User, sum.System+used.System
		}
		return sum
	})
	res.Figures[peak] = float64(harness.PeakResident(servers[0].PID())) / (1 << 20)
	return res, err
}

// idle reports whether nothing waits: first for mailroute, whose children are in the next
// inbox before their parent goes.
func (o *paperpath) idle() bool {
	for _, name := range []string{"route/new", "route/cur", "deliver/new", "deliver/cur"} {
		if !isEmpty(filepath.Join(o.home.Dir, "spool", name)) {
			return false
		}
	}
	return true
}

// theirsLocal measures Postfix.
func (c *comparison) theirsLocal(r *row, turn int) (res bench.Result, err error) {
	p := c.postfix
	if err := p.setAside(turn); err != nil {
		return res, err
	}
	boxes, err := mta.MakePostfixBoxes(p.Dir, r.letters[0].users())
	if err != nil {
		return res, err
	}
	if err := p.manage(); err != nil {
		return res, err
	}
	spent := p.server.Spent()
	if err := p.send(r.letters); err != nil {
		return res, err
	}
	began := time.Now()
	res, err = r.local(began, boxes, func() bool { return p.queued() == 0 },
		func() bench.Spent { return p.server.Spent().Minus(spent) })
	if err != nil || res.Arrived < res.Awaited {
		return res, errors.Join(fmt.Errorf("%w\n%s", err, p.Log()), p.restart())
	}
	return res, p.end()
}

// boxes is where its mailboxes are.
func (p *postfix) boxes() string { return filepath.Join(p.Dir, "boxes") }

// setAside makes room for new mailboxes. The old ones are removed after all measurements: for
// minutes ext4 looks at each inode that was freed before it takes another one, and thousands of
// them would be most of what the next server seems to do.
func (p *postfix) setAside(turn int) error {
	err := os.Rename(p.boxes(), fmt.Sprintf("%s.before%d", p.boxes(), turn))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
