package relay

import "paperpath/internal/smtpc"

// worn reports whether a host that has taken messages in this session refuses the next
// one for now, at MAIL, as some do after a number of messages without closing. The
// session ends; another begins with that message, and what the host says there counts.
func (k *kept) worn(res *smtpc.Result) bool {
	if k.took && res.Mail.Class() == 4 {
		k.done = true
		return true
	}
	k.took = k.took || res.Final.Class() == 2
	return false
}
