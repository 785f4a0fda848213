package floor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paperpath/test/bench"
)

// files are rows of messages that are created in tmp/, synced and renamed into new/: as accepting
// does it where the file system keeps the name with the file, and where it does not.
func (c *comparison) files() (rows []*bench.Row) {
	for _, atOnce := range []int{1, 10, 100} {
		n := max(c.less(500), atOnce)
		rows = append(rows, row("files/s", []bench.Entrant{
			entrant("one sync", n, func() (time.Duration, error) { return c.create(n, atOnce, false) }),
			entrant("and of the directory", n, func() (time.Duration, error) { return c.create(n, atOnce, true) }),
		}, "create 4 KiB, fsync, rename, %d at once", atOnce))
	}
	return rows
}

// create makes n files, so many at once.
func (c *comparison) create(n, atOnce int, directory bool) (took time.Duration, err error) {
	dir, err := os.MkdirTemp(c.dir, "files") // all of it is removed after the run
	if err != nil {
		return 0, err
	}
	for _, sub := range []string{"tmp", "new"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	errs := make([]error, atOnce)
	var wg sync.WaitGroup
	for w := range atOnce {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += atOnce {
				errs[w] = createOne(dir, i, directory)
			}
		})
	}
	wg.Wait()
	return time.Since(began), errors.Join(errs...)
}

func createOne(dir string, i int, directory bool) error {
	name := fmt.Sprint(i)
	f, err := os.Create(filepath.Join(dir, "tmp", name))
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4<<10))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := os.Rename(filepath.Join(dir, "tmp", name), filepath.Join(dir, "new", name)); err != nil || !directory {
		return err
	}
	d, err := os.Open(filepath.Join(dir, "new"))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
