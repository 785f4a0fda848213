package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/control"
)

// maxCheckPassword is the maximum input of a checkpassword program, in octets.
const maxCheckPassword = 512

// askProgram checks a password by a program with D. J. Bernstein's checkpassword
// interface: it reads login, password and a time, each ended by a NUL, on descriptor 3,
// and runs the program in its arguments, here true(1), if the password is right. It is
// run for a login without a row too, so that the time reveals nothing.
func askProgram(p control.Program, u *control.User, login, password string) error {
	name := login
	if u != nil {
		name = u.Address
		if other := u.Extra["login"]; other != "" {
			name = other
		}
	}
	input := name + "\x00" + password + "\x00" + fmt.Sprint(time.Now().Unix()) + "\x00"
	if password == "" || len(input) > maxCheckPassword || strings.Count(input, "\x00") != 3 {
		return refused()
	}
	_, exit, err := p.Run(context.Background(), []byte(input), "/bin/true")
	switch {
	case err != nil:
		return temporary(err)
	case exit == 1 || exit == 0 && (u == nil || closed(u.Hash)):
		return refused()
	case exit != 0:
		return temporary(fmt.Errorf("checkpassword: %s: exit status %d", p[0], exit))
	}
	return nil
}

// closed reports whether the password field bars every login, whatever a program
// says.
func closed(hash string) bool {
	_, _, rest := control.SplitScheme(hash)
	return rest != "" && (rest[0] == '!' || rest[0] == '*')
}
