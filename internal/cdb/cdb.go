// Package cdb is a constant database: values by key in a file that is written once. Every
// answer, that a key is missing too, is covered by a checksum, and the file is read, not
// mapped, so one that is damaged or shrinks gives an error and never a wrong answer.
//
// The file: a header; records, each with a checksum; pages of 4096 octets, in which the hash of
// a key is looked for; what the caller wants to know of the whole (Meta). Numbers are
// little-endian. Checksums are CRC-32C and begin with the place of what they cover.
package cdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

const (
	magic      = "ppcdb001"
	headerSize = 72 // octets: magic, the numbers of the layout, checksum
	recordHead = 12 // octets: checksum, lengths of key and value
	pageSize   = 4096
	pageHead   = 16 // octets: checksum, count, zeroes
	slotSize   = 16 // octets: hash, place of the record
	pageSlots  = (pageSize - pageHead) / slotSize
	pageFill   = pageSlots / 2 // slots of a page on average

	// MaxSize bounds a key and a value, in octets.
	MaxSize = 1 << 26
)

// ErrBroken is in the error of everything that a file cannot answer because it is damaged, cut,
// or no constant database.
var ErrBroken = errors.New("the constant database is broken")

func broken(what string) error { return fmt.Errorf("%w: %s", ErrBroken, what) }

// layout is where the parts of a file are.
type layout struct {
	size    uint64 // octets of the file
	seed    uint64 // of the hash
	records uint64 // octets behind the header
	count   uint64 // records
	pages   uint64 // pages behind them
	meta    uint64 // octets behind those
	metaSum uint64 // checksum of them
}

func (l *layout) numbers() []*uint64 {
	return []*uint64{&l.size, &l.seed, &l.records, &l.count, &l.pages, &l.meta, &l.metaSum}
}

func (l *layout) pagesAt() int64 { return headerSize + int64(l.records) }
func (l *layout) metaAt() int64  { return l.pagesAt() + int64(l.pages)*pageSize }

// bytes is the header.
func (l *layout) bytes() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	for _, n := range l.numbers() {
		b = binary.LittleEndian.AppendUint64(b, *n)
	}
	return binary.LittleEndian.AppendUint64(b, uint64(sum(0, b)))
}

// read reads a header.
func (l *layout) read(b []byte) error {
	if len(b) != headerSize || string(b[:len(magic)]) != magic {
		return broken("no header")
	}
	if binary.LittleEndian.Uint64(b[headerSize-8:]) != uint64(sum(0, b[:headerSize-8])) {
		return broken("the header is damaged")
	}
	for i, n := range l.numbers() {
		*n = binary.LittleEndian.Uint64(b[len(magic)+8*i:])
	}
	const most = math.MaxInt64 / pageSize / 4
	if l.records > most || l.pages > most || l.meta > MaxSize || l.pages == 0 ||
		uint64(l.metaAt())+l.meta != l.size {
		return broken("the header contradicts itself")
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of what is at a place.
func sum(at int64, parts ...[]byte) uint32 {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], uint64(at))
	c := crc32.Update(0, castagnoli, place[:])
	for _, p := range parts {
		c = crc32.Update(c, castagnoli, p)
	}
	return c
}

// hash is FNV-1a, which the seed makes another one for each file.
func hash(seed uint64, key string) uint64 {
	const prime = 1099511628211
	h := seed ^ 14695981039346656037
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * prime
	}
	h ^= h >> 32 // pages are chosen by the rest of a division
	return h * prime
}

// readAt is ReadAt, whose end of file is a damage.
func readAt(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return broken("the file is too short")
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
