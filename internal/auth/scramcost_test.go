package auth

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paperpath/internal/control"
)

// If a program looks up the users, a login without keys is shown a cost that its users
// have been seen to have, the same in every process and for good.
func TestMadeUpKeysOfAProgram(t *testing.T) {
	field := func(iterations, salt int) string {
		k, err := newKeys("right", make([]byte, salt), iterations)
		if err != nil {
			t.Fatal(err)
		}
		return "{SCRAM-SHA-256}" + k.String()
	}
	c := settings(t, "once:"+script(t, `case $1 in
a@b.example) echo 'a@b.example:`+field(8192, 24)+`' ;;
c@b.example) echo 'c@b.example:`+field(10000, 12)+`' ;;
clear@b.example) echo 'clear@b.example:{PLAIN}right' ;;
hash@b.example) echo 'hash@b.example:`+foreignHashes()["sha256"]+`' ;;
*) exit 67 ;;
esac
`))
	if err := os.Mkdir(filepath.Join(c.Home(), "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	shown := func(login string) control.ScramCost {
		users := &Users{Control: control.Open(c.Home(), time.Now)} // another process
		k, err := users.Keys(context.Background(), login)
		if err != nil {
			t.Fatal(err)
		}
		return control.ScramCost{Iterations: k.Iterations, Salt: len(k.Salt)}
	}
	first, second := shown("a@b.example"), control.ScramCost{Iterations: 10000, Salt: 12}
	for _, login := range []string{"nobody@b.example", "clear@b.example", "hash@b.example", "x@elsewhere.example"} {
		if got := shown(login); got != first {
			t.Errorf("%s is shown %+v, a user %+v", login, got, first)
		}
	}
	shown("c@b.example")
	seen := map[control.ScramCost]int{}
	for _, x := range "abcdefghijklmnopqrstuvwxyz" {
		login := "nobody-" + string(x) + "@b.example"
		if got := shown(login); got != shown(login) {
			t.Errorf("%s is not shown the same twice", login)
		} else {
			seen[got]++
		}
	}
	if len(seen) != 2 || seen[first] == 0 || seen[second] == 0 {
		t.Errorf("shown is %v", seen)
	}
}
