package control

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// getent asks the machine's databases of users by getent(1): this program is static, and
// could itself read only /etc/passwd, where LDAP, SSSD or winbind may have the users.
type getent struct {
	control *Control
	none    *unknownNames
}

func (g getent) String() string { return "getent" }

func (g getent) check() error {
	_, err := g.path()
	return err
}

// path finds the program where systems have it, else by PATH.
func (g getent) path() (string, error) {
	if g.control.getent != "" {
		return g.control.getent, nil
	}
	for _, path := range []string{"/usr/bin/getent", "/bin/getent"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("getent")
	if err != nil {
		return "", fmt.Errorf("control/accounts needs the program getent: %w", err)
	}
	return path, nil
}

// notFound is what getent(1) exits with if there is no such user. All else is trouble. That of
// the GNU C library exits so too if the server with the users is away: see Control.missing.
const notFound = 2

func (g getent) ask(name string) (text string, found bool, err error) {
	if g.none.recall(name) {
		return "", false, nil
	}
	line, found, err := g.line("passwd", name)
	if err != nil {
		return "", false, err
	}
	if !found {
		g.none.keep(name)
		return "", false, nil
	}
	f := strings.Split(line, ":")
	if len(f) == 7 {
		f[4] = "" // the real name is in any character set
	}
	return strings.Join(f, ":"), true, nil
}

func (g getent) run(args ...string) (out []byte, exit int, err error) {
	path, err := g.path()
	if err != nil {
		return nil, 0, err
	}
	g.control.slots <- struct{}{}
	defer func() { <-g.control.slots }()
	how := running{limit: programTime, env: os.Environ()} // modules of NSS may be found by it
	return Program{path}.run(context.Background(), how, nil, args...)
}

// unknownNames remembers for a moment which accounts there are not: strangers ask for them.
type unknownNames struct {
	mu    sync.Mutex
	names map[string]time.Time
}

func (a *unknownNames) recall(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.names[name]
	return ok && time.Since(at) < lookupFresh
}

func (a *unknownNames) keep(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.names) >= lookupKept {
		clear(a.names)
	}
	a.names[name] = time.Now()
}

func (a *unknownNames) forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.names, name)
}

// passwd returns an account; nil without an error if there is none.
func (c *Control) passwd(name string) (*passwdEntry, error) { return c.accounts().row(name) }

// accounts looks up accounts.
func (c *Control) accounts() asked[passwdEntry] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noAccounts == nil {
		c.noAccounts = &unknownNames{names: map[string]time.Time{}}
	}
	return asked[passwdEntry]{table: passwdTable(), memory: c.memory("getent"),
		from: c.noted("accounts", getent{c, c.noAccounts})}
}
