package deliver

import (
	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/internal/status"
)

// Explain records in t what an entry for address would meet in deliver/.
// Nothing is made. The error is what would defer it, or a usage error.
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
	u, err := Owner(c, a, t)
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
	state := "missing, will be made"
	if there {
		state = "there"
	}
	t.Add("Maildir "+u.Maildir(), state, u.Where)
	return "store in " + u.Maildir(), nil
}

// without is what becomes of an entry for an address without a mailbox.
func without(c *control.Control, a addr.Address) (string, error) {
	_, err := route.Resolve(c, a, nil)
	switch {
	case status.IsTemporary(err):
		return "", err
	case err != nil:
		return "fail: " + err.Error(), nil
	}
	return "wait to be rerouted: it has no mailbox of its own (see mailroute " + a.String() + ")", nil
}
