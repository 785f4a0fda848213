package deliver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/spool"
)

// A mailbox on another file system gets a copy, and the spool keeps nothing.
func TestAnotherFileSystem(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "paperpath")
	if err != nil {
		t.Skip("no /dev/shm: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	p := newFixture(t)
	p.write("users", "alice@example.net:::::"+other+"\n")
	k := p.accept(spool.InboxDeliver, "alice@example.net")
	p.run()
	p.want()
	names, err := filepath.Glob(filepath.Join(other, "Maildir/new", string(k)+",S=*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("the mailbox has %v, %v\n%s", names, err, p.log.String())
	}
	if left, _ := os.ReadDir(filepath.Join(other, "Maildir/tmp")); len(left) > 0 {
		t.Errorf("left in tmp/: %v", left)
	}
	if !strings.Contains(p.log.String(), "how=copy") {
		t.Skip("/dev/shm is on the spool's file system")
	}
	data, err := os.ReadFile(names[0])
	if err != nil || !strings.HasPrefix(string(data), "Return-Path: <x@x.example>\nDelivered-To: alice@example.net\nReceived: ") {
		t.Errorf("%q, %v", data, err)
	}
}
