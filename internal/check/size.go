package check

import (
	"context"
	"fmt"

	"paperpath/internal/status"
)

// sizeCheck compares the message with control/databytes.
type sizeCheck struct{}

// Name implements Check.
func (sizeCheck) Name() string { return "size" }

// Ask implements Check.
func (sizeCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	limit, err := m.Control.Databytes()
	if err != nil {
		return failed(err)
	}
	q.Trail.Add("size", fmt.Sprintf("%d of %d octets", m.Body.Size(), limit), "control/databytes")
	if m.Body.Size() > limit {
		return failed(status.TooLarge(limit))
	}
	return Finding{}
}
