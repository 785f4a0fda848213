package pop3serve

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/pop3"
	"paperpath/internal/status"
)

// maxRequest bounds a job, in bytes.
const maxRequest = 16 << 10

// The descriptors of a process for a mailbox's owner.
const (
	jobFD = 3 + iota
	conversationFD
	eventsFD
)

// Session does the job that the launcher gives to a process of this user. It is
// not for people to call.
func Session(ctx context.Context, now func() time.Time) error {
	if os.Geteuid() == 0 {
		return status.UsageError("session is for pop3d itself, and never for root")
	}
	// The user must neither read nor control the memory of a process that runs for
	// them on bytes from strangers.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	home.NoNewPrivileges()
	in := os.NewFile(jobFD, "job")
	if in == nil {
		return status.UsageError("session is for pop3d itself")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxRequest))
	in.Close()
	var j job
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err != nil {
		return status.UsageError("session is for pop3d itself: %v", err)
	}
	for _, fd := range []int{conversationFD, eventsFD} {
		unix.CloseOnExec(fd)
	}
	events := os.NewFile(eventsFD, "events")
	defer events.Close()
	log := maillog.To(events, name, now)
	conn, err := net.FileConn(os.NewFile(conversationFD, "conversation"))
	if err != nil {
		return err
	}
	if j.Expire {
		defer conn.Close()
		if err := expireTrash(j.Account.Maildir, now().Add(-j.Undelete), log); err != nil {
			return err
		}
		_, err = io.WriteString(conn, expiredReply)
		return err
	}
	return pop3.Resume(ctx, conn, j.Handover, log, now)
}
