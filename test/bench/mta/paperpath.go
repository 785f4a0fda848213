package mta

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// Home is a home whose users have no password.
func Home(p harness.Programs, dir string, users []string) (*harness.Home, error) {
	h, err := p.NewHome(dir)
	if err != nil {
		return nil, err
	}
	return h, SetUsers(h, users)
}

// SetUsers gives each user a mailbox at Domain.
func SetUsers(h *harness.Home, users []string) error {
	rows := make([]string, len(users))
	for i, user := range users {
		rows[i] = user + "@" + Domain + ":*::::::"
	}
	return errors.Join(h.Set("domains", harness.Domain, Domain), h.Set("users", rows...), Settle(h))
}

// Settle makes all settings older: what was edited just now is waited for (control(5)).
func Settle(h *harness.Home) (err error) {
	for _, path := range append(h.Glob("control/*"), filepath.Join(h.Dir, "control")) {
		err = errors.Join(err, h.Still(strings.TrimPrefix(path, filepath.Join(h.Dir, "control"))))
	}
	return err
}

// Paperpath runs mailsubmit's role mx, mailcheck, mailroute and maildeliver in a home below dir,
// by mailctl start.
func Paperpath(p harness.Programs, dir string, users []string) (*MTA, *harness.Home, error) {
	h, err := Home(p, filepath.Join(dir, "home"), users)
	if err != nil {
		return nil, nil, err
	}
	m := &MTA{Name: bench.Ours, Addr: h.Addr["mx"], log: h.Describe}
	if m.Boxes, err = bench.NewBoxes(filepath.Join(h.Dir, "mail", Domain), users, 0); err != nil {
		return nil, nil, err
	}
	err = errors.Join(Settle(h), h.Set("services", "mailsubmit smtp --role mx --listen "+m.Addr,
		"mailsubmit smtp --role local --listen unix:run/submit", "mailcheck watch", "mailroute watch", "maildeliver watch"))
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(p.Path("mailctl"), "start")
	cmd.Env = p.Env(h.Dir)
	m.Server, err = bench.Start(m.Name, m.Addr, cmd, Greets)
	return m, h, err
}
