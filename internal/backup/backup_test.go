package backup

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// newHome makes a home with a mailbox and entries, and returns the keys of these.
func newHome(t *testing.T, entries int) (home string, keys []string) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "home")
	for _, d := range []string{"control/tls", "mail/example.net/alice/Maildir/new", "mail/example.net/alice/Maildir/cur",
		"mail/example.net/alice/Maildir/tmp", "mail/example.net/alice/Maildir/.Junk/cur", "log", "run"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := spool.Init(home); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{home, filepath.Join(home, "mail")} {
		if err := spool.WriteMark(d); err != nil {
			t.Fatal(err)
		}
	}
	for range entries {
		key := string(spool.NewKey(time.Now(), "mx"))
		keys = append(keys, key)
		write(t, filepath.Join(home, "spool/check/new", key+",S=8,W=9"), "message\n")
	}
	return home, keys
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// way is where an entry goes, step by step.
var way = []string{"spool/check/new", "spool/route/new", "spool/deliver/new", "spool/deliver/cur",
	"mail/example.net/alice/Maildir/new", "mail/example.net/alice/Maildir/cur"}

// Entries that move while the home is copied are all in the copy.
func TestNothingIsMissed(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			home, keys := newHome(t, 800)
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				move(home, keys, rand.New(rand.NewPCG(seed, 1)), stop)
			}()
			to := home + ".copy"
			_, err := Copy{From: home, To: to, Note: func(text string) { t.Error(text) }}.Run(context.Background())
			close(stop)
			<-done
			if err != nil {
				t.Fatal(err)
			}
			verify(t, to)
			at := places(t, to)
			for _, key := range keys {
				spooled, boxed := 0, 0
				for _, place := range at[key] {
					if strings.HasPrefix(place, "spool/") {
						spooled++
					} else {
						boxed++
					}
				}
				if spooled+boxed == 0 || spooled > 1 || boxed > 1 {
					t.Errorf("%s is in %q", key, at[key])
				}
			}
		})
	}
}

// move takes random entries a step further, and now and then one in the spool back to
// the beginning, as mailctl queue reroute does.
func move(home string, keys []string, rnd *rand.Rand, stop chan struct{}) {
	at := make([]int, len(keys))
	for {
		select {
		case <-stop:
			return
		default:
		}
		n := rnd.IntN(len(keys))
		to := at[n] + 1
		if at[n] > 0 && at[n] < 4 && rnd.IntN(50) == 0 {
			to = 0
		}
		if to == len(way) {
			continue
		}
		name := keys[n] + ",S=8,W=9"
		if os.Rename(filepath.Join(home, way[at[n]], name), filepath.Join(home, way[to], name)) == nil {
			at[n] = to
		}
	}
}

func verify(t *testing.T, to string) {
	t.Helper()
	if _, err := Verify(context.Background(), to, func(f Finding) { t.Errorf("%s %s", f.Path, f.What) }); err != nil {
		t.Error(err)
	}
}

// places returns where each key is in a copy.
func places(t *testing.T, to string) map[string][]string {
	t.Helper()
	at := map[string][]string{}
	err := fs.WalkDir(os.DirFS(to), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			key, _, _ := strings.Cut(filepath.Base(name), ",")
			at[key] = append(at[key], name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A copy keeps modes and times, reads links in control/ and follows no other.
func TestWhatIsCopied(t *testing.T) {
	home, keys := newHome(t, 1)
	write(t, filepath.Join(home, "secret"), "secret\n")
	write(t, filepath.Join(home, "log/mail.log"), "event\n")
	write(t, filepath.Join(home, "spool/check/reason", keys[0]), "later\n")
	due := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	os.Chtimes(filepath.Join(home, "spool/check/reason", keys[0]), due, due)
	for link, target := range map[string]string{
		"control/tls/key.pem": "../../secret",
		"control/gone":        "nowhere",
		"mail/example.net/alice/Maildir/new/1.M1P1.host":  "../../../../../secret",
		"mail/example.net/alice/Maildir/.Junk/cur/secret": "/etc/passwd",
		"mail/example.net/bob":                            "/etc",
	} {
		if err := os.Symlink(target, filepath.Join(home, link)); err != nil {
			t.Fatal(err)
		}
	}
	var notes []string
	to := home + ".copy"
	n, err := Copy{From: home, To: to, Note: func(text string) { notes = append(notes, text) }}.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if n.Entries != 1 || n.Messages != 0 || len(notes) != 4 {
		t.Errorf("%+v, notes %q", n, notes)
	}
	for name, want := range map[string]string{"control/tls/key.pem": "secret\n", "log/mail.log": "event\n"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	st, err := os.Stat(filepath.Join(to, "spool/check/reason", keys[0]))
	if err != nil || !st.ModTime().Equal(due) || st.Mode() != 0o600 {
		t.Errorf("reason: %v, %v", st, err)
	}
	verify(t, to)
}

// Verify finds what is missing, changed or added, and refuses what is no whole backup.
func TestVerifyFinds(t *testing.T) {
	home, keys := newHome(t, 3)
	to := home + ".copy"
	if _, err := (Copy{From: home, To: to}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	at := func(n int) string { return filepath.Join(to, "spool/check/new", keys[n]+",S=8,W=9") }
	write(t, at(0), "massage\n")
	write(t, at(1), "message")
	os.Remove(at(2))
	write(t, filepath.Join(to, "spool/check/new/odd"), "")
	found := map[string]bool{}
	n, err := Verify(context.Background(), to, func(f Finding) { found[f.What] = true })
	if err != nil || n == 0 {
		t.Errorf("%d files, %v", n, err)
	}
	for _, want := range []string{"has another content", "has 7 octets instead of 8", "is missing", "is not in the manifest"} {
		if !found[want] {
			t.Errorf("not found: %s, only %v", want, found)
		}
	}
	for _, spoil := range []func(){
		func() { write(t, filepath.Join(to, manifestName), "nonsense\n") },
		func() { write(t, filepath.Join(to, incomplete), "") },
		func() { os.Remove(filepath.Join(to, incomplete)); os.Remove(filepath.Join(to, manifestName)) },
	} {
		spoil()
		if _, err := Verify(context.Background(), to, func(Finding) {}); err == nil {
			t.Error("no error")
		}
	}
}

// A backup never goes into the home or over other files, and one that was interrupted
// says so.
func TestTargets(t *testing.T) {
	home, _ := newHome(t, 1)
	full := t.TempDir()
	write(t, filepath.Join(full, "file"), "")
	for _, to := range []string{home, home + "/spool/copy", full, filepath.Join(full, "a/b")} {
		if _, err := (Copy{From: home, To: to}).Run(context.Background()); err == nil {
			t.Errorf("copied to %s", to)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	to := home + ".copy"
	if _, err := (Copy{From: home, To: to}).Run(ctx); err == nil {
		t.Error("not interrupted")
	}
	if _, err := Verify(context.Background(), to, func(Finding) {}); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("an interrupted backup: %v", err)
	}
}

// An entry that a person releases behind the reader's back is found by another pass.
func TestReleasedMeanwhile(t *testing.T) {
	home, keys := newHome(t, 1)
	name := keys[0] + ",S=8,W=9"
	held, released := filepath.Join(home, "spool/hold/new", name), filepath.Join(home, "spool/route/new", name)
	err := os.Rename(filepath.Join(home, "spool/check/new", name), held)
	if err == nil {
		err = os.Symlink("nowhere", filepath.Join(home, "spool/relay/new/odd")) // the note tells when relay/ is read
	}
	if err != nil {
		t.Fatal(err)
	}
	to := home + ".copy"
	if _, err := (Copy{From: home, To: to, Note: func(string) { os.Rename(held, released) }}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if at := places(t, to)[keys[0]]; len(at) != 1 || at[0] != "spool/route/new/"+name {
		t.Errorf("in %q", at)
	}
}

// An entry that a person releases when it has been copied, but not its reason, is released
// in the copy too.
func TestReleasedBeforeItsReason(t *testing.T) {
	home, keys := newHome(t, 2)
	slices.Sort(keys)
	name := keys[1] + ",S=8,W=9"
	at := func(parts ...string) string { return filepath.Join(append([]string{home, "spool"}, parts...)...) }
	for _, k := range keys {
		if err := os.Rename(at("check/new", k+",S=8,W=9"), at("hold/new", k+",S=8,W=9")); err != nil {
			t.Fatal(err)
		}
	}
	write(t, at("hold/reason", keys[1]), "check 2026-11-28T12:00:00Z held: a test\n")
	if err := os.Symlink("nowhere", at("hold/reason", keys[0])); err != nil { // the note tells when reasons are read
		t.Fatal(err)
	}
	to := home + ".copy"
	release := func(string) {
		if err := os.Rename(at("hold/new", name), at("route/new", name)); err != nil {
			t.Error(err)
		}
		if err := os.Remove(at("hold/reason", keys[1])); err != nil {
			t.Error(err)
		}
	}
	if _, err := (Copy{From: home, To: to, Note: release}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if at := places(t, to)[keys[1]]; len(at) != 1 || at[0] != "spool/route/new/"+name {
		t.Errorf("the one that was released is in %q", at)
	}
	if at := places(t, to)[keys[0]]; len(at) != 1 || !strings.HasPrefix(at[0], "spool/hold/new/") {
		t.Errorf("the one without a reason of its own is in %q", at)
	}
}
