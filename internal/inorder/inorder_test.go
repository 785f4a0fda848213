package inorder

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	for _, n := range []int{0, 1, piece, piece + 1, 20*piece + 7} {
		var want strings.Builder
		for i := range n {
			fmt.Fprintln(&want, i)
		}
		var out bytes.Buffer
		err := Write(&out, n, func(b []byte, i int) ([]byte, error) { return fmt.Appendln(b, i), nil })
		if err != nil || out.String() != want.String() {
			t.Errorf("%d items: %d octets of %d, %v", n, out.Len(), want.Len(), err)
		}
	}
}

// full is a file on a disk that has room for so many octets.
type full struct{ room int }

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	odd := errors.New("odd")
	err := Write(&full{1 << 30}, 9*piece, func(b []byte, i int) ([]byte, error) {
		if i == 5*piece+3 {
			return b, odd
		}
		return append(b, 'x'), nil
	})
	if !errors.Is(err, odd) {
		t.Error(err)
	}
	if err := Write(&full{3 * piece}, 9*piece, func(b []byte, _ int) ([]byte, error) { return append(b, 'x'), nil }); !errors.Is(err, errFull) {
		t.Error(err)
	}
}
