package relay

import (
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
)

// aText is a message of 4 KiB as it is in the spool.
func aText() *io.SectionReader {
	text := "From: a@example.net\nTo: b@far.example\nSubject: s\nDate: Sun, 22 Nov 2026 20:12:59 +0000\n\n" +
		strings.Repeat(strings.Repeat("x", 63)+"\n", 64)
	return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
}

// passText does with a text what an attempt does.
func passText(text *io.SectionReader) error {
	m := &Message{Content: loaded(text)}
	if err := m.measure(); err != nil {
		return err
	}
	m.optionalTLS()
	_, err := io.Copy(io.Discard, m.cleaned())
	return err
}

// TestTextCost bounds the memory that a text costs, which depends on its size alone. The least
// of some runs counts: the race detector lets pools lose what they hold now and then.
func TestTextCost(t *testing.T) {
	text := aText()
	octets, allocs := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for range 200 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := passText(text); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		octets = min(octets, after.TotalAlloc-before.TotalAlloc)
		allocs = min(allocs, after.Mallocs-before.Mallocs)
	}
	t.Logf("a text of %d octets costs %d octets in %d allocations", text.Size(), octets, allocs)
	if octets > 8<<10+2*uint64(text.Size()) || allocs > 30 {
		t.Error("that is too much")
	}
}

func BenchmarkText(b *testing.B) {
	text := aText()
	b.ReportAllocs()
	b.SetBytes(text.Size())
	for range b.N {
		if err := passText(text); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzShape: a text is measured as if it were read octet by octet, whatever the pieces.
func FuzzShape(f *testing.F) {
	long := strings.Repeat("x", 998)
	for _, s := range []string{"", "a: b\r\n\r\nc\r\n", "\xe4: b\r\n\r\nc\r\n", "a: b\r\n\r\n\xe4\r\n", "\r\n" + long + "\r\n",
		"\r\n" + long + "y\r\n", "\r\n\r\n\xff\r\n"} {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, piece int) {
		wire, err := io.ReadAll(newCleaner(strings.NewReader(s), int64(len(s))))
		if err != nil {
			t.Fatal(err)
		}
		want := shape{octets: int64(len(wire))}
		for n, line := range strings.SplitAfter(string(wire), "\r\n") {
			header := !strings.Contains("\r\n"+strings.Join(strings.SplitAfter(string(wire), "\r\n")[:n], ""), "\r\n\r\n")
			beyond := strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 })
			want.utf8Header, want.eightBit = want.utf8Header || beyond && header, want.eightBit || beyond && !header
			want.long = want.long || len(line) > 998+len("\r\n")
		}
		got := shape{}
		by := surveyor{shape: &got, header: true}
		for size := 1 + (piece&0x7fffffff)%20; len(wire) > 0; {
			n := min(size, len(wire))
			by.take(wire[:n])
			wire = wire[n:]
		}
		if got != want {
			t.Fatalf("%q: %+v, want %+v", s, got, want)
		}
	})
}
