package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"os"
	"path/filepath"
)

// secretSize is the length of the file of secret, in octets.
const secretSize = 32

// secret is known to nobody outside. It is kept in run/, so that every process
// and every session makes the same salts of it. Where the file can be neither
// read nor made it comes from the password fields of control/users, which no
// peer knows either: then salts change with the table.
func (t *Users) secret() []byte {
	path := filepath.Join(t.Control.Home(), "run", "scram.key")
	if key, err := os.ReadFile(path); err == nil && len(key) == secretSize {
		return key
	}
	if key := makeSecret(path); key != nil {
		return key
	}
	h := sha256.New()
	users, _ := t.Control.Users() // who asks has read the table already
	for _, u := range users {
		h.Write([]byte(u.Hash))
	}
	return h.Sum(nil)
}

// makeSecret makes the file and returns what is in it then; nil where it
// cannot. link(2) lets one of several processes win.
func makeSecret(path string) []byte {
	f, err := os.CreateTemp(filepath.Dir(path), ".scram*")
	if err != nil {
		return nil
	}
	defer os.Remove(f.Name())
	defer f.Close()
	key := make([]byte, secretSize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	if _, err := f.Write(key); err != nil {
		return nil
	}
	f.Chmod(0o660) // the programs may run as several users of one group
	if os.Link(f.Name(), path) == nil {
		return key
	}
	if key, err := os.ReadFile(path); err == nil && len(key) == secretSize {
		return key
	}
	return nil
}
