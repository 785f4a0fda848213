package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/cdb"
)

// many are n rows of control/aliases; every seventh is for a whole domain.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "user%d@example.net: target%d@example.org\n", i, i)
	}
	return b.String()
}

// settledFixture is a home with run/, whose files have not changed for a minute.
func settledFixture(t *testing.T, files map[string]string) *fixture {
	t.Helper()
	f := newFixture(t, files)
	f.clock = time.Now()
	if err := os.Mkdir(filepath.Join(f.home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		f.touch(name, time.Minute)
	}
	return f
}

// reopened is another process with the same home.
func (f *fixture) reopened() *Control { return Open(f.home, time.Now) }

func (f *fixture) database(table string) string { return filepath.Join(f.home, databaseName(table)) }

// isStored reports whether a table is looked up in a database.
func isStored(t *testing.T, c *Control, table string) bool {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cache[table].db != nil
}

func wantAlias(t *testing.T, c *Control, address, want string) {
	t.Helper()
	a, err := c.Alias(address)
	got := ""
	if a != nil {
		got = a.String() + " " + a.Where
	}
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s: %q, want %q", address, got, want)
	}
}

// A table of more than 10,000 rows has a database, whose answers are those of the file: its
// broken rows, duplicates and ends too.
func TestStoredAsRead(t *testing.T) {
	const n = storedFrom + 500
	text := "# first\nbroken one\nuser1@example.net: a@x, b@y\nbad@example.net: |\n \nlist: a,\n b,\n\tc\n" +
		many(n) + "USER5@example.net: again@x\nuser6@example.net: target6@example.org\n@example.net: all@example.org\nlast@example.net: x@y"
	f := settledFixture(t, map[string]string{"aliases": text, "domains": "example.net\n"})
	kept := aliasesTable()
	whole, err := kept.read(f.Control, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := load(f.Control, aliasesFile(f.Control))
	if err != nil || got.db == nil {
		t.Fatal(got.db, err)
	}
	if _, err := os.Stat(f.database("aliases")); err != nil {
		t.Fatal(err)
	}
	for _, key := range append(whole.keys, "bad@example.net", "nobody@example.net", "user5@example.net", "last@example.net", "") {
		a, aerr := whole.row(key)
		b, berr := got.row(key)
		if fmt.Sprint(a, aerr) != fmt.Sprint(b, berr) {
			t.Fatalf("%s: %v %v in the file, %v %v in the database", key, a, aerr, b, berr)
		}
	}
	if fmt.Sprint(got.broken, got.hiding, got.before) != fmt.Sprint(whole.broken, whole.hiding, whole.before) {
		t.Errorf("%v\n%v", got.broken, whole.broken)
	}
	if faults, err := got.allFaults(); err != nil || fmt.Sprint(faults) != fmt.Sprint(whole.faults) {
		t.Errorf("%v, %v\n%v", faults, err, whole.faults)
	}
	if fmt.Sprint(got.list()) != fmt.Sprint(whole.list()) || fmt.Sprint(got.first()) != fmt.Sprint(whole.first()) {
		t.Error("the lists differ")
	}
	var keys []string
	got.eachRow(func(key string, _ Alias) { keys = append(keys, key) })
	if fmt.Sprint(keys) != fmt.Sprint(whole.keys) {
		t.Error("the keys differ")
	}
	for i := range uint32(100) {
		if a := got.some(i * 97); a == nil || a.Name == "" {
			t.Fatal(i, a)
		}
	}
	wantError(t, func() error { _, err := f.Alias("BAD@example.net"); return err }(), "control/aliases:4: target")
	wantError(t, f.AliasHidden(), "control/aliases:2: no colon")
}

// Rows of which several make one: those of a database say the same.
func TestStoredMerged(t *testing.T) {
	var b strings.Builder
	for i := range storedFrom + 10 {
		fmt.Fprintf(&b, "user%d@example.net: one@x.example @two.example\n", i)
	}
	b.WriteString("@three.example: user7@example.net user8@example.net\nlocal/www: a@x.example\n")
	f := settledFixture(t, map[string]string{"senders": b.String()})
	for login, want := range map[string]string{"user7@example.net": "[one@x.example @two.example @three.example] control/senders:8, control/senders:10011",
		"USER9@example.net": "[one@x.example @two.example] control/senders:10", "local/www": "[a@x.example] control/senders:10012", "none": "[] "} {
		patterns, source, err := f.Senders(login)
		if got := fmt.Sprint(patterns, " ", source); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", login, got, err, want)
		}
	}
	if !isStored(t, f.Control, "senders") {
		t.Error("not stored")
	}
	s, _, _ := load(f.Control, sendersFile(f.Control))
	if len(s.list()) != storedFrom+11 {
		t.Error(len(s.list()))
	}
}

// Of users everything that is known of all of them is in the database too, and nobody reads it
// who may not read the table.
func TestStoredUsers(t *testing.T) {
	var b strings.Builder
	b.WriteString("checkpassword:/bin/true x\n")
	for i := range storedFrom + 10 {
		fmt.Fprintf(&b, "user%d@example.net:{SCRAM-SHA-256}4096,c2FsdA==,a,b:1:2::mail/u%d::quota_rule=*:storage=1G\n", i, i)
	}
	f := settledFixture(t, map[string]string{"users": b.String(), "domains": "example.net\n"})
	before := f.reopened()
	for range 2 {
		u, err := before.User("USER77@example.net")
		if err != nil || u == nil || u.Home != f.home+"/mail/u77" || u.Where != "control/users:79" || u.UID != 1 {
			t.Fatal(u, err)
		}
		if first, err := before.FirstUser(); first != "user0@example.net" || err != nil {
			t.Error(first, err)
		}
		if p, err := before.CheckPassword(); fmt.Sprint(p) != "[/bin/true x]" || err != nil {
			t.Error(p, err)
		}
		if costs, err := before.ScramCosts(); costs[ScramCost{4096, 4}] != storedFrom+10 || err != nil {
			t.Error(costs, err)
		}
		if s, err := before.Schemes(); fmt.Sprint(s) != "[CHECKPASSWORD]" || err != nil {
			t.Error(s, err)
		}
		if u, err := before.SomeUser(12345); u == nil || err != nil {
			t.Error(u, err)
		}
		if all, err := before.Users(); len(all) != storedFrom+10 || err != nil {
			t.Error(len(all), err)
		}
		if !isStored(t, before, "users") {
			t.Error("not stored")
		}
		before = f.reopened()
	}
	if info, err := os.Stat(f.database("users")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if !before.UsersProgram() {
		t.Error("no program")
	}
}

// The database is made anew when the table is another one, and whenever the file in run/ cannot
// be relied on; nobody else's is.
func TestStoredAnew(t *testing.T) {
	f := settledFixture(t, map[string]string{"aliases": many(storedFrom + 1), "domains": "example.net\n"})
	db := f.database("aliases")
	const first = "target7@example.org control/aliases:8"
	wantAlias(t, f.Control, "user7@example.net", first)
	made, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	inode := func() uint64 {
		s, err := stat(db)
		if err != nil {
			return 0
		}
		return s.ino
	}
	was := inode()
	wantAlias(t, f.reopened(), "user8@example.net", "target8@example.org control/aliases:9")
	if inode() != was {
		t.Error("it was made twice")
	}
	for about, spoil := range map[string]func() error{
		"missing":          func() error { return os.Remove(db) },
		"empty":            func() error { return os.Truncate(db, 0) },
		"cut":              func() error { return os.Truncate(db, int64(len(made)/2)) },
		"others may write": func() error { return os.Chmod(db, 0o666) },
		"half made":        func() error { return os.Rename(db, db+".tmp") },
		"a directory":      func() error { os.Remove(db + ".tmp"); os.Remove(db); return os.Symlink("/etc/passwd", db) },
		"another version": func() error {
			return os.WriteFile(db, []byte(strings.Replace(string(made), `"Version":1`, `"Version":9`, 1)), 0o600)
		},
	} {
		if err := spoil(); err != nil {
			t.Fatal(about, err)
		}
		c := f.reopened()
		wantAlias(t, c, "user7@example.net", first)
		wantAlias(t, c, "nobody@example.net", "")
		if inode() == was && about != "half made" || !isStored(t, c, "aliases") {
			t.Errorf("%s: it was not made anew", about)
		}
		was = inode()
	}
	f.write("aliases", many(storedFrom+2)+"user7x@example.net: y@z.example\n")
	f.touch("aliases", 30*time.Second)
	wantAlias(t, f.Control, "user7x@example.net", "y@z.example control/aliases:10003")
	if inode() == was {
		t.Error("the table has changed, the database has not")
	}
	f.write("aliases", many(10))
	f.touch("aliases", 20*time.Second)
	wantAlias(t, f.Control, "user7@example.net", first)
	wantAlias(t, f.Control, "user70@example.net", "")
	if isStored(t, f.Control, "aliases") {
		t.Error("a small table has a database")
	}
}

// A database that is damaged while it is open gives no wrong answer, and is made anew.
func TestStoredDamaged(t *testing.T) {
	for about, spoil := range map[string]func(path string, size int64) error{
		"shrinks": func(path string, _ int64) error { return os.Truncate(path, 100) },
		"zeroes": func(path string, size int64) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt(make([]byte, size-200), 100)
			return err
		},
	} {
		f := settledFixture(t, map[string]string{"aliases": many(storedFrom + 1), "domains": "example.net\n"})
		var told []string
		f.OnTrouble(func(op string, err error) { told = append(told, op+": "+err.Error()) })
		wantAlias(t, f.Control, "user7@example.net", "target7@example.org control/aliases:8")
		info, err := os.Stat(f.database("aliases"))
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(f.database("aliases"), info.Size()); err != nil {
			t.Fatal(err)
		}
		wantAlias(t, f.Control, "user8@example.net", "target8@example.org control/aliases:9")
		wantAlias(t, f.Control, "nobody@example.net", "")
		wantAlias(t, f.reopened(), "user9@example.net", "target9@example.org control/aliases:10")
		if len(told) != 1 || !strings.HasPrefix(told[0], "table database: run/table-aliases: "+cdb.ErrBroken.Error()) {
			t.Errorf("%s: %q", about, told)
		}
	}
}

// Where run/ cannot be written the process has a database of its own, and says so once.
func TestStoredPrivately(t *testing.T) {
	for _, about := range []string{"no run/", "a file in the way", "a link in the way"} {
		f := settledFixture(t, map[string]string{"aliases": many(storedFrom + 1), "domains": "example.net\n"})
		run := filepath.Join(f.home, "run")
		switch about {
		case "a link in the way":
			if err := os.Symlink(filepath.Join(f.home, "elsewhere"), f.database("aliases")+".tmp"); err != nil {
				t.Fatal(err)
			}
		default:
			os.Remove(run)
			if about != "no run/" {
				os.WriteFile(run, nil, 0o600)
			}
		}
		var told []string
		f.OnTrouble(func(op string, err error) { told = append(told, err.Error()) })
		wantAlias(t, f.Control, "user7@example.net", "target7@example.org control/aliases:8")
		wantAlias(t, f.Control, "nobody@example.net", "")
		if !isStored(t, f.Control, "aliases") || len(told) != 1 || !strings.HasPrefix(told[0], "run/table-aliases: ") {
			t.Errorf("%s: stored %v, %q", about, isStored(t, f.Control, "aliases"), told)
		}
	}
}

// A full disk is an error of the one who writes, and no database.
func TestStoredOnAFullDisk(t *testing.T) {
	f := settledFixture(t, map[string]string{"aliases": many(storedFrom)})
	state, err := f.stat("aliases")
	if err != nil {
		t.Fatal(err)
	}
	text, err := openText(f.path("aliases"), maxTable, state)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	db, err := writeDatabase(f.Control, aliasesFile(f.Control), text, full)
	if db != nil || !strings.Contains(err.Error(), "no space left") {
		t.Error(db, err)
	}
}

// Many processes that start at once make one database; each has its answers.
func TestStoredByMany(t *testing.T) {
	f := settledFixture(t, map[string]string{"aliases": many(storedFrom + 1), "domains": "example.net\n"})
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			c := f.reopened()
			wantAlias(t, c, "user7@example.net", "target7@example.org control/aliases:8")
			if !isStored(t, c, "aliases") {
				t.Error("not stored")
			}
		}()
	}
	wait.Wait()
	names, _ := filepath.Glob(filepath.Join(f.home, "run", "*"))
	if len(names) != 1 {
		t.Errorf("run/ has %v", names)
	}
}

// While somebody writes the table, what was there holds; a name that is not is waited for.
func TestStoredWhileWritten(t *testing.T) {
	f := settledFixture(t, map[string]string{"aliases": many(storedFrom + 1), "domains": "example.net\n"})
	wantAlias(t, f.Control, "user7@example.net", "target7@example.org control/aliases:8")
	f.clock = time.Now()
	f.write("aliases", many(storedFrom+1)+"new@example.net: x@y.example\n")
	f.touch("aliases", 0) // it took a while to write on a busy machine
	wantAlias(t, f.Control, "user8@example.net", "target8@example.org control/aliases:9")
	if f.slept != 0 {
		t.Error("it waited")
	}
	wantAlias(t, f.Control, "new@example.net", "x@y.example control/aliases:10002")
	if f.slept == 0 || f.slept > 2*time.Second {
		t.Error("it waited", f.slept)
	}
}
