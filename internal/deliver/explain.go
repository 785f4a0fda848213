package deliver

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/route"
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
	if _, err := junkFolder(c, home, u, t); err != nil {
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
