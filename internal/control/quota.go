package control

import (
	"fmt"
	"strconv"
	"strings"
)

// Quota is how much the mailbox of a user may hold; 0 is no limit.
type Quota struct {
	Octets   int64
	Messages int64
}

// quotaFields are the extra fields of Dovecot that have a quota: the rule, and the two that
// Dovecot 2.4 has in its place. Behind the prefix userdb_ they mean the same.
const (
	quotaRule    = "quota_rule"
	quotaStorage = "quota_storage_size"
	quotaCount   = "quota_message_count"
	userdbPrefix = "userdb_"
)

// parseQuota reads the quota in the extra fields of a row.
func parseQuota(extra map[string]string) (q Quota, err error) {
	for _, prefix := range []string{"", userdbPrefix} {
		if rule, ok := extra[prefix+quotaRule]; ok {
			if q, err = parseQuotaRule(rule); err != nil {
				return q, fmt.Errorf("%s %q %w", prefix+quotaRule, rule, err)
			}
		}
		for name, to := range map[string]*int64{quotaStorage: &q.Octets, quotaCount: &q.Messages} {
			value, ok := extra[prefix+name]
			if !ok {
				continue
			}
			if *to, err = parseAmount(value, 1); err != nil {
				return q, fmt.Errorf("%s %q %w", prefix+name, value, err)
			}
		}
	}
	return q, nil
}

// parseQuotaRule parses `*:storage=100M:messages=1000`. As in Dovecot, a number without a unit
// is in KiB behind storage=, and in bytes behind bytes=.
func parseQuotaRule(rule string) (q Quota, err error) {
	mailbox, limits, ok := strings.Cut(rule, ":")
	if !ok || mailbox != "*" {
		return q, fmt.Errorf("is not `*:storage=SIZE:messages=NUMBER`, which is for the whole mailbox")
	}
	for _, limit := range strings.Split(limits, ":") {
		name, value, _ := strings.Cut(limit, "=")
		switch name {
		case "storage":
			q.Octets, err = parseAmount(value, 1<<10)
		case "bytes":
			q.Octets, err = parseAmount(value, 1)
		case "messages":
			q.Messages, err = parseAmount(value, 1)
		default:
			err = fmt.Errorf("has %q, which is none of storage=, bytes= and messages=", limit)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

// maxAmount is more than any mailbox has.
const maxAmount = 1 << 50

// parseAmount parses a number and a unit, B, K, M, G or T.
func parseAmount(s string, unit int64) (int64, error) {
	if at := strings.IndexAny("BKMGT", strings.ToUpper(s[max(len(s)-1, 0):])); at >= 0 && s != "" {
		s, unit = s[:len(s)-1], 1<<(10*at)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxAmount/unit {
		return 0, fmt.Errorf("has no amount such as 100M (units B, K, M, G, T)")
	}
	return n * unit, nil
}

// QuotaWarning returns how full a mailbox may be, in percent of its quota, before its user
// is warned; 0: there is no warning.
func (c *Control) QuotaWarning() (int64, error) { return one[int64](c, "quota-warning") }

// parsePercent parses a percentage.
func parsePercent(s string) (int64, string) {
	n, wrong := number(s, 0)
	if wrong == "" && n > 100 {
		wrong = "is more than 100"
	}
	return n, wrong
}
