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
	if _, err := addr.Parse(whole); err != nil {
		return "", status.UsageError("%v", err)
	}
	u, err := Owner(c, whole, t)
	if err != nil {
		return "", err
	}
	if u == nil {
		return "back to route/: it has no mailbox of its own", nil
	}
	p, err := placeOf(home, u)
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
	t.Add("Maildir "+Path(u), state, u.Where)
	return "store in " + Path(u), nil
}
