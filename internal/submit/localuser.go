package submit

import (
	"strconv"

	"paperpath/internal/check"
	"paperpath/internal/maillog"
	"paperpath/internal/sendmail"
)

// localUser is a user of this machine, as the kernel knows them.
type localUser struct {
	uid int
	via string // "stdin" or "unix"
}

// name is the login name, or uidN if there is none.
func (u localUser) name() string { return sendmail.UserName(u.uid) }

func (u localUser) submitter() check.Submitter {
	return check.Submitter{User: u.name(), UID: strconv.Itoa(u.uid)}
}

func (u localUser) client(helo string) maillog.Client {
	return maillog.Client{Addr: u.via, Helo: helo, UID: strconv.Itoa(u.uid)}
}
