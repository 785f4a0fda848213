package spool

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sharedGroup and its users are numbers without accounts.
const (
	sharedGroup = 64100
	firstUser   = 64101
	secondUser  = 64102
)

// asUser calls work on a thread that is this user of the shared group, with no other group. The
// library's wrappers would change all threads; the thread ends with its goroutine.
func asUser(t *testing.T, uid int, work func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		const same = ^uintptr(0)
		for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS, 0, 0, 0},
			{unix.SYS_SETRESGID, same, sharedGroup, same}, {unix.SYS_SETRESUID, same, uintptr(uid), same}} {
			if _, _, err := unix.RawSyscall(call[0], call[1], call[2], call[3]); err != 0 {
				done <- err
				return
			}
		}
		done <- work()
	}()
	if err := <-done; err != nil {
		t.Errorf("as uid %d: %v", uid, err)
	}
}

// sharedInbox is an inbox in the way of a home of several users: setgid, with group write.
func sharedInbox(t *testing.T) *inbox {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("becomes two other users: tested as root")
	}
	home := t.TempDir()
	if err := Init(home); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(home, "spool")
	for _, sub := range []string{"", "tmp", "new", "cur", "reason"} {
		path := filepath.Join(spool, string(InboxRelay), sub)
		if err := os.Chown(path, firstUser, sharedGroup); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o770|os.ModeSetgid); err != nil {
			t.Fatal(err)
		}
	}
	b, err := openInbox(spool, InboxRelay, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// A reason that one user has written is continued by another, who can set the due time of
// files of their own alone; and a strict umask keeps nobody of the group out.
func TestReasonOfAnotherUser(t *testing.T) {
	b := sharedInbox(t)
	defer unix.Umask(unix.Umask(0o077))
	const k = Key("1700000000.M1R0123456789abcdef.mx")
	write := func(uid int, how func() error, text string, due time.Time) {
		t.Helper()
		asUser(t, uid, how)
		st, err := b.reason.StatName(string(k))
		if err != nil || int(st.Uid) != uid || st.Gid != sharedGroup || st.Mode&0o777 != 0o660 {
			t.Errorf("uid %d, gid %d, mode %o (%v)", st.Uid, st.Gid, st.Mode&0o777, err)
		}
		if at, found, err := b.due(k); !at.Equal(due) || !found || err != nil {
			t.Errorf("due %s, not %s (%v)", at, due, err)
		}
		if got, err := b.reasonText(k); got != text || err != nil {
			t.Errorf("%q, not %q (%v)", got, text, err)
		}
		if names, err := namesIn(b.tmp); len(names) > 0 || err != nil {
			t.Errorf("tmp/ has %s (%v)", strings.Join(names, " "), err)
		}
	}
	one, two, three := time.Unix(1800000000, 0), time.Unix(1800000600, 0), time.Unix(1800001200, 0)
	write(firstUser, func() error { return b.addReason(k, "first\n", one) }, "first\n", one)
	write(secondUser, func() error { return b.addReason(k, "second\n", two) }, "first\nsecond\n", two)
	write(firstUser, func() error { return b.setReason(k, "held\n", three) }, "held\n", three)
}

// Only the owner of spool/ makes names there: a stage of another user writes the record of the
// boot into the file that is there, and one that is missing keeps no spool closed.
func TestRecordOfAnotherUser(t *testing.T) {
	b := sharedInbox(t)
	home := filepath.Dir(filepath.Dir(b.self.Path()))
	for _, in := range []Inbox{InboxCheck, InboxRoute} {
		for _, sub := range []string{"", "tmp", "new", "cur", "reason"} {
			path := filepath.Join(home, "spool", string(in), sub)
			if err := os.Chown(path, firstUser, sharedGroup); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o770|os.ModeSetgid); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path := home; path != filepath.Clean(os.TempDir()) && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil { // others pass through
			t.Fatal(err)
		}
	}
	record := filepath.Join(home, "spool", Record)
	give := func(uid int) {
		t.Helper()
		if err := os.Chown(filepath.Dir(record), uid, sharedGroup); err != nil {
			t.Fatal(err)
		}
	}
	give(0)
	if err := os.Chmod(filepath.Dir(record), 0o750); err != nil {
		t.Fatal(err)
	}
	open := func() error {
		s, err := Open(home, Options{Hostname: "mx"})
		if err != nil {
			return err
		}
		return s.Close()
	}
	asUser(t, secondUser, open) // without a record
	give(firstUser)
	asUser(t, firstUser, open)
	now, err := os.ReadFile(record)
	if err != nil || len(now) == 0 {
		t.Fatalf("%q, %v", now, err)
	}
	if err := os.WriteFile(record, []byte("another boot, and something more than this record has had to say until now about it all, to the end\n"), 0o664); err != nil {
		t.Fatal(err)
	}
	asUser(t, secondUser, open)
	if text, err := os.ReadFile(record); string(text) != string(now) || err != nil {
		t.Errorf("%q, %v; want %q", text, err, now)
	}
}
