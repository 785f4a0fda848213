package deliverserve

import (
	"encoding/binary"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/launch"
)

// What the launcher starts, whoever has taken over the front: never root, nor with its group.
func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		ids  []uint32
		want string
	}{
		{[]uint32{1001, 1002}, "1001 1002 [1002]"}, {[]uint32{1001, 1002, 50, 1002, 51}, "1001 1002 [1002 50 51]"},
		{[]uint32{0, 1002}, ""}, {[]uint32{990, 6}, ""}, {[]uint32{1001, 0}, ""}, {[]uint32{1001, 1002, 0}, ""}, {[]uint32{1 << 31, 1}, ""}, {[]uint32{1<<32 - 1, 1}, ""},
		{nil, ""}, {[]uint32{1001}, ""}, {make([]uint32, maxGroups+1), ""},
	} {
		var request []byte
		for _, id := range tt.ids {
			request = binary.LittleEndian.AppendUint32(request, id)
		}
		got := ""
		if cmd, err := command(request, nil, 990); err == nil {
			c := cmd.SysProcAttr.Credential
			got = fmt.Sprint(c.Uid, " ", c.Gid, " ", c.Groups)
			if len(cmd.Env) != 1 || len(cmd.Args) != 2 || c.NoSetGroups || !cmd.SysProcAttr.Setsid {
				t.Errorf("%v: %v %v", tt.ids, cmd.Args, cmd.Env)
			}
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.ids, got, tt.want)
		}
		if _, err := command(append(request, 1), nil, 990); err == nil {
			t.Errorf("%v and an octet more was taken", tt.ids)
		}
	}
}

// A process that its user has stopped ends when the front has given it up, and not before.
func TestStoppedProcess(t *testing.T) {
	ours, theirs, err := launch.Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	if err := ours.CloseWrite(); err != nil || hungUp(theirs) {
		t.Errorf("%v; a front that only stops has not left", err)
	}
	go endWith(theirs, cmd.Process, ended, 10*time.Millisecond, 100*time.Millisecond)
	select {
	case <-ended:
		t.Error("it was killed while the front waits for it")
	case <-time.After(500 * time.Millisecond):
	}
	ours.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it holds its place for ever")
	}
}
