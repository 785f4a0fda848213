package clients

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"paperpath/test/harness"
)

// smallDisk makes a home whole on a file system of 1 MiB, with two messages
// for alice, one of them without sizes in its name.
func smallDisk(t *testing.T) (s *site, disk string) {
	t.Helper()
	s = newSite(t, "")
	disk = filepath.Join(s.dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	err := unix.Mount("paperpath-test", disk, "tmpfs", 0, "size=1m")
	if err != nil {
		if harness.Missing("mount (full and read-only disks)") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if s.Home, err = programs.NewHome(disk+"/home", "alice"); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(s.Mailbox("alice"), sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"new/1.a", "new/2.b,S=2,W=3", "cur/3.c,S=2,W=3:2,"} {
		if err := os.WriteFile(filepath.Join(s.Mailbox("alice"), name), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s, disk
}

// session holds a session over standard input and returns the replies behind
// the login.
func (s *site) session(commands ...string) string {
	s.t.Helper()
	in := "USER alice\nPASS " + harness.Password + "\n" + strings.Join(commands, "\n") + "\n"
	out, err := programs.Must(s.Home.Dir, strings.NewReader(in), "pop3d")
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(out, "send PASS\r\n")
	return strings.ReplaceAll(strings.TrimSpace(rest), "\r\n", "|")
}

func (s *site) names() string {
	var all []string
	for _, path := range s.Glob("mail/example.net/alice/Maildir/*/*") {
		rel, _ := filepath.Rel(s.Mailbox("alice"), path)
		all = append(all, rel)
	}
	return strings.Join(all, " ")
}

// fill writes until nothing fits any more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// On a full disk mail is fetched and deleted: that is how room is made.
func TestFullDisk(t *testing.T) {
	s, disk := smallDisk(t)
	if err := s.Set("logindelay", "1s"); err != nil {
		t.Fatal(err)
	}
	fill(t, disk+"/filler")
	got := s.session("STAT", "RETR 1", "DELE 2", "QUIT")
	if want := "+OK 3 messages|+OK 3 9|+OK 3 octets|x|.|+OK message 2 will be deleted|+OK goodbye"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := s.names(), "cur/1.a,S=2,W=3:2,S cur/3.c,S=2,W=3:2,"; got != want {
		t.Errorf("the mailbox holds %s", got)
	}
}

// With a window to undelete what cannot be parked is not deleted.
func TestFullDiskUndelete(t *testing.T) {
	s, disk := smallDisk(t)
	if err := s.Set("undelete", "1d"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=1m,nr_inodes="+inodesInUse(t, disk)); err != nil {
		t.Fatal(err)
	}
	got := s.session("DELE 2", "QUIT")
	if want := "+OK 3 messages|+OK message 2 will be deleted|-ERR [SYS/TEMP] some deleted messages not removed"; got != want {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(s.names(), "2.b") {
		t.Errorf("the mailbox holds %s", s.names())
	}
}

func inodesInUse(t *testing.T, path string) string {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	n := st.Files - st.Ffree
	digits := ""
	for ; n > 0; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return digits
}

// On a read-only disk, log and all, mail is fetched; deleting fails and says so.
func TestReadOnlyDisk(t *testing.T) {
	s, disk := smallDisk(t)
	if err := s.Set("logindelay", "1h"); err != nil {
		t.Fatal(err)
	}
	before := s.names()
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for range 2 { // no login delay either: processes of one session have no memory
		got := s.session("LIST", "RETR 1", "TOP 2 0", "QUIT")
		if want := "+OK 3 messages|+OK 3 messages (9 octets)|1 3|2 3|3 3|.|+OK 3 octets|x|.|+OK top of the message follows|x|.|+OK goodbye"; got != want {
			t.Errorf("got %s", got)
		}
	}
	got := s.session("DELE 1", "DELE 3", "QUIT")
	if want := "+OK 3 messages|+OK message 1 will be deleted|+OK message 3 will be deleted|-ERR [SYS/TEMP] some deleted messages not removed"; got != want {
		t.Errorf("got %s", got)
	}
	if s.names() != before {
		t.Errorf("the mailbox holds %s", s.names())
	}
}
