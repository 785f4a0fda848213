package control

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The parser of a row accepts its default and its example, and the accessor returns
// the default if there is no file.
func TestRowsReadWhatTheySay(t *testing.T) {
	for _, s := range Settings() {
		if s.Form == Directory {
			continue
		}
		if (s.Default == "") == (s.Without == "") || s.Like() == "" || s.Doc == "" || s.Readers == "" {
			t.Errorf("%s: a default or what holds without one, an example, readers and a line: %+v", s.Name, s)
		}
		files := map[string]string{"hostname": "mx.example.org\n", "domains": "example.org\n", "users": ""}
		files[s.Name] = s.Like() + "\n"
		for _, k := range s.Keys {
			if !strings.HasPrefix(s.Like(), k.Name+":") {
				files[s.Name] += k.Name + ": " + k.Default + "\n"
			}
		}
		if got := newFixture(t, files).Check().Errors(); len(got) > 0 {
			t.Errorf("%s does not take %q: %v", s.Name, files[s.Name], got)
		}
	}
}

// Every file that is read has a row: load refuses a file without one.
func TestFileWithoutRow(t *testing.T) {
	f := newFixture(t, map[string]string{"nosuchfile": "hello\n"})
	_, _, err := load(f.Control, file[string]{name: "nosuchfile"})
	wantError(t, err, "has no row in internal/control/rows.go")
	_, err = one[int](f.Control, "nosuchfile")
	wantError(t, err, "has no row in internal/control/rows.go")
	_, err = one[int](f.Control, "hostname") // a row of another type
	wantError(t, err, "has no row in internal/control/rows.go")
}

// Each name that an accessor reads has a row.
func TestEveryAccessorHasARow(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	read := regexp.MustCompile(`\bone\[[^]]+\]\(c, "([^"]+)"\)`)
	names := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range read.FindAllStringSubmatch(string(text), -1) {
			if names++; byName()[m[1]].Name == "" && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s reads control/%s, which has no row in rows.go", path, m[1])
			}
		}
	}
	if names < 10 {
		t.Errorf("only %d accessors were found", names)
	}
}

// Each table that Faults reads has a row, and Faults reads each row without a parser:
// so a broken line in any file is found.
func TestEveryRowIsRead(t *testing.T) {
	read := map[string]bool{}
	for _, table := range newFixture(t, nil).tables(true) {
		read[table.name] = true
		if byName()[table.name].Name == "" {
			t.Errorf("control/%s has no row", table.name)
		}
	}
	for _, s := range Settings() {
		if s.read == nil && !read[s.Name] {
			t.Errorf("nothing reads control/%s", s.Name)
		}
		if s.Form == Directory {
			continue
		}
		f := newFixture(t, map[string]string{s.Name: "\x01\n"})
		found := f.Check().Errors()
		at := func(e Finding) bool { return e.Where() == "control/"+s.Name+":1" && e.What != "" && e.Mend != "" }
		n := 0
		for _, e := range found {
			if at(e) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("a control character in control/%s: %v", s.Name, found)
		}
	}
}

// The table of control(5) is this one: the same rows, in the same order, with form,
// default and readers.
func TestPageHasTheTable(t *testing.T) {
	page := controlPage(t)
	_, table, _ := strings.Cut(page, "\n.It Sy File Ta Sy Form Ta Sy Default Ta Sy Read by\n")
	table, _, _ = strings.Cut(table, "\n.El\n")
	var want []string
	for _, s := range Settings() {
		name := s.Name
		if s.Form == Directory {
			name = "Pa " + name + "/"
		}
		want = append(want, ".It "+strings.Join([]string{name, string(s.Form), s.Holds(), s.Readers}, " Ta "))
	}
	if d := cmp.Diff(want, strings.Split(table, "\n")); d != "" {
		t.Errorf("the table of control(5) (- is that of the code):\n%s", d)
	}
}

// Each setting has a section, which gives its form and explains its rows.
func TestPageExplainsEverySetting(t *testing.T) {
	page := controlPage(t)
	sections := map[string]string{}
	for _, part := range strings.Split(page, "\n.Ss ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		sections[name] = text
	}
	for _, s := range Settings() {
		text, ok := sections[s.Name]
		if !ok {
			t.Errorf("control(5) has no section for %s", s.Name)
		}
		delete(sections, s.Name)
		form := regexp.MustCompile(`^(A|An) (scalar|list|table|directory)\b`).FindStringSubmatch(text)
		if form == nil || form[2] != string(s.Form) {
			t.Errorf("the section of %s does not begin with its form, a %s: %.40q", s.Name, s.Form, text)
		}
		for _, k := range s.Keys {
			item := regexp.MustCompile(`\n\.It Cm (\S+ , )*` + k.Name + `( , \S+)*\n([^.]|\.[^I])*`).FindString(text)
			if item == "" {
				t.Errorf("control(5) does not explain %s of %s", k.Name, s.Name)
			}
			if s.Name != "retry" && !k.Varies && !regexp.MustCompile(`[;,] `+regexp.QuoteMeta(k.Default)+`[.,;]`).MatchString(item) {
				t.Errorf("control(5) does not say %q of %s in %s: %q", k.Default, k.Name, s.Name, item)
			}
		}
	}
	for name := range sections {
		t.Errorf("control(5) explains %s, which is no setting", name)
	}
}

// control(5) says which files take effect later than at the next attempt or session.
func TestPageSaysWhatIsReadAtTheStart(t *testing.T) {
	_, list, _ := strings.Cut(controlPage(t), "\nThese are read at a program's start instead:\n")
	list, _, _ = strings.Cut(list, "\n.El\n")
	said := map[string]string{}
	for _, item := range strings.Split(list, "\n.It Pa ")[1:] {
		name, text, _ := strings.Cut(item, "\n")
		said[name] = text
	}
	for _, s := range Settings() {
		text, ok := said[s.Name]
		delete(said, s.Name)
		if ok != (s.Counts != AtOnce) || ok && (!strings.Contains(text, "start") ||
			strings.Contains(text, "SIGHUP") != (s.Counts == AtHangup)) {
			t.Errorf("control/%s: Counts is %v, but the list of settings that are read at a start in control(5) says %q", s.Name, s.Counts, text)
		}
	}
	for name := range said {
		t.Errorf("control(5) says that %s is read at the start", name)
	}
}

func controlPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "man", "control.5"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
