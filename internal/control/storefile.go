package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/cdb"
	"paperpath/internal/dir"
)

// buildTime is how long to wait for another process that makes a database.
const buildTime = 5 * time.Minute

// OnTrouble makes lookups call report, at most once an hour for each table, for what they can do
// without, but not well: a database that cannot be written.
func (c *Control) OnTrouble(report func(op string, err error)) { c.trouble = report }

// tell reports a trouble with the database of a table.
func (c *Control) tell(table string, err error) {
	c.seenMu.Lock()
	due := c.trouble != nil && time.Since(c.told[table]) >= reportAgain
	if due {
		c.told[table] = time.Now()
	}
	c.seenMu.Unlock()
	if due {
		c.trouble("table database", err)
	}
}

// databaseName is the name of a database below the home.
func databaseName(table string) string { return "run/table-" + table }

// databaseName is the name of the database that this process can rely on: where run/ is shared by
// users, each has its own, for none may believe another program about its settings.
func (c *Control) databaseName(table string) string {
	name, me := databaseName(table), os.Geteuid()
	run, err := os.Stat(filepath.Join(c.home, "run"))
	if err != nil || me == 0 || me == ownerOf(run) || run.Mode().Perm()&0o020 == 0 {
		return name
	}
	return name + "." + strconv.Itoa(me)
}

// lookStored is look for the file of a table that has, or should have, a database; ok is false if
// it is to be read as any other. The caller holds mu.
func lookStored[T any](c *Control, f file[T], now stamp) (v T, got cached, ok bool) {
	if f.stored == nil || now.size < storedBytes || c.recording != nil || c.replayed != nil {
		return v, got, false
	}
	if c.fresh(now) { // somebody may be writing it; the rows of a moment ago still hold
		if had, ok := c.cache[f.name]; ok && had.db != nil {
			had.stamp = now
			v, _ := had.value.(T)
			return v, had, true
		}
		return v, got, false
	}
	db := c.openDatabase(f.name, now)
	if db == nil {
		if db = buildDatabase(c, f, now); db == nil {
			return v, got, false
		}
	}
	v, err := f.stored.open(db)
	if err != nil {
		c.tell(f.name, err)
		return v, got, false
	}
	got = cached{stamp: now, value: v, torn: db.Torn, db: db}
	c.cache[f.name] = got
	delete(c.young, f.name)
	if t, ok := any(v).(interface{ brokenRows() []brokenRow }); ok {
		c.forget(f.name, t.brokenRows())
	}
	return v, got, true
}

// openDatabase returns the database of a file in that state, nil if there is none that can be
// relied on. It is owned by somebody who could write the settings just as well.
func (c *Control) openDatabase(table string, of stamp) *database {
	if spoilt, ok := c.spoilt[table]; ok && spoilt == storedStampOf(of) {
		return nil
	}
	f, err := dir.OpenPath(filepath.Join(c.home, c.databaseName(table)), os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	db, err := c.readDatabase(f, table, of)
	if err != nil {
		f.Close()
		return nil
	}
	return db
}

// storedNow is openDatabase for one who does not hold mu.
func (c *Control) storedNow(table string, of stamp) *database {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.openDatabase(table, of)
}

// readDatabase reads what a file says of itself. It stays open until nobody refers to the database.
func (c *Control) readDatabase(f *os.File, table string, of stamp) (*database, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !c.trusts(info, table) {
		return nil, errors.New("somebody else could have written it")
	}
	r, err := cdb.Open(f, info.Size())
	if err != nil {
		return nil, err
	}
	d := &database{Reader: r, control: c}
	if err := json.Unmarshal(r.Meta(), &d.storedMeta); err != nil {
		return nil, err
	}
	if d.Version != storedVersion || d.Table != table || d.Of != storedStampOf(of) {
		return nil, errors.New("it is of another state of the table")
	}
	return d, nil
}

// trusts reports whether only we, root or the owner of the table can have written a file.
func (c *Control) trusts(info fs.FileInfo, table string) bool {
	owner, mode := ownerOf(info), info.Mode()
	if !mode.IsRegular() || mode.Perm()&0o022 != 0 {
		return false
	}
	if owner == 0 || owner == os.Geteuid() {
		return true
	}
	text, err := os.Stat(c.path(table))
	return err == nil && owner == ownerOf(text)
}

// buildDatabase makes the database of a file in that state, in run/ for all processes, or if that
// cannot be, in memory for this one. nil: the table is too small, or changes, or cannot be read.
func buildDatabase[T any](c *Control, f file[T], now stamp) *database {
	tmp, db := c.lockDatabase(f.name, now)
	if db != nil {
		return db // of another process, which was faster
	}
	text, err := openText(c.path(f.name), f.max, now)
	if err != nil {
		giveUp(tmp)
		return nil
	}
	defer text.Close()
	if !text.longer(storedFrom) {
		giveUp(tmp)
		return nil
	}
	defer debug.FreeOSMemory() // it took much more than it leaves
	if tmp != nil {
		if db, err = writeDatabase(c, f, text, tmp); err == nil {
			if err = publish(tmp, filepath.Join(c.home, c.databaseName(f.name))); err == nil {
				delete(c.spoilt, f.name)
				return db
			}
		}
		giveUp(tmp)
		// A row that makes the whole table unusable is no trouble of ours, nor is who writes it now.
		if isFileError(err) || errors.Is(err, errChanged) {
			return nil
		}
		c.tell(f.name, fmt.Errorf("%s: %w (each process makes its own)", c.databaseName(f.name), plain(err)))
	}
	fd, err := unix.MemfdCreate("table", unix.MFD_CLOEXEC)
	if err != nil {
		return nil
	}
	memory := os.NewFile(uintptr(fd), "(memory)")
	if db, err = writeDatabase(c, f, text, memory); err != nil {
		memory.Close()
		return nil
	}
	return db
}

func isFileError(err error) bool { return errors.As(err, new(*fileError)) }

// writeDatabase writes the rows of a table to a file, and reads what it then says.
func writeDatabase[T any](c *Control, f file[T], from *tableText, to *os.File) (*database, error) {
	out, err := cdb.Create(to)
	if err != nil {
		return nil, err
	}
	w := &rowWriter{Writer: out}
	if err := errors.Join(f.stored.write(from.lines, w), from.unchanged()); err != nil {
		return nil, err
	}
	w.meta.Torn = from.torn
	if err := w.finish(from.state, f.name); err != nil {
		return nil, err
	}
	size, err := to.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	r, err := cdb.Open(to, size)
	if err != nil {
		return nil, err
	}
	return &database{Reader: r, storedMeta: w.meta, control: c}, nil
}

// lockDatabase returns the locked and empty file that becomes the database of a table, or the
// database, if another process has made it meanwhile; neither if no file can be made.
func (c *Control) lockDatabase(table string, of stamp) (*os.File, *database) {
	path := filepath.Join(c.home, c.databaseName(table)+".tmp")
	for begin := time.Now(); time.Since(begin) < buildTime; time.Sleep(20 * time.Millisecond) {
		f, err := dir.OpenPath(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			c.tell(table, fmt.Errorf("%s: %w (each process makes its own)", c.databaseName(table), plain(err)))
			return nil, nil
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			continue
		}
		if !sameFile(f, path) { // it has become the database
			f.Close()
			if db := c.openDatabase(table, of); db != nil {
				return nil, db
			}
			continue
		}
		if db := c.openDatabase(table, of); db != nil {
			giveUp(f)
			return nil, db
		}
		if err := c.own(f, table); err != nil { // of somebody else, who may have it open
			os.Remove(path)
			f.Close()
			continue
		}
		return f, nil
	}
	c.tell(table, fmt.Errorf("%s: another process has been making it for %v", c.databaseName(table), buildTime))
	return nil, nil
}

// sameFile reports whether path is still the name of f.
func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// own empties a file that becomes a database, and lets those read it who may read the table.
func (c *Control) own(f *os.File, table string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	text, err := os.Stat(c.path(table))
	if err != nil {
		return err
	}
	me := os.Geteuid()
	if ownerOf(info) != me {
		return errors.New("it belongs to somebody else")
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	if me == 0 {
		if err := f.Chown(ownerOf(text), groupOf(text)); err != nil {
			return err
		}
	} else if groupOf(info) != groupOf(text) && f.Chown(-1, groupOf(text)) != nil {
		return f.Chmod(0o600)
	}
	return f.Chmod(text.Mode().Perm() & 0o644)
}

// publish makes a file durable and gives it its name.
func publish(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return unix.Flock(int(f.Fd()), unix.LOCK_UN)
}

// giveUp removes a file that does not become a database; nil: there is none.
func giveUp(f *os.File) {
	if f != nil {
		os.Remove(f.Name())
		f.Close()
	}
}

func ownerOf(info fs.FileInfo) int {
	st, _ := info.Sys().(*syscall.Stat_t)
	return int(st.Uid)
}

func groupOf(info fs.FileInfo) int {
	st, _ := info.Sys().(*syscall.Stat_t)
	return int(st.Gid)
}
