package deliverserve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/launch"
)

// What the launcher starts, whoever has taken over the front: never root, nor with its group.
func TestCommand(t *testing.T) {
	groups := func(uid, gid int, account string) ([]int, error) {
		switch account {
		case "bob":
			return []int{gid, 50, 51}, nil
		case "evil":
			return []int{gid, 0}, nil
		case "":
			return []int{gid}, nil
		}
		return nil, errors.New("the directory is away")
	}
	ours := reserved{uids: []int{990, 991}, gids: []int{995, 51}}
	for _, tt := range []struct {
		uid, gid uint32
		account  string
		want     string
	}{
		{1001, 1002, "", "1001 1002 [1002]"}, {1001, 1002, "bob", "1001 1002 [1002 50]"},
		{0, 1002, "", ""}, {990, 6, "", ""}, {991, 6, "", ""}, {1001, 995, "", ""}, {1001, 0, "", ""}, {1001, 1002, "evil", ""}, {1 << 31, 1, "", ""}, {1<<32 - 1, 1, "", ""},
		{1001, 1002, "carol", ""}, {1001, 1002, strings.Repeat("b", maxAccount+1), ""},
	} {
		request := binary.LittleEndian.AppendUint32(nil, tt.uid)
		request = append(binary.LittleEndian.AppendUint32(request, tt.gid), tt.account...)
		got := ""
		if cmd, err := command(request, nil, ours, groups); err == nil {
			c := cmd.SysProcAttr.Credential
			got = fmt.Sprint(c.Uid, " ", c.Gid, " ", c.Groups)
			if len(cmd.Env) != 1 || len(cmd.Args) != 2 || c.NoSetGroups || !cmd.SysProcAttr.Setsid {
				t.Errorf("%v: %v %v", tt, cmd.Args, cmd.Env)
			}
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt, got, tt.want)
		}
		if _, err := command(request[:7], nil, ours, groups); err == nil {
			t.Errorf("seven octets were taken")
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
