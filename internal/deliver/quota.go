package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dsn"
	"paperpath/internal/explain"
	"paperpath/internal/full"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

// quotas knows what follows from the room that users have.
type quotas struct {
	control *control.Control
	full    *full.Marks
	log     *maillog.Log
	now     func() time.Time
}

// measure finds how full the mailbox of u is, and what that means for a message of so many
// octets, to be stored n times: judge says so. warn says that the user is to be told that it will be nearly full.
func measure(u *control.User, octets, n int64, judge func(used maildir.Usage, fits bool) (warn bool, err error)) (warn bool, err error) {
	limit := maildir.Quota(u.Quota)
	if limit.IsZero() {
		return false, nil
	}
	if limit.Octets > 0 && octets > limit.Octets {
		e := status.Refuse("5.2.3", fmt.Sprintf("the message is larger than the mailbox may be: %d of %d octets", octets, limit.Octets))
		e.Reply = 552
		return false, e
	}
	used, fits, err := limit.RoomFor(u.Maildir(), maildir.Usage{Octets: n * octets, Messages: n}, time.Now())
	if err != nil {
		return false, status.Temp("4.2.0", "cannot tell how full the mailbox is", err)
	}
	return judge(used, fits)
}

// judge refuses a message that does not fit.
func (q quotas) judge(u *control.User, octets int64, used maildir.Usage, fits bool) (warn bool, err error) {
	if !fits {
		return false, q.full.Mark(u.Address, q.now())
	}
	if err := q.full.Clear(u.Address); err != nil {
		q.log.Trouble("", "clear the mark of a full mailbox", err)
	}
	return q.crosses(maildir.Quota(u.Quota), used, octets, u.Address), nil
}

// crosses reports whether a message makes the mailbox so full that its user is warned.
func (q quotas) crosses(limit maildir.Quota, used maildir.Usage, octets int64, address string) bool {
	percent, err := q.control.QuotaWarning()
	if err == nil && percent > 0 {
		mark := maildir.Quota{Octets: share(limit.Octets, percent), Messages: share(limit.Messages, percent)}
		if !mark.Holds(used) || mark.Holds(used.With(octets)) {
			return false
		}
		var warn bool
		if warn, err = q.full.Warn(address, q.now()); err == nil {
			return warn
		}
	}
	if err != nil {
		q.log.Trouble("", "warn of a full mailbox", err)
	}
	return false
}

// share is so many percent of a limit; no limit stays none.
func share(limit, percent int64) int64 {
	if limit == 0 {
		return 0
	}
	return max(limit/100*percent+limit%100*percent/100, 1)
}

// explainQuota records how full a mailbox is.
func explainQuota(u *control.User, root string, t *explain.Trail) error {
	limit := maildir.Quota(u.Quota)
	if limit.IsZero() {
		return nil
	}
	used, err := limit.Used(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t.Add("quota "+limit.String(), fmt.Sprintf("%d octets in %d messages are used", used.Octets, used.Messages), u.Where)
	return nil
}

// warning tells the user of a mailbox that it is nearly full.
func (s *Stage) warning(e *spool.Entry, u *control.User) (spool.Notice, error) {
	letter, err := quotas{control: s.Control, now: s.Now}.letter(u, "quota."+string(e.Key))
	return spool.Notice{To: u.Address, What: "quota", Body: letter}, err
}

// letter is that warning.
func (q quotas) letter(u *control.User, id string) ([]byte, error) {
	host, err := q.control.Hostname()
	if err != nil {
		return nil, err
	}
	percent, err := q.control.QuotaWarning()
	if err != nil {
		return nil, err
	}
	l := dsn.Letter{Host: host, To: u.Address, Now: q.now(), ID: id,
		Subject: "Your mailbox is nearly full",
		Text: fmt.Sprintf("Your mailbox is more than %d percent full. Once it is full, no more mail comes in, and "+
			"after a day mail for you is returned to its senders. Please delete what you no longer need.", percent)}
	return l.Compose(), nil
}
