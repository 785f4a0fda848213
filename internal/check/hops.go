package check

import (
	"context"
	"fmt"

	"paperpath/internal/status"
)

// hopsCheck limits the number of Received fields (RFC 5321 6.3).
type hopsCheck struct{}

// Name implements Check.
func (hopsCheck) Name() string { return "hops" }

// Ask implements Check.
func (hopsCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	limit, err := m.Control.Limit("hops")
	if err != nil {
		return failed(err)
	}
	n := m.Header.Count("Received")
	if q.Trail != nil {
		q.Trail.Add("hops", fmt.Sprintf("%d of %d", n, limit), "control/limits")
	}
	if int64(n) > limit {
		return failed(status.Refuse("5.4.6", fmt.Sprintf("mail loop: more than %d Received fields", limit)))
	}
	return Finding{}
}
