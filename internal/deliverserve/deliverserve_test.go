package deliverserve

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// What the launcher starts, whoever has taken over the front: never root, nor with its group.
func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		ids  []uint32
		want string
	}{
		{[]uint32{1001, 1002}, "1001 1002 [1002]"}, {[]uint32{1001, 1002, 50, 1002, 51}, "1001 1002 [1002 50 51]"},
		{[]uint32{0, 1002}, ""}, {[]uint32{1001, 0}, ""}, {[]uint32{1001, 1002, 0}, ""}, {[]uint32{1 << 31, 1}, ""}, {[]uint32{1<<32 - 1, 1}, ""},
		{nil, ""}, {[]uint32{1001}, ""}, {make([]uint32, maxGroups+1), ""},
	} {
		var request []byte
		for _, id := range tt.ids {
			request = binary.LittleEndian.AppendUint32(request, id)
		}
		got := ""
		if cmd, err := command(request, nil); err == nil {
			c := cmd.SysProcAttr.Credential
			got = fmt.Sprint(c.Uid, " ", c.Gid, " ", c.Groups)
			if len(cmd.Env) != 1 || len(cmd.Args) != 2 || c.NoSetGroups {
				t.Errorf("%v: %v %v", tt.ids, cmd.Args, cmd.Env)
			}
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.ids, got, tt.want)
		}
		if _, err := command(append(request, 1), nil); err == nil {
			t.Errorf("%v and an octet more was taken", tt.ids)
		}
	}
}
