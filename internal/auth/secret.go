package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/dir"
)

// secretSize is the length of the file of secret, in octets.
const secretSize = 32

// secret returns the key for made-up salts. Anyone who knows it can tell which logins
// have no keys, but cannot log in. It is stored in run/, so that all processes make the
// same salts; if the file can be neither read nor made, each process has a key of its
// own.
func (t *Users) secret() []byte {
	path := filepath.Join(t.Control.Home(), "run", "scram.key")
	key, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeSecret(path)
	}
	if err != nil {
		t.Guard.tell("use a key of this process alone", err)
		return ownSecret()
	}
	return key
}

// readSecret returns the content of the file.
func readSecret(path string) ([]byte, error) {
	f, err := dir.OpenPath(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key := make([]byte, secretSize+1)
	if n, _ := io.ReadFull(f, key); n != secretSize {
		return nil, fmt.Errorf("%s does not hold %d octets (remove it; it is made again)", path, secretSize)
	}
	return key[:secretSize], nil
}

// ownSecret is the random key of this process.
var ownSecret = sync.OnceValue(func() []byte {
	key := make([]byte, secretSize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
})

// makeSecret makes the file and returns its content. If several processes do so, link(2)
// lets one of them win.
func makeSecret(path string) ([]byte, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".scram*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	key := make([]byte, secretSize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	if _, err := f.Write(key); err != nil {
		return nil, err
	}
	f.Chmod(0o660) // the programs may run as several users of one group
	if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return readSecret(path)
	}
	return key, err
}

// fakeKeys returns keys for an address that has none: always with the same cost and salt,
// so that they look like real ones. What no client sees of them is random each time.
func (t *Users) fakeKeys(address string) (Keys, error) {
	costs, err := scramCosts(t.Control)
	if err != nil {
		return Keys{}, err
	}
	secret, name := t.secret(), addr.FoldAddress(address)
	cost := pickCost(secret, name, costs)
	k := Keys{Iterations: cost.Iterations, Nobody: true,
		StoredKey: make([]byte, sha256.Size), ServerKey: make([]byte, sha256.Size)}
	for i := byte(0); len(k.Salt) < cost.Salt; i++ {
		k.Salt = append(k.Salt, mac(secret, append([]byte{i}, name...))...)
	}
	k.Salt = k.Salt[:cost.Salt]
	rand.Read(k.StoredKey)
	rand.Read(k.ServerKey)
	return k, nil
}

// pickCost picks the cost of a name among those of the rows, in proportion to how many
// rows have it. With weighted rendezvous hashing hardly any name gets another cost when
// a row is added or removed: a change would show that the name has no keys.
func pickCost(secret []byte, name string, costs map[control.ScramCost]int) control.ScramCost {
	best, least := control.ScramCost{Iterations: scramIterations, Salt: scramSalt}, math.Inf(1)
	for cost, rows := range costs {
		if cost.Iterations < minIterations || cost.Iterations > maxIterations || cost.Salt > maxBlob {
			continue // its row is in error
		}
		text := fmt.Sprintf("cost %d %d %s", cost.Iterations, cost.Salt, name)
		u := (float64(binary.BigEndian.Uint64(mac(secret, []byte(text)))>>11) + 1) / (1 << 53)
		if score := -math.Log(u) / float64(rows); score < least {
			best, least = cost, score
		}
	}
	return best
}
