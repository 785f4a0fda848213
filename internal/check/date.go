package check

import (
	"context"
	"fmt"
	"time"

	"paperpath/internal/message"
	"paperpath/internal/visible"
)

// What Date may say beside the time at which a message comes, until somebody wonders.
const (
	dateAhead  = 24 * time.Hour       // of clocks and zones that are wrong
	dateBehind = 366 * 24 * time.Hour // of mail that is sent again
)

// dateCheck wants a Date that can be read and that is not far away. Mail without one is
// common and does no harm.
type dateCheck struct{}

// Name implements Check.
func (dateCheck) Name() string { return "date" }

// Ask implements Check.
func (dateCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	date, ok := m.Header.First("Date")
	if !ok {
		return Finding{Result: "none"}
	}
	said := visible.ASCII(date[:min(len(date), 100)])
	at, err := message.ReadDate(date)
	if err != nil {
		q.Trail.Add("Date", said, "")
		return Finding{Fails: true, Reason: fmt.Sprintf("the Date %q cannot be read: %v", said, err)}
	}
	off := at.Sub(m.Now())
	if q.Trail != nil {
		q.Trail.Add("Date", fmt.Sprintf("%s, %v from now", said, off.Round(time.Second)), "")
	}
	switch {
	case off > dateAhead:
		return Finding{Fails: true, Reason: fmt.Sprintf("the Date %q is more than a day ahead", said)}
	case off < -dateBehind:
		return Finding{Fails: true, Reason: fmt.Sprintf("the Date %q is more than a year ago", said)}
	}
	return Finding{}
}
