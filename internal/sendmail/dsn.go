package sendmail

import (
	"slices"
	"strings"

	"paperpath/internal/params"
	"paperpath/internal/status"
)

// setDSN turns -N, -R and -V into the parameters of the envelope (RFC 3461).
func (m *Submission) setDSN(o Options) error {
	var words []string
	switch ret := strings.ToUpper(o.Return); ret {
	case "":
	case "FULL", "HDRS":
		words = append(words, "RET="+ret)
	default:
		return status.UsageError("-R %q is neither full nor hdrs", o.Return)
	}
	if o.EnvID != "" {
		id := params.Encode(o.EnvID)
		if strings.ContainsFunc(o.EnvID, func(r rune) bool { return r < ' ' || r > '~' }) {
			return status.UsageError("the envelope ID of -V is not printable ASCII (RFC 3461 4.4)")
		}
		if len(id) > maxEnvID {
			return status.UsageError("the envelope ID of -V is longer than %d octets", maxEnvID)
		}
		words = append(words, "ENVID="+id)
	}
	m.From.Params = strings.Join(words, " ")
	notify, err := notifyParam(o.Notify)
	m.Notify = notify
	return err
}

// maxEnvID is the longest ENVID (RFC 3461 4.4), in octets as sent.
const maxEnvID = 100

// notifyParam parses -N: never, or a list of success, failure and delay.
func notifyParam(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	list, err := params.ParseNotify(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		return "", status.UsageError("-N %q is neither never nor a list of success, failure and delay", s)
	}
	if slices.Equal(list, []string{"FAILURE"}) {
		return "", nil // the default
	}
	return "NOTIFY=" + strings.Join(list, ","), nil
}
