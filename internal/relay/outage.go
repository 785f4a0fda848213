package relay

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"paperpath/internal/ratelimit"
	"paperpath/internal/smtpc"
	"paperpath/internal/status"
)

// outage is why a destination is not tried for a while.
type outage struct {
	since time.Time
	pause time.Duration
	why   string
	noted time.Time // by the machine's clock
	asked bool      // the host asked for the pause
	cause cause     // of a host's, and of a pause that was asked for
}

// what says what happened.
func (o outage) what() string {
	if o.asked {
		return "asked for less mail"
	}
	return "could not be reached"
}

func (o outage) until() time.Time { return o.since.Add(o.pause) }

// pauses reports whether nothing is to be tried now. asked is when a person asked for an
// attempt (zero: nobody did): that ends a pause which began before, but not the one that
// begins when the attempt they asked for fails.
func (o outage) pauses(now, asked time.Time) bool {
	if !asked.IsZero() && asked.Add(coarse).After(o.noted) {
		return false
	}
	// A pause that begins in the future is from before the clock was set back.
	return now.Before(o.until()) && !o.since.After(now.Add(longestPause))
}

// grow makes the outage last longer after an attempt that began then has failed, and
// reports whether it did: once for all attempts that were under way together.
func (o *outage) grow(began, now time.Time) bool {
	switch {
	case o.pause == 0 || o.asked || now.Sub(o.until()) > longestPause || o.since.After(now):
		o.pause = firstPause
	case began.Before(o.since):
		return false
	case began.Before(o.until()): // a person asked for this attempt
	default:
		o.pause = min(2*o.pause, longestPause)
	}
	o.since, o.asked = now, false
	return true
}

// failure is that of what waits for the end of an outage.
func (o outage) failure(name string) *failure {
	return &failure{host: host{name: name}, rests: true, err: status.Temp("4.4.1", o.text(name), nil)}
}

// text says why name is not tried now.
func (o outage) text(name string) string {
	return fmt.Sprintf("%s %s at %s, next attempt after %s: %s",
		name, o.what(), clockTime(o.since), clockTime(o.until()), o.why)
}

// Bits of the count in a record of an outage: how many minutes it lasts, its cause and,
// above that, when it was noted, in milliseconds.
const (
	minuteBits = 11
	causeBits  = 10
)

// entry is an outage as run/hosts has it; its time is when it began.
func (o outage) entry() ratelimit.Entry {
	minutes := min((o.pause+time.Minute-1)/time.Minute, 1<<minuteBits-1)
	return ratelimit.Entry{Time: o.since,
		Count: uint64(o.noted.UnixMilli())<<(minuteBits+causeBits) | uint64(o.cause)<<minuteBits | uint64(minutes)}
}

// outageOf reads an entry. What no outage can be is none.
func outageOf(e ratelimit.Entry, longest time.Duration) outage {
	o := outage{since: e.Time, pause: time.Duration(e.Count&(1<<minuteBits-1)) * time.Minute,
		cause: cause(e.Count >> minuteBits & (1<<causeBits - 1)),
		noted: time.UnixMilli(int64(e.Count >> (minuteBits + causeBits)))}
	if e.Time.IsZero() || o.pause < firstPause || o.pause > longest {
		return outage{}
	}
	return o
}

// cause is why a host rests, as run/hosts has it: the code of a reply, or one of these.
type cause uint16

const (
	causeOther cause = iota
	causeRefused
	causeNoWay
	causeNoAnswer
	causeNoGreeting
	causeCut
	causeNotSMTP
)

// seenElsewhere follows a cause, whose words are in the log.
const seenElsewhere = ", seen by another process (the log has its words)"

// String says it for people.
func (c cause) String() string {
	switch c {
	case causeRefused:
		return "connection refused"
	case causeNoWay:
		return "no route to it"
	case causeNoAnswer:
		return "no answer to the connection"
	case causeNoGreeting:
		return "no greeting in time"
	case causeCut:
		return "the connection broke before its greeting"
	case causeNotSMTP:
		return "a greeting that is not SMTP"
	}
	if c >= 200 {
		return fmt.Sprintf("its reply was %d", c)
	}
	return "it failed"
}

// causeOf tells why a host was not reached. greets means that it was connected to.
func causeOf(err error, greets bool) cause {
	var e *smtpc.Error
	switch {
	case errors.As(err, &e) && e.Reply.Code != 0:
		return cause(e.Reply.Code) & (1<<causeBits - 1)
	case errors.Is(err, syscall.ECONNREFUSED):
		return causeRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return causeNoWay
	case errors.Is(smtpc.Plain(err), smtpc.ErrTime) && greets:
		return causeNoGreeting
	case errors.Is(smtpc.Plain(err), smtpc.ErrTime):
		return causeNoAnswer
	case cut(err):
		return causeCut
	case greets:
		return causeNotSMTP
	}
	return causeOther
}
