// Package pop3 is the part of make bench in which pop3d and Dovecot serve the same mailboxes,
// with the same passwords, in turn. Memory is the proportional set size of all processes of a
// server. Dovecot's settings stand in dovecot.go.
package pop3

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"paperpath/test/bench"
)

// allowed is how good a row must be beside Dovecot for the run to pass.
const allowed = 0.5

// comparison is the run, and what there is in this part.
type comparison struct {
	*bench.Run
	span         time.Duration // of one measurement of short sessions
	world        *world
	ours, theirs *bench.Server
}

// Part is all of it.
func Part() bench.Part { return bench.Part{Name: "pop3", Missing: missing, Measure: measure} }

// missing is what the machine lacks.
func missing() string {
	if os.Getuid() != 0 {
		return "root, for Dovecot"
	}
	if _, err := exec.LookPath("dovecot"); err != nil {
		return "dovecot-pop3d (a POP3 server to compare with)"
	}
	return ""
}

func measure(run *bench.Run) error {
	b := &comparison{Run: run, span: 600 * time.Millisecond, world: newWorld(filepath.Join(run.Dir, "pop3"))}
	if b.Short {
		b.span = 200 * time.Millisecond
	}
	if err := b.fill(); err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	err := b.speed()
	b.stop()
	return errors.Join(err, b.memory())
}

func (b *comparison) start() (err error) {
	if b.ours, err = b.world.paperpath(b.Programs); err != nil {
		return err
	}
	b.theirs, err = b.world.dovecot(oneEach)
	return err
}

func (b *comparison) stop() {
	for _, s := range []*bench.Server{b.ours, b.theirs} {
		if s != nil {
			s.Stop()
		}
	}
}

// atOnce is how many sessions there are at once at most in a row of logins.
const atOnce = 10

// many is how many messages are fetched.
const many = 1000

// fill makes the mailboxes.
func (b *comparison) fill() error {
	w := b.world
	if err := w.make(b.Programs); err != nil {
		return err
	}
	sha, err := shaCrypt()
	if err != nil {
		return err
	}
	for i := range atOnce {
		err = errors.Join(err, w.user(fmt.Sprintf("plain%d", i), "{PLAIN}"+password, small, 500),
			w.user(fmt.Sprintf("crypt%d", i), sha, small, 500))
	}
	for _, n := range b.sizes() {
		err = errors.Join(err, w.user(fmt.Sprintf("box%d", n), "{PLAIN}"+password, n, 300))
	}
	err = errors.Join(err, w.user("short", "{PLAIN}"+password, many, 4<<10), w.user("long", "{PLAIN}"+password, many, 64<<10))
	for i := range b.idlers() {
		err = errors.Join(err, w.user(idleUser(i), "{PLAIN}"+password, small, 500))
	}
	if err != nil {
		return err
	}
	return w.seal()
}

func (b *comparison) sizes() []int {
	if b.Short {
		return []int{1000, 10_000}
	}
	return []int{1000, 10_000, 100_000}
}

func (b *comparison) idlers() int {
	if b.Short {
		return 100
	}
	return 1000
}

// speed measures what takes time.
func (b *comparison) speed() error {
	for _, user := range []string{"plain0", "short", "long"} {
		if err := agree(b.ours, b.theirs, user, b.world.boxes[user]); err != nil {
			return err
		}
	}
	var rows []*bench.Row
	for _, scheme := range []string{"plain", "crypt"} {
		for _, n := range []int{1, atOnce} {
			var users []string
			for i := range n {
				users = append(users, fmt.Sprintf("%s%d", scheme, i))
			}
			login := b.row(schemeAim(scheme), work{take: logins(users, b.span), rate: true},
				"login, STAT, QUIT, %d at once, %s", n, schemeName(scheme))
			login.Unit, login.Faster = "sessions/s", true
			rows = append(rows, login)
		}
	}
	for _, n := range b.sizes() {
		user := fmt.Sprintf("box%d", n)
		renew := func() error { return b.world.renew(user) }
		rows = append(rows, b.row(2, work{take: scan(user, n, 0), before: renew}, "login, STAT, UIDL, LIST, QUIT, %d messages, first", n),
			b.row(2, work{take: scan(user, n, b.span)}, "login, STAT, UIDL, LIST, QUIT, %d messages, later", n))
	}
	for _, user := range []string{"short", "long"} {
		size := map[string]string{"short": "4 KiB", "long": "64 KiB"}[user]
		rows = append(rows, b.row(1, work{take: retr(user, many, false)}, "RETR of %d messages of %s, one by one", many, size),
			b.row(1, work{take: retr(user, many, true)}, "RETR of %d messages of %s, pipelined", many, size))
	}
	return b.CompareAll(rows)
}

func schemeName(user string) string {
	return map[string]string{"plain": "{PLAIN}", "crypt": "{SHA512-CRYPT}"}[user]
}

// schemeAim: where the time is that of the hash, which is the same work for
// both, twice the rate would be no merit of a server.
func schemeAim(user string) float64 {
	return map[string]float64{"plain": 2, "crypt": 1}[user]
}
