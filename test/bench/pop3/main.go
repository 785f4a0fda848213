// Pop3 compares pop3d with Dovecot: they take turns on the same mailboxes, with
// the same passwords, on the same machine. It prints a table of medians and of
// the ratio for each pair of runs, and at the end a line of counts. It needs
// root, as Dovecot does, and Debian's dovecot-pop3d.
//
// The exit status is 1 if the two do not return the same mail, or if pop3d is far
// slower in a row; noise of the machine alone does not fail it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// allowed is how good a row must be beside Dovecot for the run to pass.
const allowed = 0.5

// comparison is what was asked for, and what there is.
type comparison struct {
	short bool
	keep  bool
	only  string
	pairs int
	span  time.Duration // of one measurement of short sessions
	dir   string

	programs     harness.Programs
	world        *world
	ours, theirs *bench.Server
	table        table
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	b := &comparison{table: table{out: os.Stdout}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&b.short, "short", false, "at most a minute: small mailboxes, few pairs")
	f.BoolVar(&b.keep, "keep", false, "leave the mailboxes and the logs where they are")
	f.StringVar(&b.only, "only", "", "only rows with `TEXT` in their name")
	f.IntVar(&b.pairs, "pairs", 7, "measurements of each server in a row")
	f.DurationVar(&b.span, "span", 600*time.Millisecond, "how long short sessions are repeated for one measurement")
	f.StringVar(&b.dir, "dir", os.TempDir(), "`DIRECTORY` for the home and its mailboxes")
	if f.Parse(args) != nil {
		return 64
	}
	if b.short {
		b.pairs, b.span = min(b.pairs, 3), min(b.span, 200*time.Millisecond)
	}
	if missing := missing(); missing != "" {
		fmt.Println("bench-pop3: nothing was compared. MISSING:", missing)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	begin := time.Now()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-pop3:", err)
		return 1
	}
	fmt.Printf("in %v\n", time.Since(begin).Round(time.Second))
	b.table.end()
	if len(b.table.far) > 0 {
		fmt.Printf("bench-pop3: FAILED: less than %g times as good as Dovecot%s\n", allowed, bench.Names(b.table.far))
		return 1
	}
	return 0
}

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

func (b *comparison) run() error {
	dir, err := os.MkdirTemp(b.dir, "paperpath-bench")
	if err != nil {
		return err
	}
	if !b.keep {
		defer os.RemoveAll(dir)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		b.stop()
		os.RemoveAll(dir)
		os.Exit(75)
	}()
	if b.programs, err = harness.Build(dir); err != nil {
		return err
	}
	b.world = newWorld(dir)
	if err := b.fill(); err != nil {
		return err
	}
	version, _ := exec.Command("dovecot", "--version").Output()
	fmt.Printf("# Dovecot %s, %d processors; medians of %d pairs in turn, servers and client on the same machine\n",
		strings.TrimSpace(string(version)), runtime.NumCPU(), b.pairs)
	fmt.Println("# Dovecot's settings stand in test/bench/pop3/dovecot.go; memory is the PSS of all processes of a server")
	fmt.Println("# better: how often as good pop3d is, by the clock; cpu: how often its processor time goes into Dovecot's")
	b.table.head()
	if err := b.start(); err != nil {
		return err
	}
	err = b.speed()
	b.stop()
	if err != nil {
		return err
	}
	return b.memory()
}

func (b *comparison) start() (err error) {
	if b.ours, err = b.world.paperpath(b.programs); err != nil {
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
	if err := w.make(b.programs); err != nil {
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
	if b.short {
		return []int{1000, 10_000}
	}
	return []int{1000, 10_000, 100_000}
}

func (b *comparison) idlers() int {
	if b.short {
		return 100
	}
	return 1000
}

// speed measures what takes time.
func (b *comparison) speed() error {
	if strings.HasPrefix(b.only, "memory") {
		return nil
	}
	for _, user := range []string{"plain0", "short", "long"} {
		if err := agree(b.ours, b.theirs, user, b.world.boxes[user]); err != nil {
			return err
		}
	}
	for _, scheme := range []string{"plain", "crypt"} {
		for _, n := range []int{1, atOnce} {
			var users []string
			for i := range n {
				users = append(users, fmt.Sprintf("%s%d", scheme, i))
			}
			if err := b.compare(&row{name: fmt.Sprintf("login, STAT, QUIT, %d at once, %s", n, schemeName(scheme)), unit: "sessions/s",
				faster: true, aim: schemeAim(scheme), pairs: b.pairs, take: logins(users, b.span)}); err != nil {
				return err
			}
		}
	}
	for _, n := range b.sizes() {
		user := fmt.Sprintf("box%d", n)
		first := &row{name: fmt.Sprintf("login, STAT, UIDL, LIST, QUIT, %d messages, first", n), unit: "ms", aim: 2,
			pairs: b.pairs, before: func() error { return b.world.renew(user) }, take: scan(user, n, 0)}
		later := &row{name: fmt.Sprintf("login, STAT, UIDL, LIST, QUIT, %d messages, later", n), unit: "ms", aim: 2,
			pairs: b.pairs, take: scan(user, n, b.span)}
		if err := errors.Join(b.compare(first), b.compare(later)); err != nil {
			return err
		}
	}
	for _, user := range []string{"short", "long"} {
		size := map[string]string{"short": "4 KiB", "long": "64 KiB"}[user]
		one := &row{name: fmt.Sprintf("RETR of %d messages of %s, one by one", many, size), unit: "ms", aim: 1,
			pairs: b.pairs, take: retr(user, many, false)}
		flight := &row{name: fmt.Sprintf("RETR of %d messages of %s, pipelined", many, size), unit: "ms", aim: 1,
			pairs: b.pairs, take: retr(user, many, true)}
		if err := errors.Join(b.compare(one), b.compare(flight)); err != nil {
			return err
		}
	}
	return nil
}

func schemeName(user string) string {
	return map[string]string{"plain": "{PLAIN}", "crypt": "{SHA512-CRYPT}"}[user]
}

// schemeAim: where the time is that of the hash, which is the same work for
// both, twice the rate would be no merit of a server.
func schemeAim(user string) float64 {
	return map[string]float64{"plain": 2, "crypt": 1}[user]
}
