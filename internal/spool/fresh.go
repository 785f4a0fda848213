package spool

import "time"

// NewKey returns a fresh key of host for a message that goes into a mailbox
// without ever being an entry.
func NewKey(now time.Time, host string) Key { return newKey(now, host) }
