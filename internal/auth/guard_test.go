package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/control"
	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

// guarded is a guard with a stopped clock; it records the waits.
type guarded struct {
	*Guard
	time   time.Time
	waited time.Duration

	mu       sync.Mutex
	troubles []string
}

func newGuard(t *testing.T, c *control.Control) *guarded {
	dir := t.TempDir()
	wrong, right := ratelimit.Open(filepath.Join(dir, "logins")), ratelimit.Open(filepath.Join(dir, "known"))
	t.Cleanup(func() { wrong.Close(); right.Close() })
	g := &guarded{time: time.Now()}
	g.Guard = NewGuard(c, filepath.Join(dir, "gate"), wrong, right, func() time.Time { return g.time },
		func(op string, err error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.troubles = append(g.troubles, op+": "+err.Error())
		})
	g.wait = func(_ context.Context, d time.Duration) { g.waited += d }
	return g
}

// login returns the reply's code, 0 for a right login.
func (g *guarded) login(client, login, password string) int {
	users := &Users{Control: g.control, Guard: g.Guard, Client: client}
	err := users.Password(context.Background(), login, password)
	if err == nil && users.User() != nil {
		return 0
	}
	code, _, _ := status.Reply(err)
	return code
}

func (g *guarded) expect(t *testing.T, what string, want int, client, login, password string) {
	t.Helper()
	if got := g.login(client, login, password); got != want {
		t.Errorf("%s: %s from %s by %q is answered %d, want %d", what, login, client, password, got, want)
	}
}

// fixedKey makes all fingerprints of passwords use one key: they have two octets, so
// with a random key two guesses would look the same now and then.
func fixedKey(t *testing.T, c *control.Control) {
	t.Helper()
	run := filepath.Join(c.Home(), "run")
	err := os.Mkdir(run, 0o700)
	if err = errors.Join(err, os.WriteFile(filepath.Join(run, "scram.key"), make([]byte, secretSize), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestLoginFailures(t *testing.T) {
	for _, login := range []string{"alice", "nobody"} {
		c := settings(t, "alice@b.example:{PLAIN}right", "bob@b.example:{PLAIN}right")
		fixedKey(t, c)
		g := newGuard(t, c)
		right, guesses := 0, 18
		if login == "nobody" {
			right, guesses = 535, 17 // its "right" is another wrong guess
		}
		// A phone with an old password locks nobody out.
		for range 100 {
			g.expect(t, "old password", 535, "192.0.2.1", login, "old")
		}
		g.expect(t, "the household", right, "192.0.2.77", login, "right")
		for i := range guesses {
			g.expect(t, "guess", 535, fmt.Sprintf("192.0.2.%d", i), login, fmt.Sprint("guess", i))
		}
		g.expect(t, "the household", right, "192.0.2.77", login+"@b.example", "right")
		g.expect(t, "the last guess", 535, "192.0.2.1", login, "last")
		// All spellings of the account and all addresses of the network count together.
		g.expect(t, "one more", 454, "192.0.2.200", login, "one more")
		g.expect(t, "beyond", 454, "192.0.2.200", strings.ToUpper(login)+"@B.example", "right")
		g.expect(t, "beyond", 454, "::ffff:192.0.2.1", login+"@b.example+Junk!", "right")
		g.expect(t, "beyond, IDNA", 454, "192.0.2.1", login+"@ｂ。ＥXAMPLE", "right")
		if g.waited == 0 {
			t.Error("refusals do not wait")
		}
		// Another account and another network are not affected.
		g.expect(t, "another account", 0, "192.0.2.1", "bob", "right")
		g.expect(t, "another network", right, "198.51.100.1", login, "right")
		// The limit is a number per span: after span/number one wrong login is
		// forgotten.
		g.time = g.time.Add(3*time.Minute + time.Second)
		g.expect(t, "later", right, "192.0.2.1", login, "right")
	}
}

func TestLoginFailuresNone(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	writeControl(t, c, "rates", "login-failures: none\n")
	g := newGuard(t, c)
	for i := range 50 {
		g.expect(t, "none", 535, "192.0.2.1", "alice", fmt.Sprint(i))
	}
	g.expect(t, "none", 0, "192.0.2.1", "alice", "right")
}

// Each wrong proof counts, and beyond the limit even a right one is refused.
func TestLoginFailuresByProof(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	writeControl(t, c, "rates", "login-failures: 3/1h\n")
	g := newGuard(t, c)
	prove := func(client, password string) error {
		users := &Users{Control: c, Guard: g.Guard, Client: client}
		x, err := Start(Scram, Peer{Private: true, Policy: Policy{Scram: true}}, users)
		if err != nil {
			t.Fatal(err)
		}
		step, response, done := rawClient("alice", []byte(password)), []byte(nil), false
		for !done && err == nil {
			var challenge []byte
			if challenge, done, err = x.Next(context.Background(), response); err == nil && !done {
				said, wrong := step(string(challenge))
				if wrong != nil {
					t.Fatal(wrong)
				}
				response = []byte(said)
			}
		}
		return err
	}
	for range 3 {
		if err := prove("2001:db8::1", "old"); !IsWrong(err) {
			t.Error(err)
		}
	}
	for _, password := range []string{"old", "right"} {
		if err := prove("2001:db8::ffff:2", password); LimitOf(err) != "login-failures" {
			t.Errorf("%s: %v", password, err)
		}
	}
	if err := prove("2001:db8:0:1::1", "right"); err != nil {
		t.Error(err)
	}
	g.expect(t, "by password", 0, "2001:db8::1", "alice", "right")
}

// Fifty connections from one network get no more guesses answered than one connection
// does, and beyond that even the right password gets no answer.
func TestManyConnectionsOfOneNetwork(t *testing.T) {
	c := settings(t, "alice@b.example:{SHA512-CRYPT}$6$rounds=5000$abcdefghijklmnop$q2YZbPhm1LySTIzZVDisu/y2CX1McrFsw529ViOLMxoKT.sfgjBo4aFu.hwtGjEDxRb6mn/TZMj7V4/1AUTLi1")
	g := newGuard(t, c)
	var told, busy, beyond atomic.Int64
	g.wait = func(context.Context, time.Duration) {}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for j := range 10 {
				users := &Users{Control: c, Guard: g.Guard, Client: fmt.Sprintf("192.0.2.%d", i)}
				switch err := users.Password(context.Background(), "alice", fmt.Sprintf("guess %d %d", i, j)); {
				case IsWrong(err):
					told.Add(1)
				case LimitOf(err) == "passwords":
					busy.Add(1)
				case LimitOf(err) == "login-failures":
					beyond.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if told.Load() > 20 || told.Load()+busy.Load()+beyond.Load() != 500 || busy.Load() == 0 {
		t.Errorf("%d guesses were answered, %d came too thick, %d were too many", told.Load(), busy.Load(), beyond.Load())
	}
}

// A login beside three others of its pair is refused at once; each further one in the
// same session waits longer for its refusal.
func TestNoPlace(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	g := newGuard(t, c)
	users := &Users{Control: c, Guard: g.Guard, Client: "192.0.2.1"}
	for range pairWaiting {
		v, err := g.begin(context.Background(), users.secret(), "password", "alice@b.example", "192.0.2.9")
		if err != nil {
			t.Fatal(err)
		}
		defer v.end()
	}
	for i, want := range []time.Duration{0, firstDelay, 2 * firstDelay, 4 * firstDelay, maxDelay, maxDelay} {
		g.waited = 0
		err := users.Password(context.Background(), "alice", "right")
		if code, _, _ := status.Reply(err); LimitOf(err) != "passwords" || code != 454 || g.waited != want {
			t.Errorf("try %d waits %v: %v", i, g.waited, err)
		}
	}
	g.expect(t, "another network", 0, "198.51.100.1", "alice", "right")
	g.expect(t, "another account", 535, "192.0.2.1", "bob", "right")
}

// A mail client that logs in on many connections at once gets in on all of them, as
// long as it is known and its password is right.
func TestManyRightConnections(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	g := newGuard(t, c)
	g.expect(t, "the first one", 0, "192.0.2.1", "alice", "right")
	secret := (&Users{Control: c}).secret()
	var held []*visit
	for range pairWaiting {
		v, err := g.begin(context.Background(), secret, "password", "alice@b.example", "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, v)
	}
	answers := make(chan int, 20)
	for range cap(answers) {
		go func() { answers <- g.login("192.0.2.1", "alice", "right") }()
	}
	select {
	case code := <-answers:
		t.Fatalf("a fourth login is answered %d", code)
	case <-time.After(100 * time.Millisecond):
	}
	for _, v := range held {
		v.end()
	}
	for range cap(answers) {
		if code := <-answers; code != 0 {
			t.Errorf("answered %d", code)
		}
	}
}

// A botnet attacks one account: its networks guess one after another, while networks
// from which the account has logged in lately notice nothing.
func TestManyNetworksAtOneAccount(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	g := newGuard(t, c)
	g.expect(t, "home", 0, "192.0.2.1", "alice", "right")
	g.expect(t, "long ago", 0, "198.51.100.1", "alice", "right")
	g.time = g.time.Add(knownFor - time.Hour)
	g.expect(t, "home", 0, "192.0.2.1", "alice", "right")
	g.time = g.time.Add(2 * time.Hour)
	for i := range 19 {
		g.expect(t, "botnet", 535, fmt.Sprintf("10.0.%d.1", i), "alice", "guess")
	}
	if g.waited != 0 {
		t.Errorf("the first ones waited %v", g.waited)
	}
	g.expect(t, "botnet", 535, "10.0.99.1", "alice", "guess")
	// From now on all of them share one lane: no other login is answered while one
	// waits.
	inLane, goOn := make(chan struct{}), make(chan struct{})
	var waits atomic.Int64
	g.wait = func(_ context.Context, d time.Duration) {
		if waits.Add(1) == 1 && d == laneStep {
			close(inLane)
			<-goOn
		}
	}
	first := make(chan int)
	go func() { first <- g.login("10.1.0.1", "alice", "guess") }()
	<-inLane
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	for _, password := range []string{"guess", "right"} {
		users := &Users{Control: c, Guard: g.Guard, Client: "10.1.1.1"}
		if err := users.Password(ctx, "alice", password); LimitOf(err) != "login-failures" {
			t.Errorf("a stranger beside a stranger: %v", err)
		}
	}
	g.expect(t, "home", 0, "192.0.2.1", "alice", "right")
	g.expect(t, "home", 535, "192.0.2.1", "alice", "typo")
	if n := waits.Load(); n != 1 {
		t.Errorf("%d waits: home waited too", n)
	}
	close(goOn)
	if code := <-first; code != 535 {
		t.Error(code)
	}
	// A stranger with the right password gets in, even a month later.
	g.expect(t, "long ago", 0, "198.51.100.1", "alice", "right")
	g.expect(t, "long ago, now known", 0, "198.51.100.1", "alice", "right")
}

// The logins of strangers fill a table of their own.
func TestFloodForgetsNoNetwork(t *testing.T) {
	c := settings(t, "alice@b.example:{PLAIN}right")
	g := newGuard(t, c)
	g.expect(t, "home", 0, "192.0.2.1", "alice", "right")
	for i := range 20000 {
		g.wrong.Update(fmt.Sprint("flood", i), func(e ratelimit.Entry) ratelimit.Entry { return ratelimit.Entry{Time: g.time, Count: 1} })
	}
	if !g.knows(pairOf("alice@b.example", "192.0.2.1")) {
		t.Error("home was forgotten")
	}
}

func TestNetworks(t *testing.T) {
	for client, want := range map[string]string{"192.0.2.7": "192.0.2.0/24", "::ffff:192.0.2.7": "192.0.2.0/24", "2001:db8::1": "2001:db8::/64",
		"2001:db8:0:1:ffff::": "2001:db8:0:1::/64", "fe80::1%eth0": "fe80::/64", "": "local", "unix": "local", "stdin": "local"} {
		if got := networkOf(client); got != want {
			t.Errorf("%s: %s", client, got)
		}
	}
}

// Nothing in the place of a file in run/ makes a login hang, and each oddity is
// reported.
func TestOddFilesOfRun(t *testing.T) {
	odd := map[string]func(string) error{
		"fifo":      func(p string) error { return unix.Mkfifo(p, 0o600) },
		"device":    func(p string) error { return os.Symlink("/dev/zero", p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"short":     func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
	}
	for kind, make := range odd {
		t.Run(kind, func(t *testing.T) {
			c := settings(t, "alice@b.example:{PLAIN}right")
			g := newGuard(t, c)
			run := filepath.Join(c.Home(), "run")
			files := []string{filepath.Join(run, "scram.key"), likenessFile(c), g.gate.path}
			if kind == "short" {
				files = files[:1] // the others may hold anything
			}
			err := os.Mkdir(run, 0o700)
			for _, f := range files {
				err = errors.Join(err, make(f))
			}
			if err != nil {
				t.Fatal(err)
			}
			done := goes(func() {
				g.expect(t, "right", 0, "192.0.2.1", "alice", "right")
				g.expect(t, "wrong", 535, "192.0.2.1", "alice", "wrong")
				if like := readLikeness(c); like != "" {
					t.Errorf("the likeness is %q", like)
				}
			})
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Fatal("it hangs")
			}
			troubles := strings.Join(g.troubles, "\n")
			if !strings.Contains(troubles, "scram.key") || kind != "short" && !strings.Contains(troubles, g.gate.path) {
				t.Errorf("the troubles are %q", troubles)
			}
		})
	}
}

func goes(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	return done
}
