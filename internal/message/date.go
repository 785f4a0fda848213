package message

import "time"

// dateForm is a date-time of RFC 5322 3.3 as we write it.
const dateForm = "Mon, 2 Jan 2006 15:04:05 -0700"

// Date returns t as a field shows it (RFC 5322 3.3), in t's own zone.
func Date(t time.Time) string { return t.Format(dateForm) }

// ParseDate reads what Date has written, and nothing else.
func ParseDate(s string) (time.Time, error) { return time.Parse(dateForm, s) }
