// Package ratelimit is a small table of counters that processes share: a file of
// fixed size that forgets what has not been used for longest. What is counted,
// and when a count is too much, is for its users to say.
package ratelimit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The file: a header, then sets of slots. A key has one set, by its hash; a
// set that is full loses the slot that was written longest ago. The salt in
// the header keeps a stranger from choosing keys of one set.
const (
	magic    = "pptally1"
	header   = 64 // octets: magic, salt, zeroes
	saltSize = 16
	slotSize = 40 // octets: hash, time, count, when written
	hashSize = 16
	ways     = 8    // slots of a set
	sets     = 2048 // of a file: 16384 keys in 640 KiB
	fileSize = header + sets*ways*slotSize
)

// Entry is what is kept of a key. It means what the user of the table makes of
// it; a key that is not there has the zero Entry.
type Entry struct {
	Time  time.Time
	Count uint64
}

// Table is a file of counters. Its methods may be called concurrently, also
// from many processes.
type Table struct {
	path   string
	mode   os.FileMode
	anyhow func(error) // is told why it counts in memory; nil: it does not

	mu     sync.Mutex // flock knows nothing of goroutines
	f      *os.File
	roomy  *os.File // f where room was asked for
	salt   [saltSize]byte
	memory *memory // of this process alone, in the place of the file

	shunned error // why the file is left alone
	until   time.Time
}

// Open returns the table in the file path. The file is opened, and made, at
// its first use; nothing but its directory has to be there.
func Open(path string) *Table { return &Table{path: path, mode: 0o660} }

// OpenAnyhow is Open for what has to be counted even where the file cannot be
// used: then it is counted in memory, by this process for itself, and tell is
// called each time.
func OpenAnyhow(path string, tell func(error)) *Table {
	return &Table{path: path, mode: 0o660, anyhow: tell}
}

// Update replaces the entry of key by what change makes of it, with no other
// process in between. Only an error of the file system keeps it from that, or a
// process that has the file locked for long; then change may have been called or
// not, and the table is as it was or without that entry. The file is not synced:
// a power cut forgets counts, no more.
func (t *Table) Update(key string, change func(Entry) Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.open()
	if err == nil {
		err = t.replace(t.f, t.salt, key, change)
		unix.Flock(int(t.f.Fd()), unix.LOCK_UN)
		if err != nil {
			t.shun(err)
		}
	}
	if err == nil || t.anyhow == nil {
		return err
	}
	t.anyhow(err)
	m := t.inMemory()
	return t.replace(m, m.salt, key, change)
}

// replace does the work of Update in a file, or in what stands for it.
func (t *Table) replace(f store, salt [saltSize]byte, key string, change func(Entry) Entry) error {
	sum := sha256.New()
	sum.Write(salt[:])
	io.WriteString(sum, key)
	hash := sum.Sum(nil)
	set := int64(binary.BigEndian.Uint32(hash[hashSize:]) % sets)
	row := make([]byte, ways*slotSize)
	at := header + set*ways*slotSize
	if _, err := f.ReadAt(row, at); err != nil {
		return fmt.Errorf("read %s: %w", t.path, err)
	}
	i, found := find(row, hash[:hashSize])
	slot := row[i*slotSize : (i+1)*slotSize]
	var e Entry
	if found {
		e = decode(slot)
	}
	now := change(e)
	if !found && now == (Entry{}) {
		return nil // to look makes nothing, and pushes nothing out
	}
	encode(slot, hash[:hashSize], now)
	if _, err := f.WriteAt(slot, at+int64(i)*slotSize); err != nil {
		return fmt.Errorf("write %s: %w", t.path, err)
	}
	return nil
}

// Get returns the entry of key.
func (t *Table) Get(key string) (e Entry, err error) {
	err = t.Update(key, func(had Entry) Entry { e = had; return had })
	return e, err
}

// find returns the slot of hash in a set, or the one to give up for it.
func find(row, hash []byte) (slot int, found bool) {
	oldest, when := 0, uint64(1<<64-1)
	for i := range ways {
		s := row[i*slotSize:]
		if bytes.Equal(s[:hashSize], hash) {
			return i, true
		}
		if w := binary.BigEndian.Uint64(s[hashSize+16:]); w < when {
			oldest, when = i, w
		}
	}
	return oldest, false
}

func decode(slot []byte) Entry {
	e := Entry{Count: binary.BigEndian.Uint64(slot[hashSize+8:])}
	if ns := binary.BigEndian.Uint64(slot[hashSize:]); ns != 0 {
		e.Time = time.Unix(0, int64(ns))
	}
	return e
}

func encode(slot, hash []byte, e Entry) {
	copy(slot, hash)
	var ns int64
	if !e.Time.IsZero() {
		ns = e.Time.UnixNano()
	}
	binary.BigEndian.PutUint64(slot[hashSize:], uint64(ns))
	binary.BigEndian.PutUint64(slot[hashSize+8:], e.Count)
	binary.BigEndian.PutUint64(slot[hashSize+16:], uint64(time.Now().UnixNano()))
}
