package maildir

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sizedMailbox makes a mailbox with files of these names, below the Maildir.
func sizedMailbox(t *testing.T, names ...string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "Maildir")
	for _, folder := range []string{"", ".Junk", ".Trash", ".Trash.old", ".lists.go"} {
		if err := Create(filepath.Join(root, folder)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(root, name), []byte("1234567"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func sizeFileOf(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, sizeFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestQuotaIsCounted(t *testing.T) {
	root := sizedMailbox(t, "new/1.a,S=100", "cur/2.a,S=50,W=60:2,S", "cur/3.a:2,", "cur/4.a,S=9:2,ST", ".Junk/cur/5.a,S=1000:2,",
		".Trash/cur/6.a,S=5000:2,", ".Trash.old/new/7.a,S=5000", ".lists.go/new/8.a,S=10000", "tmp/9.a,S=100000")
	if err := os.Symlink("/", filepath.Join(root, ".link")); err != nil {
		t.Fatal(err)
	}
	q := Quota{Octets: 20000, Messages: 10}
	used, fits, err := q.Room(root, 100, time.Now())
	if want := (Usage{100 + 50 + 7 + 1000 + 10000, 5}); used != want || !fits || err != nil {
		t.Errorf("%+v %v %v, want %+v", used, fits, err, want)
	}
	if got, want := sizeFileOf(t, root), "20000S,10C\n11157 5\n"; got != want {
		t.Errorf("maildirsize has %q, want %q", got, want)
	}
}

// TestQuotaFile: which files are believed, and which are made anew. The mailbox has one
// message of 100 octets.
func TestQuotaFile(t *testing.T) {
	const counted = "1000S,5C\n100 1\n"
	padded := "1000S,5C\n         100   1\n"
	for name, tt := range map[string]struct {
		file   string
		age    time.Duration
		octets int64
		fits   bool
		after  string
	}{
		"missing":                      {octets: 900, fits: true, after: counted},
		"missing, and too much":        {octets: 901, after: counted},
		"believed":                     {file: "1000S,5C\n50 1\n10 1\n", octets: 900, fits: true, after: "1000S,5C\n50 1\n10 1\n"},
		"of Courier":                   {file: padded, octets: 900, fits: true, after: padded},
		"another limit":                {file: "2000S,5C\n50 1\n", octets: 900, fits: true, after: counted},
		"no limit of messages":         {file: "1000S\n50 1\n", octets: 900, fits: true, after: counted},
		"negative":                     {file: "1000S,5C\n50 1\n-100 -1\n", octets: 900, fits: true, after: counted},
		"a line cut off":               {file: "1000S,5C\n50 1\n10", octets: 900, fits: true, after: counted},
		"a line that is none":          {file: "1000S,5C\n50 1\nfive 1\n", octets: 900, fits: true, after: counted},
		"three numbers":                {file: "1000S,5C\n50 1 1\n", octets: 900, fits: true, after: counted},
		"only a limit":                 {file: "1000S,5C\n", octets: 900, fits: true, after: counted},
		"empty":                        {file: "\n", octets: 900, fits: true, after: counted},
		"too long":                     {file: "1000S,5C\n" + strings.Repeat("1 0\n", 1300), octets: 900, fits: true, after: counted},
		"over, with changes":           {file: "1000S,5C\n900 1\n50 1\n", octets: 500, fits: true, after: counted},
		"over, just counted":           {file: "1000S,5C\n900 1\n", octets: 500, after: "1000S,5C\n900 1\n"},
		"over, counted long ago":       {file: "1000S,5C\n900 1\n", age: 16 * time.Minute, octets: 500, fits: true, after: counted},
		"too many messages":            {file: "1000S,5C\n100 5\n", octets: 1, after: "1000S,5C\n100 5\n"},
		"more than a number can count": {file: "1000S,5C\n99999999999999999999 1\n", octets: 900, fits: true, after: counted},
	} {
		t.Run(name, func(t *testing.T) {
			root := sizedMailbox(t, "new/1.a,S=100")
			if tt.file != "" {
				if err := os.WriteFile(filepath.Join(root, sizeFile), []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, fits, err := Quota{Octets: 1000, Messages: 5}.Room(root, tt.octets, time.Now().Add(tt.age))
			if fits != tt.fits || err != nil {
				t.Errorf("fits %v, %v", fits, err)
			}
			if got := sizeFileOf(t, root); got != tt.after {
				t.Errorf("maildirsize has %q, want %q", got, tt.after)
			}
		})
	}
}

// TestQuotaFileIsNoFile: nothing is followed, nothing waits.
func TestQuotaFileIsNoFile(t *testing.T) {
	root := sizedMailbox(t, "new/1.a,S=100")
	outside := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(outside, []byte("1000S\n0 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, sizeFile)); err != nil {
		t.Fatal(err)
	}
	used, fits, err := Quota{Octets: 1000}.Room(root, 1, time.Now())
	if used.Octets != 100 || !fits || err != nil {
		t.Errorf("%+v %v %v", used, fits, err)
	}
	if text, _ := os.ReadFile(outside); string(text) != "1000S\n0 0\n" {
		t.Errorf("the file behind the link has %q", text)
	}
}

// TestQuotaOfDeliveries: what is stored is counted, in folders too, and not in the trash.
func TestQuotaOfDeliveries(t *testing.T) {
	root := sizedMailbox(t)
	q := Quota{Octets: 1000}
	store := func(folder, key string) {
		t.Helper()
		d, err := Open(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		name, err := d.Store(key, func(w io.Writer) error { _, err := fmt.Fprint(w, "0123456789\n"); return err })
		if err == nil {
			err = d.CountQuota(name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	store("", "1.a") // nobody keeps a quota
	if HasQuota(root) {
		t.Error("a file was made")
	}
	if _, _, err := q.Room(root, 0, time.Now()); err != nil {
		t.Fatal(err)
	}
	store("", "2.a")
	store(".Junk", "3.a")
	store(".Trash", "4.a")
	if err := ReduceQuota(root, 11, 1); err != nil {
		t.Fatal(err)
	}
	if got, want := sizeFileOf(t, root), "1000S\n11 1\n11 1\n11 1\n-11 -1\n"; got != want {
		t.Errorf("maildirsize has %q, want %q", got, want)
	}
}

// FuzzSizes: no content of the file is more than a sum or a reason to count.
func FuzzSizes(f *testing.F) {
	for _, seed := range []string{"1000S,5C\n100 1\n", "S\n", "5C,\n-1 -1\n1 1\n", "1000S\n 1 1", ",,\n1 1\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, u, lines, ok := parseSizes(text)
		if ok && (lines == 0 || u.Octets < 0 || u.Messages < 0) {
			t.Errorf("%+v %+v %d", q, u, lines)
		}
		if again, known := parseLimit(q.String()); !known || again != q {
			t.Errorf("%+v is read as %+v", q, again)
		}
	})
}
