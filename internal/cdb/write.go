package cdb

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Writer writes a file. Nothing is synced.
type Writer struct {
	f interface {
		io.Writer
		io.WriterAt
	}
	w     *bufio.Writer
	to    layout
	slots []slot
}

// slot is the hash of a key, and the place of its record.
type slot struct{ hash, at uint64 }

// Create begins to write an empty file.
func Create(f interface {
	io.Writer
	io.WriterAt
}) (*Writer, error) {
	var seed [8]byte
	rand.Read(seed[:]) // never fails (crypto/rand)
	w := &Writer{f: f, w: bufio.NewWriterSize(f, 256<<10)}
	w.to.seed = binary.LittleEndian.Uint64(seed[:])
	_, err := w.w.Write(make([]byte, headerSize))
	return w, err
}

// Add adds a record. A key may have several: they are found in the order in which they were
// added.
func (w *Writer) Add(key string, value []byte) error {
	if len(key) > MaxSize || len(value) > MaxSize {
		return fmt.Errorf("a key or a value has more than %d octets", MaxSize)
	}
	at := headerSize + int64(w.to.records)
	w.slots = append(w.slots, slot{hash(w.to.seed, key), uint64(at)})
	var head [recordHead]byte
	binary.LittleEndian.PutUint32(head[4:], uint32(len(key)))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(value)))
	binary.LittleEndian.PutUint32(head[:], sum(at, head[4:], []byte(key), value))
	w.w.Write(head[:])
	w.w.WriteString(key)
	if _, err := w.w.Write(value); err != nil { // bufio keeps the first error
		return err
	}
	w.to.records += uint64(recordHead + len(key) + len(value))
	w.to.count++
	return nil
}

// Finish writes the rest: without it the file is none. meta is for Reader.Meta.
func (w *Writer) Finish(meta []byte) error {
	w.to.pages = w.to.count/pageFill + 1
	if err := w.writePages(w.arrange()); err != nil {
		return err
	}
	w.to.meta = uint64(len(meta))
	w.to.metaSum = uint64(sum(w.to.metaAt(), meta))
	w.to.size = uint64(w.to.metaAt()) + w.to.meta
	w.w.Write(meta)
	if err := w.w.Flush(); err != nil {
		return err
	}
	_, err := w.f.WriteAt(w.to.bytes(), 0)
	return err
}

// arrange puts each slot into the page of its hash, or the next that has room. The pages are
// parts of one list, in the order of the slots' own pages.
func (w *Writer) arrange() [][]slot {
	slots := w.slots
	w.slots = nil
	home := func(s slot) uint64 { return s.hash % w.to.pages }
	slices.SortFunc(slots, func(a, b slot) int { // the places are in the order in which records were added
		return cmp.Or(cmp.Compare(home(a), home(b)), cmp.Compare(a.at, b.at))
	})
	own := make([]int, w.to.pages)
	for _, s := range slots {
		own[home(s)]++
	}
	over := 0 // from one page to the next; after two rounds, from the last one to the first
	for i := range 2 * len(own) {
		over = max(over+own[i%len(own)]-pageSlots, 0)
	}
	if over > 0 {
		slots = slices.Concat(slots[len(slots)-over:], slots[:len(slots)-over])
	}
	pages := make([][]slot, w.to.pages)
	for p := range pages {
		n := min(over+own[p], pageSlots, len(slots))
		over += own[p] - n
		pages[p], slots = slots[:n], slots[n:]
	}
	return pages
}

func (w *Writer) writePages(pages [][]slot) error {
	var page [pageSize]byte
	for n, slots := range pages {
		clear(page[:])
		binary.LittleEndian.PutUint32(page[4:], uint32(len(slots)))
		for i, s := range slots {
			binary.LittleEndian.PutUint64(page[pageHead+i*slotSize:], s.hash)
			binary.LittleEndian.PutUint64(page[pageHead+i*slotSize+8:], s.at)
		}
		binary.LittleEndian.PutUint32(page[:], sum(int64(n), page[4:]))
		if _, err := w.w.Write(page[:]); err != nil {
			return err
		}
	}
	return nil
}
