package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/status"
)

// userHome makes a home with these files.
func userHome(t *testing.T, files map[string]string) *Dir {
	t.Helper()
	path := t.TempDir()
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(path, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func show(r *Rules) string {
	if r == nil {
		return "none"
	}
	list := []string{r.File}
	for _, s := range r.Steps {
		list = append(list, [...]string{"store", "maildir", "mbox", "to", "run"}[s.Kind]+" "+s.Text)
	}
	if r.ForwardOnly {
		list = append(list, "(forward only)")
	}
	if r.IsDefault {
		list = append(list, "default="+r.Default)
	}
	return strings.ReplaceAll(strings.Join(list, "; "), "store ", "store")
}

func TestFind(t *testing.T) {
	all := map[string]string{".qmail": "&q@x", ".forward": "f@x", ".qmail-lists": "&l@x", ".qmail-lists-default": "&ld@x",
		".qmail-default": "&d@x", ".qmail-a:b": "&ab@x", ".forward+f": "ff@x"}
	without := map[string]string{".qmail": "&q@x", ".forward": "f@x", ".forward+f": "ff@x"}
	for _, tt := range []struct {
		files map[string]string
		ext   string
		want  string
	}{
		{nil, "", "none"},
		{nil, "x", "none"},
		{all, "", ".qmail; to q@x"},
		{all, "lists", ".qmail-lists; to l@x"},
		{all, "LISTS", ".qmail-lists; to l@x"},
		{all, "lists-Go-nuts", ".qmail-lists-default; to ld@x; default=Go-nuts"},
		{all, "lists-", ".qmail-lists-default; to ld@x; default="},
		{all, "other", ".qmail-default; to d@x; default=other"},
		{all, "a.b", ".qmail-a:b; to ab@x"},
		{all, "../../etc/passwd", ".qmail-default; to d@x; default=../../etc/passwd"},
		{all, strings.Repeat("x", 300), ".qmail-default; to d@x; default=" + strings.Repeat("x", 300)},
		{all, "\u023a-", ".qmail-default; to d@x; default=\u023a-"}, // longer in lower case
		{all, "\u0130.A-", ".qmail-default; to d@x; default=\u0130.A-"},
		{all, "\xff-", ".qmail-default; to d@x; default=\xff-"},
		{without, "f", ".forward+f; to ff@x"},
		{without, "other", ".qmail; to q@x"},
		{map[string]string{".forward": "f@x"}, "other", ".forward; to f@x"},
	} {
		r, err := userHome(t, tt.files).Find(tt.ext)
		if got := show(r); got != tt.want || err != nil {
			t.Errorf("%q: %s, %v; want %s", tt.ext, got, err, tt.want)
		}
	}
}

func TestQmail(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "store",
		"# nothing\n":                      "",
		"&a@x.example\nb@x.example":        "to a@x.example; to b@x.example",
		"./Maildir/\n":                     "store",
		"./Maildir/.lists/\n/home/a/box\n": "maildir ./Maildir/.lists; mbox /home/a/box",
		"|./program with words  \n":        "run ./program with words",
		"+list\na@x.example\n":             "to a@x.example; (forward only)",
		"|exit 99\n&a@x.example\n\n# x\n":  "run exit 99; to a@x.example",
		"+other\n./mbox\n":                 "mbox ./mbox",
		"&a@x.example\r\n":                 "to a@x.example",
	} {
		r, err := userHome(t, map[string]string{".qmail": text}).Find("")
		if got := strings.TrimPrefix(strings.TrimPrefix(show(r), ".qmail"), "; "); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"\n&a@x\n", " \n", "./\n", "/\n", "../x/\n", "|a\x00b\n", strings.Repeat("&a@x\n", 101), strings.Repeat("#", 70000)} {
		if r, err := userHome(t, map[string]string{".qmail": text}).Find(""); !status.IsTemporary(err) {
			t.Errorf("%.20q: %s %v", text, show(r), err)
		}
	}
}

func TestForward(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "store",
		"# comment\n\n":                     "store",
		"a@x.example, b@x.example,\nc":      "to a@x.example; to b@x.example; to c",
		"\\alice, a@x.example":              "storealice; to a@x.example",
		"\"|/usr/bin/vacation alice, bob\"": "run /usr/bin/vacation alice, bob",
		"|\"/bin/prog -x\"\n":               "run /bin/prog -x",
		"|/bin/prog -x, a@x":                "run /bin/prog -x; to a@x",
		"\"|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #alice\"": "run IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #alice",
		`"|echo \"x\""`:                 `run echo "x"`,
		"/var/mail/alice, /home/a/M/":   "mbox /var/mail/alice; maildir /home/a/M",
		`"odd name"@x.example`:          `to "odd name"@x.example`,
		`"a,b"@x.example, c@x`:          `to "a,b"@x.example; to c@x`,
		":include:list":                 "to one@x.example; to two@x.example",
		"\":include:./list\"":           "to one@x.example; to two@x.example",
		"a@x.example,,\n , b@x.example": "to a@x.example; to b@x.example",
	} {
		r, err := userHome(t, map[string]string{".forward": text, "list": "# x\none@x.example, two@x.example\n"}).Find("")
		if got := strings.TrimPrefix(show(r), ".forward; "); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"\"a", "~/mbox", ":include:/etc/passwd", ":include:../x", ":include:none", ":include:bad", ":include:",
		"/", "a\x00b", strings.Repeat("a@x,", 101)} {
		r, err := userHome(t, map[string]string{".forward": text, "bad": "|/bin/sh\n"}).Find("")
		if !status.IsTemporary(err) {
			t.Errorf("%.20q: %s %v", text, show(r), err)
		}
	}
}

// TestTrust: files that somebody else may have written are not read.
func TestTrust(t *testing.T) {
	for name, spoil := range map[string]func(d *Dir, file string) error{
		"group can write":      func(_ *Dir, file string) error { return os.Chmod(file, 0o660) },
		"others can write":     func(_ *Dir, file string) error { return os.Chmod(file, 0o602) },
		"home is for a group":  func(d *Dir, _ string) error { return os.Chmod(d.home, 0o770) },
		"home is sticky":       func(d *Dir, _ string) error { return os.Chmod(d.home, 0o700|os.ModeSticky) },
		"a link":               func(_ *Dir, file string) error { os.Remove(file); return os.Symlink("/etc/hostname", file) },
		"a directory":          func(_ *Dir, file string) error { os.Remove(file); return os.Mkdir(file, 0o700) },
		"another user's files": func(d *Dir, _ string) error { d.uid = 4711; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			d := userHome(t, map[string]string{".qmail": "&a@x.example\n"})
			if err := spoil(d, filepath.Join(d.home, ".qmail")); err != nil {
				t.Fatal(err)
			}
			if name == "another user's files" && os.Geteuid() == 0 {
				if err := os.Chown(filepath.Join(d.home, ".qmail"), 4712, -1); err != nil {
					t.Fatal(err)
				}
			}
			if r, err := d.Find(""); !status.IsTemporary(err) {
				t.Errorf("%s, %v", show(r), err)
			}
		})
	}
	if d, err := Open(filepath.Join(t.TempDir(), "none"), 0); d != nil || err != nil {
		t.Errorf("a home that is missing: %v %v", d, err)
	}
	d := userHome(t, map[string]string{".qmail": "&a@x.example\n"})
	if err := os.Chmod(filepath.Join(d.home, ".qmail"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Find(""); !strings.Contains(show(r), "forward only") || err != nil {
		t.Errorf("%s, %v", show(r), err)
	}
}

func TestVacationFile(t *testing.T) {
	for text, want := range map[string]string{
		"I am away.\n": "| 168h0m0s | [] | I am away.\n",
		"Subject: Away\nDays: 3\nAddresses: Info@x.example, a@y.example\n\nBack soon: really.\n": "Away| 72h0m0s | [info@x.example a@y.example] | Back soon: really.\n",
		"Note: this is text\n":           "| 168h0m0s | [] | Note: this is text\n",
		"until: 2026-12-24\r\n\r\nx\r\n": "| 168h0m0s | [] | x\n",
		"":                               "| 168h0m0s | [] | ",
	} {
		v, err := userHome(t, map[string]string{"vacation": text}).Vacation()
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := fmt.Sprintf("%s| %v | %v | %s", v.Subject, v.Every, v.Addresses, v.Text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"Days: 0\n\nx", "Days: ten\n\nx", "From: tomorrow\n\nx", "Addresses: x\n\ny", "Subject: x\nI am away\n",
		"\xff", "a\x1bb", strings.Repeat("x", 9000)} {
		if v, err := userHome(t, map[string]string{"vacation": text}).Vacation(); !status.IsTemporary(err) {
			t.Errorf("%.20q: %+v %v", text, v, err)
		}
	}
}

// TestAnswer: once in N days to one sender, in a memory that is bounded.
func TestAnswer(t *testing.T) {
	d := userHome(t, map[string]string{"vacation": "Days: 2\n\naway\n"})
	v, err := d.Vacation()
	if err != nil {
		t.Fatal(err)
	}
	start := v.Written.Add(time.Minute)
	yes := func() (bool, error) { return true, nil }
	answer := func(sender string, after time.Duration, may func() (bool, error)) bool {
		t.Helper()
		ok, err := d.Answer(v, sender, start.Add(after), may)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if answer("a@x.example", 0, func() (bool, error) { return false, nil }) {
		t.Error("answered without leave")
	}
	for i, tt := range []struct {
		sender string
		after  time.Duration
		want   bool
	}{{"a@x.example", 0, true}, {"A@X.example", time.Hour, false}, {"b@x.example", time.Hour, true}, {"a@x.example", 47 * time.Hour, false},
		{"a@x.example", 48 * time.Hour, true}} {
		if got := answer(tt.sender, tt.after, yes); got != tt.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	v.Until = start.Add(time.Hour)
	if answer("new@x.example", 2*time.Hour, yes) {
		t.Error("answered after the end")
	}
	v.Until, v.Written = time.Time{}, start.Add(49*time.Hour)
	if !answer("a@x.example", 49*time.Hour, yes) {
		t.Error("a new vacation answers anew")
	}
	for i := range 1200 {
		answer(fmt.Sprintf("%d.%s@x.example", i, strings.Repeat("y", i%60)), 50*time.Hour, yes)
	}
	st, err := os.Stat(filepath.Join(d.home, "vacation.sent"))
	if err != nil || st.Size() > maxFile || st.Size() < 1000 {
		t.Errorf("%v %v", st.Size(), err)
	}
}

// FuzzRules: every text is rules, or an error that defers.
func FuzzRules(f *testing.F) {
	for _, seed := range []string{"&a@x\n|b\n./c/\n", "\\a, \"|b\", :include:c", "Subject: x\nDays: 3\n\ny\n", "\"", "|", "+list", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []*Rules{{File: ".qmail"}, {File: ".forward"}} {
			var err error
			if r.File == ".qmail" {
				err = r.parseQmail(text)
			} else if !strings.Contains(strings.ToLower(text), ":include:") {
				err = r.parseForward(nil, text)
			}
			for _, s := range r.Steps {
				if err == nil && strings.ContainsAny(s.Text, "\x00\n") {
					t.Errorf("%q: %+v", text, s)
				}
			}
		}
		if v, err := parseVacation(text); err == nil && (v.Every <= 0 || strings.ContainsFunc(v.Text, odd)) {
			t.Errorf("%q: %+v", text, v)
		}
	})
}
