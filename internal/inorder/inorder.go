// Package inorder writes a long list with all processors, in its order.
package inorder

import (
	"errors"
	"io"
	"runtime"
	"sync"
)

// piece is how many items a goroutine formats before what it has is written.
const piece = 512

// Write writes what add appends for each of n items. add is called from several goroutines.
func Write(w io.Writer, n int, add func(b []byte, item int) ([]byte, error)) error {
	texts := make([][]byte, runtime.GOMAXPROCS(0))
	failed := make([]error, len(texts))
	for at := 0; at < n; {
		var wait sync.WaitGroup
		for k := range texts {
			from, to := min(at, n), min(at+piece, n)
			at = to
			wait.Go(func() {
				b := texts[k][:0]
				for i := from; i < to && failed[k] == nil; i++ {
					b, failed[k] = add(b, i)
				}
				texts[k] = b
			})
		}
		wait.Wait()
		if err := errors.Join(failed...); err != nil {
			return err
		}
		for _, b := range texts {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	return nil
}
