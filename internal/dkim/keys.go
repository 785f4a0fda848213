package dkim

import (
	"strings"
	"sync"
)

// What is remembered: the keys of the domains that write often, and no odd ones. One of
// 8192 bits has about 1400 octets.
const (
	maxKeys    = 1000
	maxKeyText = 2 << 10
)

// Keys remembers what records of keys mean, by their text: to read one costs as much as to
// verify a signature with it. The zero value is ready; its methods may be called
// concurrently.
type Keys struct {
	mu    sync.Mutex
	known map[string]*record
}

// parse is parseRecord with a memory. Records that cannot be read are read each time.
func (k *Keys) parse(text string) (*record, error) {
	if k == nil {
		return parseRecord(text)
	}
	k.mu.Lock()
	r := k.known[text]
	k.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r, err := parseRecord(text)
	if err != nil || len(text) > maxKeyText {
		return r, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKeys {
		k.known = map[string]*record{}
	}
	k.known[strings.Clone(text)] = r
	return r, nil
}
