package cdb

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
)

// made writes a file of n records, some keys of which have two, and returns its bytes.
func made(t testing.TB, n int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := Create(f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Add(fmt.Sprintf("key%d", i), fmt.Appendf(nil, "value %d", i)); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			w.Add(fmt.Sprintf("key%d", i), bytes.Repeat([]byte("more "), i%100))
		}
	}
	if err := w.Finish([]byte("all of it")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func open(data []byte) (*Reader, error) { return Open(bytes.NewReader(data), int64(len(data))) }

// right reports whether every answer about the n keys is right; an error is one that is not
// wrong.
func right(r *Reader, n int) error {
	for i := range n + 20 {
		values, err := r.Get(fmt.Sprintf("key%d", i))
		switch {
		case errors.Is(err, ErrBroken):
			continue
		case err != nil:
			return err
		case i >= n && len(values) > 0:
			return fmt.Errorf("key%d is there", i)
		case i >= n:
			continue
		case len(values) == 0 || string(values[0]) != fmt.Sprintf("value %d", i):
			return fmt.Errorf("key%d: %q", i, values)
		case (len(values) == 2) != (i%7 == 0):
			return fmt.Errorf("key%d has %d values", i, len(values))
		}
	}
	return nil
}

func TestThereAndBack(t *testing.T) {
	for _, n := range []int{0, 1, 2, 254, 255, 256, 5000} {
		r, err := open(made(t, n))
		if err != nil {
			t.Fatal(n, err)
		}
		if err := right(r, n); err != nil {
			t.Error(n, err)
		}
		if string(r.Meta()) != "all of it" || r.Len() != n+(n+6)/7 {
			t.Errorf("%d: %q %d", n, r.Meta(), r.Len())
		}
		seen := 0
		if err := r.Each(func(key string, _ []byte) bool { seen++; return true }); err != nil || seen != r.Len() {
			t.Errorf("%d: each %d, %v", n, seen, err)
		}
		for i := range uint64(50) {
			key, _, ok, err := r.Any(i)
			again, _, _, _ := r.Any(i)
			if ok != (n > 0) || err != nil || key != again {
				t.Errorf("%d: any %q %q %v %v", n, key, again, ok, err)
			}
		}
	}
}

// Keys whose pages are full are found in the next ones.
func TestFullPages(t *testing.T) {
	w := &Writer{}
	w.to.pages = 3
	for i := range 2*pageSlots + 5 {
		w.slots = append(w.slots, slot{hash: 2, at: uint64(i)})
	}
	pages := w.arrange()
	if len(pages[2]) != pageSlots || len(pages[0]) != pageSlots || len(pages[1]) != 5 || pages[0][0].at != pageSlots {
		t.Errorf("%d %d %d", len(pages[0]), len(pages[1]), len(pages[2]))
	}
}

// Whatever is wrong with a file, no answer is.
func TestDamage(t *testing.T) {
	const n = 300
	whole := made(t, n)
	noticed := 0
	try := func(what string, data []byte) {
		r, err := open(data)
		if err == nil {
			if err = right(r, n); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if err := r.Each(func(string, []byte) bool { return true }); err == nil {
				return
			}
		} else if !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", what, err)
		}
		noticed++
	}
	random := rand.New(rand.NewSource(1))
	for range 300 {
		data := bytes.Clone(whole)
		at := random.Intn(len(data))
		data[at] ^= 1 << random.Intn(8)
		try(fmt.Sprintf("bit in %d", at), data)
		try(fmt.Sprintf("cut at %d", at), whole[:at])
		data = bytes.Clone(whole)
		clear(data[at:min(at+4096, len(data))])
		try(fmt.Sprintf("zeroes at %d", at), data)
		data = bytes.Clone(whole)
		copy(data[at:], whole[random.Intn(len(data)):])
		try(fmt.Sprintf("moved to %d", at), data)
	}
	if noticed < 400 {
		t.Errorf("only %d of 1200 damages were noticed", noticed)
	}
}

// shrinking is a file that has become shorter since it was opened.
type shrinking struct {
	*bytes.Reader
	size int64
}

func (s *shrinking) ReadAt(p []byte, at int64) (int, error) {
	if at >= s.size {
		return 0, os.ErrClosed
	}
	return s.Reader.ReadAt(p[:min(int64(len(p)), s.size-at)], at)
}

func TestShrinks(t *testing.T) {
	data := made(t, 1000)
	f := &shrinking{bytes.NewReader(data), int64(len(data))}
	r, err := Open(f, f.size)
	if err != nil {
		t.Fatal(err)
	}
	f.size = 20000
	if err := right(r, 1000); err != nil {
		t.Error(err)
	}
	if _, err := r.Get("key1"); !errors.Is(err, ErrBroken) {
		t.Error(err)
	}
}

// FuzzOpen reads what may be a database: no bytes make it panic, or answer with more than the
// file has.
func FuzzOpen(f *testing.F) {
	f.Add(made(f, 3), "key1")
	f.Add([]byte(magic), "")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		r, err := open(data)
		if err != nil {
			if !errors.Is(err, ErrBroken) {
				t.Fatal(err)
			}
			return
		}
		values, err := r.Get(key)
		if err != nil && !errors.Is(err, ErrBroken) {
			t.Fatal(err)
		}
		for _, v := range values {
			if len(v) > len(data) {
				t.Fatal("a value is longer than the file")
			}
		}
		r.Any(uint64(len(key)))
		r.Each(func(string, []byte) bool { return true })
	})
}

func BenchmarkGet(b *testing.B) {
	r, err := open(made(b, 100000))
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := r.Get(fmt.Sprintf("key%d", i%100000)); err != nil {
			b.Fatal(err)
		}
	}
}
