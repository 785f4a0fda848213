package cdb

import (
	"bufio"
	"encoding/binary"
	"io"
)

// Reader reads a file. Its methods may be called concurrently.
type Reader struct {
	f    io.ReaderAt
	at   layout
	meta []byte
}

// Open reads the header of a file of that size.
func Open(f io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{f: f}
	var head [headerSize]byte
	if err := readAt(f, head[:], 0); err != nil {
		return nil, err
	}
	if err := r.at.read(head[:]); err != nil {
		return nil, err
	}
	if int64(r.at.size) != size {
		return nil, broken("the file has another size")
	}
	r.meta = make([]byte, r.at.meta)
	if err := readAt(f, r.meta, r.at.metaAt()); err != nil {
		return nil, err
	}
	if uint64(sum(r.at.metaAt(), r.meta)) != r.at.metaSum {
		return nil, broken("what it says of itself is damaged")
	}
	return r, nil
}

// Meta is what Finish got.
func (r *Reader) Meta() []byte { return r.meta }

// Len is how many records there are.
func (r *Reader) Len() int { return int(r.at.count) }

// page reads a page and returns its slots.
func (r *Reader) page(n uint64, buf *[pageSize]byte) (slots []byte, err error) {
	if err := readAt(r.f, buf[:], r.at.pagesAt()+int64(n)*pageSize); err != nil {
		return nil, err
	}
	count := binary.LittleEndian.Uint32(buf[4:])
	if binary.LittleEndian.Uint32(buf[:]) != sum(int64(n), buf[4:]) || count > pageSlots {
		return nil, broken("a page is damaged")
	}
	return buf[pageHead : pageHead+int(count)*slotSize], nil
}

// Get returns the values of a key.
func (r *Reader) Get(key string) (values [][]byte, err error) {
	h := hash(r.at.seed, key)
	var buf [pageSize]byte
	for i := range r.at.pages {
		slots, err := r.page((h%r.at.pages+i)%r.at.pages, &buf)
		if err != nil {
			return nil, err
		}
		for s := slots; len(s) > 0; s = s[slotSize:] {
			if binary.LittleEndian.Uint64(s) != h {
				continue
			}
			k, value, err := r.record(int64(binary.LittleEndian.Uint64(s[8:])))
			if err != nil {
				return nil, err
			}
			if k == key {
				values = append(values, value)
			}
		}
		if len(slots) < pageSlots*slotSize {
			break
		}
	}
	return values, nil
}

// Any returns a record, the same for the same n; ok is false if there is none.
func (r *Reader) Any(n uint64) (key string, value []byte, ok bool, err error) {
	var buf [pageSize]byte
	for i := range r.at.pages {
		slots, err := r.page((n%r.at.pages+i)%r.at.pages, &buf)
		if err != nil {
			return "", nil, false, err
		}
		if count := uint64(len(slots) / slotSize); count > 0 {
			at := n / r.at.pages % count * slotSize
			key, value, err = r.record(int64(binary.LittleEndian.Uint64(slots[at+8:])))
			return key, value, err == nil, err
		}
	}
	return "", nil, false, nil
}

// record reads the record at a place.
func (r *Reader) record(at int64) (key string, value []byte, err error) {
	end := r.at.pagesAt()
	if at < headerSize || at > end-recordHead {
		return "", nil, broken("a record is not where it should be")
	}
	buf := make([]byte, min(256, end-at)) // most are shorter
	if err := readAt(r.f, buf, at); err != nil {
		return "", nil, err
	}
	klen, size, err := r.lengths(at, buf)
	if err != nil {
		return "", nil, err
	}
	if more := size - int64(len(buf)); more > 0 {
		buf = append(buf, make([]byte, more)...)
		if err := readAt(r.f, buf[size-more:], at+size-more); err != nil {
			return "", nil, err
		}
	}
	return checked(at, buf[:size], klen)
}

// lengths returns those of the key and of the whole of the record at a place.
func (r *Reader) lengths(at int64, head []byte) (klen int, size int64, err error) {
	k, v := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[8:])
	size = recordHead + int64(k) + int64(v)
	if size > r.at.pagesAt()-at {
		return 0, 0, broken("a record is too long")
	}
	return int(k), size, nil
}

// checked takes a record apart.
func checked(at int64, b []byte, klen int) (key string, value []byte, err error) {
	if binary.LittleEndian.Uint32(b) != sum(at, b[4:]) {
		return "", nil, broken("a record is damaged")
	}
	return string(b[recordHead : recordHead+klen]), b[recordHead+klen:], nil
}

// Each calls do for each record, in the order in which they were added, until it returns false.
func (r *Reader) Each(do func(key string, value []byte) bool) error {
	end := r.at.pagesAt()
	in := bufio.NewReaderSize(io.NewSectionReader(r.f, headerSize, end-headerSize), 256<<10)
	for at := int64(headerSize); at < end; {
		head, err := in.Peek(recordHead)
		if err != nil {
			return broken("the file is too short")
		}
		klen, size, err := r.lengths(at, head)
		if err != nil {
			return err
		}
		buf := make([]byte, size)
		if _, err := io.ReadFull(in, buf); err != nil {
			return broken("the file is too short")
		}
		key, value, err := checked(at, buf, klen)
		if err != nil {
			return err
		}
		if !do(key, value) {
			return nil
		}
		at += size
	}
	return nil
}
