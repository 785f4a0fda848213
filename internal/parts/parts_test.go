package parts

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"paperpath/internal/message"
)

var usual = Limits{Depth: 100, Parts: 10000, Header: 256 << 10}

// readAll returns what Read finds, sorted.
func readAll(t *testing.T, text string, l Limits) (types, names []string, st Structure) {
	t.Helper()
	st, err := Read(strings.NewReader(text), int64(len(text)), l, func(p Part) {
		types = append(types, p.Types...)
		names = append(names, p.Names...)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(types)
	slices.Sort(names)
	return slices.Compact(types), slices.Compact(names), st
}

// lines joins lines, each with an end.
func lines(list ...string) string { return strings.Join(list, "\n") + "\n" }

// Each way to write the name of a file, and each disagreement of readers about it, shows
// the name that ends in .exe.
func TestNames(t *testing.T) {
	for name, header := range map[string]string{
		"quoted":                             `Content-Disposition: attachment; filename="a.exe"`,
		"not quoted":                         `Content-Disposition: attachment; filename=a.exe`,
		"not quoted, with a blank":           `Content-Disposition: attachment; filename=my a.exe`,
		"not quoted, with more behind it":    `Content-Disposition: attachment; filename=a.exe junk.txt`,
		"not closed":                         `Content-Disposition: attachment; filename="a.exe`,
		"text behind the quotes":             `Content-Disposition: attachment; filename="a.exe"b.txt`,
		"quotes within":                      `Content-Disposition: attachment; filename="a".exe`,
		"single quotes":                      `Content-Disposition: attachment; filename='a.exe'`,
		"a backslash":                        `Content-Disposition: attachment; filename="a.e\xe"`,
		"a path":                             `Content-Disposition: attachment; filename="C:\temp\a.exe"`,
		"a semicolon in quotes":              `Content-Disposition: attachment; filename="x;y a.exe"`,
		"a semicolon without quotes":         `Content-Disposition: attachment; x="; filename=a.exe`,
		"in Content-Type":                    `Content-Type: application/octet-stream; name="a.exe"`,
		"filename in Content-Type":           `Content-Type: application/octet-stream; filename="a.exe"`,
		"name in Content-Disposition":        `Content-Disposition: attachment; name="a.exe"`,
		"other case":                         `content-DISPOSITION: attachment; FileName="a.exe"`,
		"two of a name":                      `Content-Disposition: attachment; filename="a.txt"; filename="a.exe"`,
		"two of a name, the other":           `Content-Disposition: attachment; filename="a.exe"; filename="a.txt"`,
		"two fields":                         "Content-Disposition: attachment; filename=a.txt\nContent-Disposition: attachment; filename=a.exe",
		"two fields, the other":              "Content-Disposition: attachment; filename=a.exe\nContent-Disposition: inline; filename=a.txt",
		"name and filename differ":           "Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment; filename=a.exe",
		"folded":                             "Content-Disposition: attachment;\n\tfilename=\"a.exe\"",
		"folded before the colon":            "Content-Disposition\n : attachment; filename=a.exe",
		"blank before the colon":             "Content-Disposition : attachment; filename=a.exe",
		"blanks around =":                    "Content-Disposition: attachment; filename = \"a.exe\"",
		"no semicolon before":                "Content-Disposition: attachment;;; filename=a.exe",
		"a comment before":                   "Content-Disposition: attachment; (x) filename=a.exe",
		"a comment behind":                   "Content-Disposition: attachment; filename=a.exe (x)",
		"a comment with a semicolon":         "Content-Disposition: attachment; filename=(;)a.exe",
		"RFC 2231":                           "Content-Disposition: attachment; filename*=utf-8''a%2Eexe",
		"RFC 2231 in quotes":                 `Content-Disposition: attachment; filename*="utf-8''a%2Eexe"`,
		"RFC 2231 without a charset":         "Content-Disposition: attachment; filename*=a%2Eexe",
		"RFC 2231 with something wrong":      "Content-Disposition: attachment; filename*=utf-8''%zza%2Eexe",
		"RFC 2231 beside a plain one":        "Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a.exe",
		"RFC 2231, two of them":              "Content-Disposition: attachment; filename*=utf-8''a.txt; filename*=utf-8''a.exe",
		"pieces":                             `Content-Disposition: attachment; filename*0="a."; filename*1="exe"`,
		"pieces, encoded":                    `Content-Disposition: attachment; filename*0*=utf-8''a%2E; filename*1*=e; filename*2=xe`,
		"pieces in another order":            `Content-Disposition: attachment; filename*1="exe"; filename*0="a."`,
		"pieces whose numbers lie":           `Content-Disposition: attachment; filename*7="a."; filename*3="exe"`,
		"pieces that begin with 1":           `Content-Disposition: attachment; filename*1="a."; filename*2="exe"`,
		"ten pieces":                         `Content-Disposition: attachment; filename*0=a; filename*10=exe; filename*9=.; filename*2=b`,
		"an encoded word":                    "Content-Disposition: attachment; filename=\"=?utf-8?q?a=2Eexe?=\"",
		"an encoded word in base64":          "Content-Disposition: attachment; filename=\"=?utf-8?b?YS5leGU=?=\"",
		"an encoded word, not padded":        "Content-Disposition: attachment; filename=\"=?utf-8?B?YS5leGU?=\"",
		"an encoded word, not quoted":        "Content-Disposition: attachment; filename==?utf-8?q?a.exe?=",
		"an encoded word in UTF-16":          "Content-Disposition: attachment; filename=\"=?utf-16le?b?YQAuAGUAeABlAA==?=\"",
		"two encoded words":                  "Content-Disposition: attachment; filename=\"=?utf-8?q?a.?= =?utf-8?q?exe?=\"",
		"text and an encoded word":           "Content-Disposition: attachment; filename=\"a=?utf-8?q?=2Eexe?=\"",
		"something like an encoded word":     "Content-Disposition: attachment; filename=\"=?x?y?=a.exe\"",
		"an encoded word in UTF-7":           "Content-Disposition: attachment; filename=\"=?utf-7?q?a+AC4-exe?=\"",
		"an encoded word in EBCDIC":          "Content-Disposition: attachment; filename=\"=?cp037?q?=81=4B=85=A7=85?=\"",
		"an encoded word not in EBCDIC":      "Content-Disposition: attachment; filename=\"=?cp037?q?a.exe?=\"",
		"an encoded word with a language":    "Content-Disposition: attachment; filename=\"=?utf-7*en?q?a+AC4AZQB4AGU-?=\"",
		"base64 with other signs":            "Content-Disposition: attachment; filename=\"=?utf-8?b?Y!S5leGU=?=\"",
		"RFC 2231 in UTF-7":                  "Content-Disposition: attachment; filename*=utf-7''a%2BAC4-exe",
		"RFC 2231 in EBCDIC":                 "Content-Disposition: attachment; filename*=ibm500''%81%4B%85%A7%85",
		"pieces in EBCDIC":                   "Content-Disposition: attachment; filename*0*=ibm500''%81%4B; filename*1*=%85%A7%85",
		"RFC 2231, not in EBCDIC":            "Content-Disposition: attachment; filename*=ibm500''a%2Eexe",
		"pieces, with text behind":           `Content-Disposition: attachment; filename*0="a."x; filename*1=exe`,
		"per cent in a plain one":            "Content-Disposition: attachment; filename=\"a%2eexe\"",
		"no semicolon":                       "Content-Disposition: attachment filename=a.exe",
		"a comma for the semicolon":          "Content-Disposition: attachment, filename=\"a.exe\"",
		"no type before it":                  "Content-Disposition: filename=a.exe",
		"no semicolon between":               "Content-Disposition: attachment; x=y filename=a.exe",
		"an encoded word in an RFC 2231 one": "Content-Disposition: attachment; filename*0=\"=?utf-8?q?a.e\"; filename*1=\"xe?=\"",
	} {
		text := lines("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "", "--b", header, "", "x", "--b--")
		_, names, _ := readAll(t, text, usual)
		if !slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, ".exe") }) {
			t.Errorf("%s: %q", name, names)
		}
		for _, n := range names {
			if len(n) > len(header) {
				t.Errorf("%s: %q", name, n)
			}
		}
	}
}

func TestInCharset(t *testing.T) {
	for _, c := range []struct{ charset, text, want string }{
		{"UTF-7", "a+AC4-exe", "a.exe"}, {"unicode-1-1-utf-7", "a+AC4AZQB4AGU", "a.exe"}, {"utf7*en", "+AGE-+AC4-exe", "a.exe"},
		{"utf-7", "a+-b", "ab"}, {"utf-7", "a.exe+", "a.exe"}, {"utf-7", "+", ""}, {"utf-7", "a.exe", "a.exe"},
		{"IBM037", "\x81\x4b\x85\xa7\x85", "a.exe"}, {"cp500", "\xc1\xd9\xe9\xf0\xf9\x60\x61\x6d\x40", "ARZ09-/_ "},
		{"ebcdic-us", "\x80\x8a\x90\x9a\xa1\xaa\xc0\xca\xda\xe1\xea\xfa\xff\x00\x3f\x41\x4a\x4c\x62", strings.Repeat("?", 19)},
		{"utf-8", "a+AC4-exe", "a+AC4-exe"}, {"", "\x81", "\x81"},
	} {
		if got := inCharset(c.charset, c.text); got != c.want {
			t.Errorf("%q in %s is %q, want %q", c.text, c.charset, got, c.want)
		}
	}
}

// Parts are found wherever a reader may find them.
func TestParts(t *testing.T) {
	const file = "Content-Type: x/a; name=a.exe\n\nx\n"
	mixed := func(boundary string) string { return "Content-Type: multipart/mixed; " + boundary + "\n" }
	for name, c := range map[string]struct {
		text   string
		parts  int
		depth  int
		hidden bool // no reader finds it
		odd    bool
	}{
		"the message itself":           {file, 0, 0, false, false},
		"not a multipart":              {"Content-Type: text/plain\n\n--b\n" + file, 0, 0, true, false},
		"a multipart":                  {mixed("boundary=b") + "\n--b\n" + file + "--b--\n", 1, 1, false, false},
		"with CRLF":                    {strings.ReplaceAll(mixed("boundary=b")+"\n--b\n"+file+"--b--\n", "\n", "\r\n"), 1, 1, false, false},
		"not closed":                   {mixed("boundary=b") + "\n--b\n" + file, 1, 1, false, true},
		"another boundary":             {mixed("boundary=b") + "\n--c\n" + file + "--b--\n", 0, 1, true, true},
		"blanks behind the boundary":   {mixed("boundary=b") + "\n--b \t\n" + file + "--b--\n", 1, 1, false, false},
		"text behind the boundary":     {mixed("boundary=b") + "\n--bx\n" + file + "--b--\n", 1, 1, false, true},
		"behind the last part":         {mixed("boundary=b") + "\n--b\n\nx\n--b--\n--b\n" + file, 2, 1, false, false},
		"in the last boundary's place": {mixed("boundary=b") + "\n--b--\n" + file, 0, 1, false, true},
		"no blank line in between":     {mixed("boundary=b") + "\n--b\nContent-Type: text/plain\n--b\n" + file + "--b--\n", 2, 1, false, false},
		"two Content-Type":             {mixed("boundary=b") + mixed("boundary=c") + "\n--c\n" + file + "--c--\n", 1, 1, false, true},
		"two boundaries":               {mixed("boundary=b; boundary=c") + "\n--c\n" + file + "--c--\n", 1, 0, false, true},
		"a boundary in pieces":         {mixed(`boundary*0="b"; boundary*1="c"`) + "\n--bc\n" + file + "--bc--\n", 1, 1, false, false},
		"an encoded boundary":          {mixed(`boundary*=us-ascii''b%63`) + "\n--bc\n" + file + "--bc--\n", 1, 1, false, false},
		"one boundary begins another":  {mixed("boundary=b") + "\n--b\n" + mixed("boundary=bc") + "\n--bc\n" + file + "--bc--\n--b--\n", 2, 2, false, false},
		"a boundary as it was quoted":  {mixed(`boundary="b c"`) + "\n--b c\n" + file + "--b c--\n", 1, 1, false, false},
		"a boundary without quotes":    {mixed(`boundary=b c`) + "\n--b c\n" + file + "--b c--\n", 1, 1, false, true},
		"a message":                    {"Content-Type: message/rfc822\n\n" + file, 1, 1, false, false},
		"a message in a message":       {"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n" + file, 2, 2, false, false},
		"a multipart in a message":     {"Content-Type: message/rfc822\n\n" + mixed("boundary=b") + "\n--b\n" + file + "--b--\n", 2, 2, false, false},
		"a message in a digest": {"Content-Type: multipart/digest; boundary=b\n\n--b\n\n" + mixed("boundary=c") + "\n--c\n" + file + "--c--\n--b--\n",
			3, 3, false, false},
		"junk in the header":             {mixed("boundary=b") + "\n--b\njunk\n" + file + "--b--\n", 1, 1, false, false},
		"in the text":                    {"Subject: x\n\nhello\nbegin 644 a.exe\n#0V%T\n`\nend\n", 0, 0, false, false},
		"a blank that the boundary has":  {mixed(`boundary="b "`) + "\n--b\n" + file + "--b--\n", 1, 1, false, true},
		"an encoded word as boundary":    {mixed(`boundary="=?us-ascii?q?bc?="`) + "\n--bc\n" + file + "--bc--\n", 1, 1, false, false},
		"no boundary":                    {"Content-Type: multipart/mixed\n\n--b\n" + file + "--b--\n", 1, 1, false, true},
		"an empty boundary":              {mixed(`boundary=""`) + "\n--b\n" + file + "--b--\n", 1, 1, false, true},
		"a boundary without a semicolon": {"Content-Type: multipart/mixed boundary=b\n\n--b\n" + file + "--b--\n", 1, 0, false, true},
		"a boundary behind a fold":       {mixed("boundary=x\n boundary=b") + "\n--b\n" + file + "--b--\n", 1, 1, false, true},
		"in the text, more blanks":       {"Subject: x\n\nhello\nbegin  0644\ta.exe\n#0V%T\n`\nend\n", 0, 0, false, false},
		"in the text, base64":            {"Subject: x\n\nbegin-base64 644 a.exe\nYQ==\n====\n", 0, 0, false, false},
		"in the text, yEnc":              {"Subject: x\n\nhello\n=ybegin line=128 size=1 name=a.exe\n", 0, 0, false, false},
		"in the text, a word":            {"Subject: x\n\nbeginning 644 a.exe\n", 0, 0, true, false},
		"in the text, but not":           {"Subject: x\n\nhello\nbegin to a.exe\n", 0, 0, true, false},
		"a very long line":               {mixed("boundary=b") + "\n--b\n\n" + strings.Repeat("x", 200000) + "\n--b\n" + file + "--b--\n", 2, 1, false, false},
		"a boundary in a line":           {mixed("boundary=b") + "\n" + strings.Repeat("x", lineBuffer) + "--b\n" + file, 0, 1, true, true},
	} {
		_, names, st := readAll(t, c.text, usual)
		if found := slices.Contains(names, "a.exe"); found == c.hidden || st.Parts != c.parts || st.Depth != c.depth ||
			(st.Odd != nil) != c.odd || st.Limit != nil {
			t.Errorf("%s: %q, %+v", name, names, st)
		}
	}
}

func TestTypes(t *testing.T) {
	for header, want := range map[string]string{
		"Content-Type: Application/X-Exe":                    "application/x-exe",
		"Content-Type: application / x-exe; a=b":             "application,application/x-exe",
		"Content-Type: application/x-exe junk":               "application/x-exe,application/x-exejunk",
		"Content-Type: (x) application/x-exe":                "(x),(x)application/x-exe,application/x-exe",
		"Content-Type: text/plain\nContent-Type: text/html":  "text/html,text/plain",
		"Content-Type: \"application/x-exe\"":                "application/x-exe",
		"Content-Type:\n\tapplication/x-exe;\n\tname=x; x":   "application/x-exe",
		"Content-Disposition: application/x-exe; filename=x": "",
	} {
		types, _, _ := readAll(t, header+"\n\nx\n", usual)
		if got := strings.Join(types, ","); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

// nested is a message of so many multiparts within one another.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d.\n\n--b%d.\n", i, i)
	}
	return b.String() + "\nx\n"
}

func TestLimits(t *testing.T) {
	flat := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 50)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"files in text":   {"\n" + strings.Repeat("begin 644 a.exe\n", 51), ErrParts},
		"words in text":   {"\n" + strings.Repeat("begin\nbeginning at last\nbegin to x\n=ybegin x\n", 51), nil},
		"depth, exactly":  {nested(20), nil},
		"depth":           {nested(21), ErrDepth},
		"messages":        {strings.Repeat("Content-Type: message/rfc822\n\n", 21), ErrDepth},
		"parts, exactly":  {flat, nil},
		"parts":           {flat + "--b\n", ErrParts},
		"last boundaries": {flat + strings.Repeat("--b--\n", 101), ErrParts},
		"boundaries":      {"Content-Type: multipart/mixed" + strings.Repeat("; boundary=a", 1) + many("; boundary=x%d.", 60) + "\n\n", ErrParts},
		"a header":        {"Content-Type: x/y; name=" + strings.Repeat("x", 2000) + "\n\n", ErrHeader},
		"a header, open":  {strings.Repeat("content-type: x\n", 200), ErrHeader},
		"other fields":    {strings.Repeat("X: y\n", 2000), nil},
		"headers": {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: "+strings.Repeat("x", 900)+"\n\n", 20),
			ErrHeader},
	} {
		st, err := Read(strings.NewReader(c.text), int64(len(c.text)), Limits{Depth: 20, Parts: 50, Header: 1000}, func(Part) {})
		if err != nil || !errors.Is(st.Limit, c.want) || (st.Limit == nil) != (c.want == nil) {
			t.Errorf("%s: %+v %v", name, st, err)
		}
	}
}

func many(form string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

// costLimit is the processor time that a message may cost. On a machine that does other
// work it seems to cost more: of costTries the least counts.
const (
	costLimit = time.Second
	costTries = 5
)

// Hostile messages cost less than a second and little memory, and what is too much of
// something is known before it costs.
func TestCost(t *testing.T) {
	const size = 4 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	const mixed = "Content-Type: multipart/mixed; boundary=b\n"
	for name, text := range map[string]string{
		"nested":                    nested(100000),
		"100 deep, then many parts": nested(99) + "Content-Type: multipart/mixed; boundary=b\n\n" + fill("--b\nContent-Type: text/plain; charset=x\n\n"),
		"messages":                  fill("Content-Type: message/rfc822\n\n"),
		"last boundaries":           mixed + "\n" + fill("--b--\n"),
		"dashes":                    mixed + "\n" + fill("--\n"),
		"boundaries":                mixed + "\n" + fill("--b\n\n"),
		"no boundaries":             mixed + "\n" + fill("--a\n"),
		"blank lines":               mixed + "\n" + fill("\n"),
		"names":                     "Content-Disposition: a" + many("; filename=%d", 14000) + "\n\n",
		"names in many parts":       mixed + "\n" + strings.Repeat("--b\nContent-Disposition: a"+many("; filename=%d", 14000)+"\n\n", 40),
		"pieces":                    "Content-Disposition: a" + many("; filename*%d=x", 12000) + "\n\n",
		"boundaries in a field":     "Content-Type: multipart/mixed" + many("; boundary=%d", 14000) + "\n\n",
		"quotes":                    "Content-Type: text/plain; name=" + strings.Repeat(`"`, 200000) + "\n\n",
		"comments":                  "Content-Type: " + strings.Repeat(`(`, 200000) + "\n\n",
		"backslashes":               "Content-Type: text/plain; name=\"" + strings.Repeat(`\`, 200000) + "\n\n",
		"encoded words":             "Content-Type: text/plain; name=\"" + strings.Repeat(`=?a?q?x?= `, 20000) + "\n\n",
		"half of encoded words":     "Content-Type: text/plain; name=\"" + strings.Repeat(`=?a?q?x`, 30000) + "\n\n",
		"no encoded words":          "Content-Type: text/plain; name=\"" + strings.Repeat(`=?a?x?`, 30000) + "\n\n",
		"percent signs":             "Content-Type: text/plain; name*=" + strings.Repeat(`%`, 200000) + "\n\n",
		"semicolons":                "Content-Type: text/plain" + strings.Repeat(`;`, 200000) + "\n\n",
		"many fields":               strings.Repeat("Content-Type: a/b; c=d\n", 10000) + "\n",
		"fields in parts":           mixed + "\n" + strings.Repeat("--b\n"+strings.Repeat("Content-Type:\n", 1000)+"\n", 2000),
		"other fields in parts":     mixed + "\n" + strings.Repeat("--b\n"+strings.Repeat("C:\n", 1000)+"\n", 2000),
		"long lines":                mixed + "\n" + fill("x"),
		"uuencoded files":           "A: b\n\n" + fill("begin 644 a.exe\n"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var st Structure
		var err error
		took := costLimit + 1
		for try := 0; try < costTries && err == nil && took > costLimit; try++ {
			begin := busy(t)
			st, err = Read(strings.NewReader(text), int64(len(text)), usual, func(Part) {})
			took = min(took, busy(t)-begin)
		}
		runtime.ReadMemStats(&after)
		t.Logf("%-26s %8v %7d KiB  %d parts, %d deep, %v", name, took.Round(time.Millisecond),
			(after.TotalAlloc-before.TotalAlloc)>>10, st.Parts, st.Depth, st.Limit)
		if err != nil || took > costLimit {
			t.Errorf("%s took %v, %v", name, took, err)
		}
	}
}

// busy is how long this process has computed.
func busy(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestReadErrors(t *testing.T) {
	in := io.MultiReader(strings.NewReader(nested(2)), iotest.ErrReader(errors.New("bad disk")))
	if _, err := Read(in, 100, usual, func(Part) {}); err == nil || !strings.Contains(err.Error(), "bad disk") {
		t.Error(err)
	}
}

// alone compares what a header says with what the message is.
func alone(t *testing.T, text string, l Limits) {
	t.Helper()
	h, err := message.Read(strings.NewReader(text), l.Header, 1000)
	if err != nil {
		return
	}
	st, is := Alone(h)
	if !is {
		return
	}
	want, err := Read(strings.NewReader(text[:h.End]), h.End, l, func(Part) {})
	if err != nil || st.Parts != want.Parts || st.Depth != want.Depth || want.Limit != nil || (st.Odd == nil) != (want.Odd == nil) {
		t.Errorf("%q alone: %+v, read: %+v", text, st, want)
	}
}

func TestAlone(t *testing.T) {
	for _, head := range []string{"", "A: b\n", "Content-Type: text/plain\n", "Content-Type: text/plain; charset=nobody-knows\n", "Content-Type: a;=\n",
		"Content-Type: text\n", "Content-Type: /\n", "Content-Type: text/plain; a=b; a=c\n", "Content-Type: text/plain; name=\"a\n", "Content-Type:\n",
		"content-type: x/y\nContent-Type: ;;\n", "Content-Type: ;;\nContent-Type: x/y\n", "Content-Transfer-Encoding: odd\nContent-Type: x/y\n",
		"Content-Type: text/plain; charset\n", "Content-Type: text/html; charset=\"utf-8\"\n  ; x\n", "Content-Type : x/y\n"} {
		alone(t, head+"\nbody\n", Limits{Depth: 10, Parts: 20, Header: 5000})
	}
	for _, kind := range []string{"multipart/mixed; boundary=x", "message/rfc822", "MULTIPART/x", "text/plain\nContent-Type: multipart/x"} {
		h, err := message.Read(strings.NewReader("Content-Type: "+kind+"\n\n"), 5000, 10)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := Alone(h); is {
			t.Errorf("%q is one part", kind)
		}
	}
}

// FuzzRead: any octets are read within the limits, and a boundary that everybody sees is
// one.
func FuzzRead(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: x/y; name*0*=utf-8''a%2e; name*1=\"exe\"\n\nx\n--b--\n")
	f.Add("Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/digest; boundary=\"a\\b\"\r\n\r\n--ab\r\n\r\nA: b\r\n")
	f.Add("Content-Disposition: a; filename=\"=?utf-8?b?YS5leGU=?= =?x?q?=2e?=\"; filename(c)=x\n\nbegin 644 a\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := Limits{Depth: 10, Parts: 20, Header: 5000}
		st, err := Read(strings.NewReader(text), int64(len(text)), l, func(p Part) {
			for _, n := range p.Names {
				if len(n) > 2*len(text) {
					t.Fatalf("%q", n)
				}
			}
		})
		if err != nil || st.Depth > l.Depth || st.Limit == nil && st.Parts > l.Parts {
			t.Fatalf("%+v %v", st, err)
		}
		alone(t, text, l)
		const top = "Content-Type: multipart/mixed; boundary=outermost\n\n--outermost\nContent-Type: x/y; name=first.exe\n\n"
		found := false
		_, err = Read(strings.NewReader(top+text), int64(len(top+text)), l, func(p Part) { found = found || slices.Contains(p.Names, "first.exe") })
		if err != nil || !found {
			t.Fatal(found, err)
		}
	})
}
