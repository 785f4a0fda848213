// Package ratelimit has a small table of counters that processes share: a file of fixed
// size that forgets the least recently written ones. Callers decide what is counted and
// how much is too much.
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

// The file: a header, then sets of slots. The hash of a key decides its set; in a full
// set the slot that was written longest ago is reused. The salt in the header keeps
// strangers from choosing keys that fall into one set.
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

// Entry is the record of a key; the caller decides what it means. A missing key has the
// zero Entry.
type Entry struct {
	Time  time.Time
	Count uint64
}

// Table is a file of counters. Its methods may be called concurrently, and by many
// processes.
type Table struct {
	path     string
	mode     os.FileMode
	fallback func(error) // called with the error each time memory is used; nil: it never is

	mu       sync.Mutex // flock does not exclude goroutines of one process
	f        *os.File
	looked   time.Time // at the path
	reserved *os.File  // f, once it is allocated
	salt     [saltSize]byte
	memory   *memory // used by this process in place of the file

	avoided    error // why the file is not used until then
	avoidUntil time.Time
}

// Open returns the table in the file path. The file is opened, and made, at
// its first use; nothing but its directory has to be there.
func Open(path string) *Table { return &Table{path: path, mode: 0o660} }

// OpenWithFallback is Open for what must be counted even if the file cannot be used:
// this process then counts in memory, for itself alone, and calls failed each time.
func OpenWithFallback(path string, failed func(error)) *Table {
	return &Table{path: path, mode: 0o660, fallback: failed}
}

// Update atomically replaces the entry of key by what change makes of it. It fails only
// if the file system does, or if a process holds the lock for too long; then change may
// or may not have been called, and the table is as it was or lacks that entry. The file
// is not synced: a power cut costs counts, nothing else.
func (t *Table) Update(key string, change func(Entry) Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.open()
	if err == nil {
		err = t.replace(t.f, t.salt, key, change)
		unix.Flock(int(t.f.Fd()), unix.LOCK_UN)
		if err != nil {
			t.avoid(err)
		}
	}
	if err == nil || t.fallback == nil {
		return err
	}
	t.fallback(err)
	m := t.inMemory()
	return t.replace(m, m.salt, key, change)
}

// replace does the work of Update in the file or in memory.
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
		return nil // reading makes no entry, and displaces none
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

// find returns the slot of hash in a set, or else the slot to reuse for it.
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
