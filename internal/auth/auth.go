// Package auth checks and makes passwords, runs SASL exchanges and guards against
// guessing. The hashes in control/users have the formats of crypt(3) and of Dovecot's
// {SCHEME} prefixes.
//
// Hostile input: login and password come from the network, the hash from a file that a
// script may have written. Its cost parameters are capped.
package auth

import (
	"errors"
	"fmt"
	"hash/fnv"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/status"
)

// maxPassword is the maximum length of a password in octets: it fits a line of POP3 and
// costs SHA-crypt at most three times what a short one does. A longer one is wrong.
const maxPassword = 256

// Check returns the user with this login and password. An unknown user and a wrong
// password get the same refusal (535 5.7.8, RFC 4954 6) after the same work, so that
// neither the answer nor its time reveals which users exist (CWE-204, CWE-208). Every
// other error is temporary (454 4.7.0).
func Check(c *control.Control, login, password string) (*control.User, error) {
	return check(c, login, password, func(_ work, f func() error) error { return f() })
}

// doWork calls a function when there is room for the work that it does.
type doWork func(w work, f func() error) error

// check is Check with the expensive work done by do. A panic is a temporary error.
func check(c *control.Control, login, password string, do doWork) (u *control.User, err error) {
	panicked := status.Guard(func() error {
		u, err = compare(c, login, password, do)
		return nil
	})
	if panicked != nil {
		return nil, temporary(panicked)
	}
	return u, err
}

func compare(c *control.Control, login, password string, do doWork) (u *control.User, err error) {
	if len(password) > maxPassword {
		return nil, refused() // before the user is looked up: equally fast for everybody
	}
	// Never from the cache: it has existing users only, and would be faster for them.
	if u, err = c.LoginUser(login); err != nil {
		return nil, temporary(err)
	}
	program, err := c.CheckPassword()
	if err != nil {
		return nil, temporary(err)
	}
	need, judge := work{program: true}, func() error { return askProgram(program, u, login, password) }
	if program == nil {
		field, err := fieldFor(c, u, login)
		if err != nil {
			return nil, temporary(err)
		}
		need, judge = work{memory: memoryOf(field)}, func() error { return match(u, field, password) }
	}
	if err := do(need, judge); err != nil {
		return nil, err
	}
	return u, nil
}

// match compares a password with a field. The result counts only if the field is the
// user's own.
func match(u *control.User, field, password string) error {
	ok, err := verify(field, password)
	own := u != nil && field == u.Hash
	if err != nil && !own {
		_, _ = verify(dummyHash, password) // the other row is broken, which would take no time
	}
	switch {
	case !own || password == "":
		return refused()
	case err != nil:
		return temporary(fmt.Errorf("%s: %w", u.Where, err))
	case !ok:
		return refused()
	}
	return nil
}

// Barred reports whether no password matches this field.
func Barred(hash string) bool { return control.Barred(hash) }

// fieldFor returns the password field to compare with: the user's own, or without a
// usable one that of another user, always the same for a login. So an unknown login
// costs what a known one does, whatever schemes are in use.
func fieldFor(c *control.Control, u *control.User, login string) (string, error) {
	program, err := c.AsksForUsers()
	if err != nil {
		return "", err
	}
	if u != nil && !Barred(u.Hash) {
		if program {
			keepLikeness(c, u.Hash)
		}
		return u.Hash, nil
	}
	h := fnv.New32a()
	h.Write([]byte(addr.FoldAddress(login)))
	other, err := c.SomeUser(h.Sum32())
	if err != nil {
		return "", err
	}
	if other != nil && !Barred(other.Hash) {
		return other.Hash, nil
	}
	if program {
		if like := readLikeness(c); like != "" {
			return like, nil
		}
	}
	return dummyHash, nil
}

// dummyHash is a hash of the default scheme without a user.
const dummyHash = "{SHA512-CRYPT}$6$rounds=50000$f23c9d0e98fdf6b7$" +
	"CMuXsgT/RveXmBtOF8/9RW8VbworQIM3pLh.jsKM.MHNWNxpWBu0Qgbalm2BpX0WaVaLEB3/FyEQoX6iRs71C1"

func refused() error {
	return &status.Error{Exit: status.NotAllowed, Reply: 535, Enhanced: "5.7.8",
		Text: "authentication failed"}
}

// temporary keeps the cause for the log; the client does not learn it.
func temporary(err error) error {
	return &status.Error{Exit: status.TempFail, Reply: 454, Enhanced: "4.7.0", Err: err}
}

// Schemes returns the schemes that Hash accepts, the default first.
func Schemes() []string {
	return []string{"SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "ARGON2ID",
		"SSHA512", "SSHA256", Scram, "PLAIN"}
}

var errMalformed = errors.New("the password hash is malformed")
