package dsn

import (
	"fmt"
	"time"
)

// Expired is a temporary failure that has lasted for the message's lifetime.
type Expired struct {
	Lifetime time.Duration
	Cause    error // of the last attempt
}

func (e *Expired) Error() string {
	return fmt.Sprintf("given up after %s: %v", days(e.Lifetime), e.Cause)
}

func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
