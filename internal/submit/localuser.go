package submit

import (
	"os/user"
	"strconv"
	"strings"

	"paperpath/internal/check"
	"paperpath/internal/maillog"
)

// localUser is a user of this machine, as the kernel knows them.
type localUser struct {
	uid int
	via string // "stdin" or "unix"
}

// isUIDName reports whether a name is just uidN.
func isUIDName(name string) bool {
	digits, ok := strings.CutPrefix(name, "uid")
	_, err := strconv.Atoi(digits)
	return ok && err == nil
}

// name is the login name, or uidN if there is none.
func (u localUser) name() string {
	uid := strconv.Itoa(u.uid)
	if known, err := user.LookupId(uid); err == nil && known.Username != "" {
		return known.Username
	}
	return "uid" + uid
}

func (u localUser) submitter() check.Submitter {
	return check.Submitter{User: u.name(), UID: strconv.Itoa(u.uid)}
}

func (u localUser) client(helo string) maillog.Client {
	return maillog.Client{Addr: u.via, Helo: helo, UID: strconv.Itoa(u.uid)}
}
