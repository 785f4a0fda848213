package dir

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// More names than one call of the kernel gives, of every length.
func TestAppendRegular(t *testing.T) {
	d := open(t)
	var want []string
	for i := range 3000 {
		name := fmt.Sprintf("%04d%s", i, strings.Repeat("x", i%252))
		put(t, d, name, "")
		want = append(want, name)
	}
	names := new(strings.Builder)
	if err := d.AppendRegular(names); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(names.String(), "\x00"), "\x00")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d names of %d are the same", len(got), len(want))
	}
}

// A file system that does not say what a name is, and bytes that are no entry.
func TestEntries(t *testing.T) {
	d := open(t)
	put(t, d, "file", "")
	if err := unix.Mkfifo(d.Join("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	entry := func(kind byte, name string) []byte {
		e := make([]byte, int(direntName)+len(name)+1)
		binary.NativeEndian.PutUint16(e[direntLength:], uint16(len(e)))
		e[direntType] = kind
		copy(e[direntName:], name)
		return e
	}
	names := new(strings.Builder)
	all := slices.Concat(entry(unix.DT_DIR, "."), entry(unix.DT_UNKNOWN, "file"), entry(unix.DT_UNKNOWN, "fifo"),
		entry(unix.DT_UNKNOWN, "gone"), entry(unix.DT_LNK, "link"), entry(unix.DT_REG, "other"))
	if err := d.appendEntries(names, all); err != nil || names.String() != "file\x00other\x00" {
		t.Errorf("%q, %v", names, err)
	}
	for n := 1; n < len(all); n++ {
		d.appendEntries(new(strings.Builder), all[:n]) // no panic
	}
	if err := d.appendEntries(names, make([]byte, 30)); err == nil {
		t.Error("an entry of no length was taken")
	}
}
