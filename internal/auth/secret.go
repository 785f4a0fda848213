package auth

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"

	"paperpath/internal/control"
)

// secretSize is the length of the file of secret, in octets.
const secretSize = 32

// secret salts what is made up, and nothing else: whoever knows it learns who
// has no keys, and gets in nowhere. It is kept in run/, so that every process
// and every session makes the same salts of it; where the file can be neither
// read nor made, each process has one of its own.
func (t *Users) secret() []byte {
	path := filepath.Join(t.Control.Home(), "run", "scram.key")
	if key, err := os.ReadFile(path); err == nil && len(key) == secretSize {
		return key
	}
	if key := makeSecret(path); key != nil {
		return key
	}
	return ownSecret()
}

// ownSecret is the random key of this process.
var ownSecret = sync.OnceValue(func() []byte {
	key := make([]byte, secretSize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
})

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

// madeUp returns keys for who has none: always the same cost and salt for an
// address, and nothing that tells them from real ones. What no peer sees of
// them is random each time, so that there is nothing to find out.
func (t *Users) madeUp(address string) (Keys, error) {
	costs, err := t.Control.ScramCosts()
	if err != nil {
		return Keys{}, err
	}
	secret, name := t.secret(), control.Fold(address)
	cost := drawn(secret, name, costs)
	k := Keys{Iterations: cost.Iterations, Nobody: true, StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}
	for i := byte(0); len(k.Salt) < cost.Salt; i++ {
		k.Salt = append(k.Salt, mac(secret, append([]byte{i}, name...))...)
	}
	k.Salt = k.Salt[:cost.Salt]
	rand.Read(k.StoredKey)
	rand.Read(k.ServerKey)
	return k, nil
}

// drawn picks the cost for a name among those that rows have, each as often as
// rows have it. Weighted rendezvous hashing: when a row comes or goes hardly any
// name gets another cost, which would show that it has no keys.
func drawn(secret []byte, name string, costs map[control.ScramCost]int) control.ScramCost {
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
