package auth

import (
	"crypto/rand"
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

// secret salts what is made up, and nothing else: whoever knows it learns who
// has no keys, and gets in nowhere. It is kept in run/, so that every process
// and every session makes the same salts of it; where the file can be neither
// read nor made, each process has one of its own.
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

// readSecret returns what is in the file.
func readSecret(path string) ([]byte, error) {
	f, err := dir.OpenPath(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	key := make([]byte, secretSize+1)
	if n, _ := io.ReadFull(f, key); n != secretSize {
		return nil, fmt.Errorf("%s does not hold %d octets (remove it, it is made again)", path, secretSize)
	}
	return key[:secretSize], nil
}

// ownSecret is the random key of this process.
var ownSecret = sync.OnceValue(func() []byte {
	key := make([]byte, secretSize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
})

// makeSecret makes the file and returns what is in it then. link(2) lets one of
// several processes win.
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

// fakeKeys returns keys for who has none: always the same cost and salt for an
// address, and nothing that tells them from real ones. What no peer sees of
// them is random each time, so that there is nothing to find out.
func (t *Users) fakeKeys(address string) (Keys, error) {
	costs, err := scramCosts(t.Control)
	if err != nil {
		return Keys{}, err
	}
	secret, name := t.secret(), addr.FoldAddress(address)
	cost := pickCost(secret, name, costs)
	k := Keys{Iterations: cost.Iterations, Nobody: true, StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	for i := byte(0); len(k.Salt) < cost.Salt; i++ {
		k.Salt = append(k.Salt, mac(secret, append([]byte{i}, name...))...)
	}
	k.Salt = k.Salt[:cost.Salt]
	rand.Read(k.StoredKey)
	rand.Read(k.ServerKey)
	return k, nil
}

// pickCost picks the cost for a name among those that rows have, each as often as
// rows have it. Weighted rendezvous hashing: when a row comes or goes hardly any
// name gets another cost, which would show that it has no keys.
func pickCost(secret []byte, name string, costs map[control.ScramCost]int) control.ScramCost {
	best, least := control.ScramCost{Iterations: scramIterations, Salt: scramSalt}, math.Inf(1)
	for cost, rows := range costs {
		if cost.Iterations < minIterations || cost.Iterations > maxIterations || cost.Salt > maxBlob {
			continue // an error of its row
		}
		text := fmt.Sprintf("cost %d %d %s", cost.Iterations, cost.Salt, name)
		u := (float64(binary.BigEndian.Uint64(mac(secret, []byte(text)))>>11) + 1) / (1 << 53)
		if score := -math.Log(u) / float64(rows); score < least {
			best, least = cost, score
		}
	}
	return best
}
