package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"paperpath/internal/dir"
)

// trials are all properties of one directory, in the order in which a message needs them.
func trials() []attempt {
	return []attempt{
		{"names with colon, comma and =", false, tryNames},
		{"names of 255 octets", false, tryLongNames},
		{"capitals make another name", true, tryCapitals},
		{"a new file is made by one only", false, tryExclusive},
		{"mode 0600 stays", false, tryMode},
		{"fsync of a file", false, trySync},
		{"fsync of a directory", false, trySyncDir},
		{"syncfs", true, trySyncAll},
		{"link gives a second name", false, tryLink},
		{"link never replaces, one wins", false, tryLinkRace},
		{"rename moves the file itself", false, tryRename},
		{"rename in place of a file is never seen half done", false, tryReplace},
		{"rename without replacing", true, tryNoReplace},
		{"a removed file stays readable where it is open", false, tryRemoved},
		{"lines appended by several come whole", false, tryAppend},
		{"flock keeps another process out", false, tryLock},
		{"times can be set", false, tryTimes},
		{"changes move ctime", false, tryChanges},
		{"the clock agrees with that of this machine", true, tryClock},
		{"directories tell files from others", true, tryTypes},
		{"files without a name", true, tryUnnamed},
		{"inotify tells of new names", true, tryNotify},
	}
}

func tryNames(_ *trial, d string) (string, error) {
	_, err := putFile(d, "1764000000.M000001R0123456789abcdef.mx,S=1,W=2:2,FS", "x")
	return "", err
}

func tryLongNames(_ *trial, d string) (string, error) {
	name := strings.Repeat("n", 255)
	if _, err := putFile(d, name, "x"); err != nil {
		return "", err
	}
	return "", onlyName(d, name)
}

// onlyName wants exactly this name in a directory.
func onlyName(d string, want string) error {
	list, err := os.ReadDir(d)
	if err == nil && (len(list) != 1 || list[0].Name() != want) {
		err = fmt.Errorf("the directory has %d names, and not just %.20q", len(list), want)
	}
	return err
}

func tryCapitals(_ *trial, d string) (string, error) {
	if _, err := putFile(d, "junk", "1"); err != nil {
		return "", err
	}
	if _, err := os.Lstat(filepath.Join(d, "JUNK")); err == nil {
		return "", errors.New("junk and JUNK are one name")
	}
	return "", nil
}

// race has several do the same at once; do reports whether it was the one who did it.
func race(do func(i int) (won bool, err error)) error {
	const runners = 8
	var wg sync.WaitGroup
	var wins, failed [runners]error
	won := errors.New("won")
	for i := range runners {
		wg.Go(func() {
			is, err := do(i)
			if failed[i] = err; is {
				wins[i] = won
			}
		})
	}
	wg.Wait()
	n := 0
	for _, w := range wins {
		if w != nil {
			n++
		}
	}
	for _, err := range failed { // of all the same
		if err != nil {
			return err
		}
	}
	if n != 1 {
		return fmt.Errorf("%d of %d believe that they did it", n, runners)
	}
	return nil
}

// onlyExists takes fs.ErrExist for "somebody else was quicker".
func onlyExists(err error) (won bool, failure error) {
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func tryExclusive(_ *trial, d string) (string, error) {
	return "", race(func(int) (bool, error) {
		f, err := os.OpenFile(filepath.Join(d, "one"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			f.Close()
		}
		return onlyExists(err)
	})
}

func tryLink(_ *trial, d string) (string, error) {
	a, err := putFile(d, "a", "text")
	if err != nil {
		return "", err
	}
	b := filepath.Join(d, "b")
	if err := os.Link(a, b); err != nil {
		return "", err
	}
	if n, err := links(b); err != nil || n != 2 {
		return "", errors.Join(err, fmt.Errorf("a file with two names has %d links", n))
	}
	if err := os.Remove(a); err != nil {
		return "", err
	}
	if n, err := links(b); err != nil || n != 1 {
		return "", errors.Join(err, fmt.Errorf("a file with one name has %d links", n))
	}
	return "", holds(b, "text")
}

func links(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return uint64(st.Nlink), err
}

func tryLinkRace(_ *trial, d string) (string, error) {
	for i := range 8 {
		if _, err := putFile(d, fmt.Sprint(i), fmt.Sprint(i)); err != nil {
			return "", err
		}
	}
	err := race(func(i int) (bool, error) {
		return onlyExists(os.Link(filepath.Join(d, fmt.Sprint(i)), filepath.Join(d, "one")))
	})
	return "", err
}

func tryRename(_ *trial, d string) (string, error) {
	a, err := putFile(d, "a", "text")
	if err != nil {
		return "", err
	}
	var before, after unix.Stat_t
	b := filepath.Join(d, "b")
	if err := errors.Join(unix.Lstat(a, &before), os.Rename(a, b), unix.Lstat(b, &after)); err != nil {
		return "", err
	}
	if before.Ino != after.Ino || before.Mtim != after.Mtim || before.Size != after.Size {
		return "", errors.New("the file is another one afterwards")
	}
	return "", onlyName(d, "b")
}

// tryReplace renames files to one name while another goroutine reads that.
func tryReplace(_ *trial, d string) (string, error) {
	at, err := putFile(d, "at", "0")
	if err != nil {
		return "", err
	}
	done, read := make(chan struct{}), make(chan error)
	go func() {
		for {
			text, err := os.ReadFile(at)
			if err != nil || len(text) != 1 {
				read <- fmt.Errorf("a reader found %.20q, %w", text, errors.Join(err, errors.New("in the middle of a rename")))
				return
			}
			select {
			case <-done:
				read <- nil
				return
			default:
			}
		}
	}()
	for i := 0; i < 200 && err == nil; i++ {
		var next string
		if next, err = putFile(d, "next", fmt.Sprint(i%10)); err == nil {
			err = os.Rename(next, at)
		}
	}
	close(done)
	return "", errors.Join(err, <-read)
}

func tryNoReplace(_ *trial, d string) (string, error) {
	a, err := putFile(d, "a", "a")
	if err != nil {
		return "", err
	}
	b, err := putFile(d, "b", "b")
	if err != nil {
		return "", err
	}
	noReplace := func(from, to string) error {
		return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	}
	err = noReplace(a, b)
	switch {
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS):
		return "", errors.New("there is no RENAME_NOREPLACE: link and unlink do it")
	case !errors.Is(err, fs.ErrExist):
		return "", fmt.Errorf("a rename onto a file ended with %v", err)
	}
	if err := holds(b, "b"); err != nil {
		return "", err
	}
	return "", noReplace(a, filepath.Join(d, "c"))
}

func tryUnnamed(_ *trial, d string) (string, error) {
	fd, err := unix.Open(d, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return "", fmt.Errorf("O_TMPFILE: %w: the file has a name for an instant", err)
	}
	return "", unix.Close(fd)
}

func tryTypes(_ *trial, d string) (string, error) {
	if _, err := putFile(d, "file", "x"); err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(d, "dir"), 0o700); err != nil {
		return "", err
	}
	open, err := dir.Open(d)
	if err != nil {
		return "", err
	}
	defer open.Close()
	var names strings.Builder
	if err := open.AppendRegular(&names); err != nil {
		return "", err
	}
	if names.String() != "file\x00" {
		return "", fmt.Errorf("the files are said to be %q", names.String())
	}
	return "", nil
}
