package relay

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// longestHint is the longest wait that a host may ask for: the schedule goes on anyway.
const longestHint = 4 * time.Hour

// hintForm is how hosts that use greylisting say when to come back: "try again in 300
// seconds", "retry after 5 minutes", "Greylisted for 60 seconds", "wait 00:05:00".
var hintForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:in|after|for|wait|within)\s+(?:another\s+)?` +
		`(?:(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b|(\d{1,2}):(\d{2}):(\d{2})\b)`)
})

// hint is the wait that a reply asks for, 0 if it does not. It is no more than a hint:
// it never makes the wait longer than longestHint, and never ends the schedule.
func hint(text string) time.Duration {
	m := hintForm().FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	number := func(s string) time.Duration {
		n, _ := strconv.Atoi(s)
		return time.Duration(n)
	}
	d := number(m[3])*time.Hour + number(m[4])*time.Minute + number(m[5])*time.Second
	if m[1] != "" {
		unit := time.Second
		switch strings.ToLower(m[2])[0] {
		case 'm':
			unit = time.Minute
		case 'h':
			unit = time.Hour
		}
		d = number(m[1]) * unit
	}
	return min(d, longestHint)
}
