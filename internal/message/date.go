package message

import "time"

// dateForm is the form of a date-time of RFC 5322 3.3 that we write.
const dateForm = "Mon, 2 Jan 2006 15:04:05 -0700"

// Date formats t for a header field (RFC 5322 3.3), in the zone of t.
func Date(t time.Time) string { return t.Format(dateForm) }

// ParseDate parses what Date wrote, and nothing else.
func ParseDate(s string) (time.Time, error) { return time.Parse(dateForm, s) }
