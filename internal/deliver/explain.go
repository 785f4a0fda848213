package deliver

import (
	"cmp"
	"os"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/internal/rules"
	"paperpath/internal/status"
)

// Explain records in t what would happen to an entry for address in deliver/. Nothing
// is created. The error is the reason that would defer it, or a usage error.
func Explain(c *control.Control, home, address string, t *explain.Trail) error {
	outcome, err := foresee(c, home, address, t)
	if err != nil {
		outcome = err.Error()
	}
	t.End(outcome)
	return err
}

func foresee(c *control.Control, home, address string, t *explain.Trail) (string, error) {
	whole, err := route.WithDomain(c, address)
	if err != nil {
		return "", err
	}
	a, err := addr.Parse(whole)
	if err != nil {
		return "", status.UsageError("%v", err)
	}
	u, err := owner(c, a, t)
	if err != nil {
		return "", err
	}
	if u == nil {
		return without(c, a)
	}
	p, err := maildirOf(home, u)
	if err != nil {
		return "", err
	}
	there, err := complete(p, u)
	if err != nil {
		return "", err
	}
	state := "missing, will be created"
	if there {
		state = "exists"
	}
	t.Add("Maildir "+u.Maildir(), state, u.Where)
	if err := explainQuota(u, u.Maildir(), t); err != nil {
		return "", err
	}
	if done, err := explainRules(c, u, a, t); done != "" || err != nil {
		return done, err
	}
	junk, err := folderForJunk(c)
	if err != nil {
		return "", err
	}
	if _, err := junkFolder(junk, home, u, t); err != nil {
		return "", err
	}
	return "store in " + u.Maildir(), nil
}

// without is what happens to an entry for an address without a mailbox.
func without(c *control.Control, a addr.Address) (string, error) {
	_, err := route.Resolve(c, "", a, nil)
	switch {
	case status.IsTemporary(err):
		return "", err
	case err != nil:
		return "fail: " + err.Error(), nil
	}
	return "defer: the address has no mailbox of its own and must be rerouted (see mailroute " + a.String() + ")", nil
}

// explainRules records what the user's own rules say. done is what they do with a message;
// "": it is stored as without them.
func explainRules(c *control.Control, u *control.User, a addr.Address, t *explain.Trail) (done string, err error) {
	d, err := rules.Open(u.Home, os.Geteuid())
	if err != nil {
		return "", err
	}
	defer d.Close()
	d.ShareWith(u.SharedBy(c.Home()))
	r, err := d.Find(extension(u, a))
	if r == nil || err != nil {
		return "", err
	}
	for _, step := range r.Steps {
		does := [...]string{"store in the mailbox", "store in ", "append to ", "forward to ", "run "}[step.Kind]
		if step.Kind != rules.Store {
			does += step.Text
		}
		t.Add("rule", does, u.Home+"/"+step.Where)
		done = join(done, does)
		if step.Kind == rules.Program {
			err = cmp.Or(err, mayRun(func() (bool, error) { return mayPrograms(c, u) }, step))
		}
	}
	if err != nil {
		return "", err
	}
	if len(r.Steps) == 1 && r.Steps[0].Kind == rules.Store {
		return "", nil
	}
	if done == "" {
		done = "nothing: " + r.File + " has no instruction"
	}
	return done, nil
}

func join(list, more string) string {
	if list == "" {
		return more
	}
	return list + ", " + more
}
