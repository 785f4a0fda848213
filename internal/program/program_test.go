package program

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/rights"
	"paperpath/internal/status"
)

func flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "f"}, &cli.BoolFlag{Name: "t"}, &cli.BoolFlag{Name: "i"},
		&cli.StringSliceFlag{Name: "o"}, &cli.StringSliceFlag{Name: "q"},
		&cli.StringFlag{Name: "role"}, &cli.StringSliceFlag{Name: "many"}, &cli.BoolFlag{Name: "json"},
	}
}

func TestLex(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "--"},
		{"a b", "-- a b"},
		{"-t -i a", "--t --i -- a"},
		{"-ti a", "--t --i -- a"},
		{"-oi -oem a", "--o=i --o=em -- a"},
		{"-o i a", "--o=i -- a"},
		{"-fx@y a", "--f=x@y -- a"},
		{"-f x@y a", "--f=x@y -- a"},
		{"-tfx a", "--t --f=x -- a"},
		{"a -t b --role mx c", "--t --role=mx -- a b c"},
		{"--role=mx", "--role=mx --"},
		{"--json -- -t --role", "--json -- -t --role"},
		{"-q a", "--q= -- a"},
		{"-q15m a", "--q=15m -- a"},
		{"- a", "-- - a"},
		{"-f -t", "--f=-t --"},
		{"-f a -f b", "--f=a --f=b --"}, // the last one counts
		{"--role a --role a", "--role=a --role=a --"},
		{"--many a --many=b", "--many=a --many=b --"},
	} {
		got, err := lex(strings.Fields(c.in), flags(), "q")
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q became %q, %v, want %q", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"-z", "-tz", "--nope", "--t", "--role", "-f", "--json=yes", "--=x", "---", "--role a --role b", "--role=a --role=c"} {
		if got, err := lex(strings.Fields(in), flags(), ""); err == nil {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// The verb may be the first operand, but the value of an option is not an operand.
func TestFirstOperand(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "a": 0, "-t a b": 1, "-ti a": 1, "-f x a": 2, "-fx a": 1, "-tf x a": 2, "--role mx a": 2, "--role=mx a": 1,
		"-q a": 1, "-q1 a": 1, "-o i a -t": 2, "- a": 0, "-t": 1, "--json --role a": 3,
		"-t -- a": 3, "-- a": 2, "-z a": 2, "--nope a": 2, "--t a": 2, "--json=1 a": 2, "-t --role": 2,
	} {
		if at := table(flags(), "q").FirstOperand(strings.Fields(in)); at != want {
			t.Errorf("%q: %d, want %d", in, at, want)
		}
	}
}

// run runs p with its output in files and returns status, stdout and stderr.
func run(t *testing.T, p Program, args ...string) (int, string, string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	h := &home.Home{Place: rights.Place{Name: p.Name}, Stdin: open("in"), Stdout: open("out"), Stderr: open("err")}
	code := p.Run(context.Background(), h, args)
	text := func(f *os.File) string {
		f.Seek(0, io.SeekStart)
		b, _ := io.ReadAll(f)
		return string(b)
	}
	return code, text(h.Stdout), text(h.Stderr)
}

func TestRun(t *testing.T) {
	var got string
	say := func(what string, err error) Action {
		return func(_ context.Context, h *home.Home, c *cli.Context) error {
			got = what + " " + strings.Join(c.Args().Slice(), ",")
			return err
		}
	}
	p := Program{Name: "mailtest", Usage: "test", Flags: flags(), Action: say("one", nil), Verbs: []Verb{
		{Name: "run", Usage: "run it", Action: say("run", nil)},
		{Name: "user", Usage: "users", Verbs: []Verb{{Name: "add", Action: say("add", errors.New("odd\nthing")),
			Flags: []cli.Flag{&cli.StringFlag{Name: "scheme"}}}}},
		{Name: "boom", Action: func(context.Context, *home.Home, *cli.Context) error { panic("boom") }},
		{Name: "no", Action: say("no", &status.Error{Exit: status.NoMailbox, Text: "no such mailbox"})},
	}}
	for _, c := range []struct {
		args      string
		code      int
		did, says string
	}{
		{"a b", 0, "one a,b", ""},
		{"run", 0, "run ", ""},
		{"a run", 0, "one a,run", ""},
		{"-- run", 0, "one run", ""},
		{"-t -- run", 0, "one run", ""},
		{"--home run", 0, "one ", ""},
		{"-tf run run", 64, "", "mailtest: unknown option -t (see mailtest run --help)\n"},
		{"-t run", 64, "", "mailtest: unknown option -t (see mailtest run --help)\n"},
		{"--home h run", 0, "run ", ""},
		{"-z run", 64, "", "mailtest: unknown option -z (see mailtest --help)\n"},
		{"--scheme no run", 64, "", "mailtest: unknown option --scheme (see mailtest run --help)\n"},
		{"--scheme no user --home h add x", 75, "add x", "mailtest: odd thing\n"},
		{"--scheme=no user add", 75, "add ", "mailtest: odd thing\n"},
		{"user add x", 75, "add x", "mailtest: odd thing\n"},
		{"user", 64, "", "mailtest: a verb is missing (see mailtest user --help)\n"},
		{"user nope", 64, "", "mailtest: unknown verb \"nope\" (see mailtest user --help)\n"},
		{"user --home h add x", 75, "add x", "mailtest: odd thing\n"},
		{"user --home=h nope", 64, "", "mailtest: unknown verb \"nope\" (see mailtest user --help)\n"},
		{"user --home add", 64, "", "mailtest: a verb is missing (see mailtest user --help)\n"},
		{"user -- add", 64, "", "mailtest: unknown verb \"add\" (see mailtest user --help)\n"},
		{"no", 67, "no ", "mailtest: no such mailbox\n"},
		{"-z", 64, "", "mailtest: unknown option -z (see mailtest --help)\n"},
		{"run --role mx", 64, "", "mailtest: unknown option --role (see mailtest run --help)\n"},
		{"a --now yesterday", 64, "", "mailtest: time \"yesterday\" is not RFC 3339 (2026-11-23T12:00:00Z)\n"},
	} {
		got = ""
		code, out, err := run(t, p, strings.Fields(c.args)...)
		if code != c.code || got != c.did || err != c.says || out != "" {
			t.Errorf("%q: status %d, did %q, stdout %q, stderr %q", c.args, code, got, out, err)
		}
	}
	p.UsageStatus = status.TempFail // of the face without a verb alone
	for args, want := range map[string]int{"-z": 75, "a --now yesterday": 75, "-z run": 75, "run -z": 64, "user": 64, "no": 67, "a": 0} {
		if code, _, err := run(t, p, strings.Fields(args)...); code != want {
			t.Errorf("%q: status %d, want %d, %q", args, code, want, err)
		}
	}
	code, _, err := run(t, p, "boom")
	if code != 75 || !strings.HasPrefix(err, "mailtest: panic: boom\n") {
		t.Errorf("a panic gave %d, %q", code, err)
	}
	code, out, err := run(t, p, "--version")
	if code != 0 || out != "mailtest "+Version+"\n" || err != "" {
		t.Errorf("--version gave %d, %q, %q", code, out, err)
	}
	code, out, err = run(t, p, "x", "--help")
	if code != 0 || !strings.Contains(out, "usage: mailtest [options]") || !strings.Contains(out, "run it") || err != "" {
		t.Errorf("--help gave %d, %q, %q", code, out, err)
	}
}

func TestOptionsBeforeAVerb(t *testing.T) {
	var got string
	say := func(what string) Action {
		return func(_ context.Context, h *home.Home, c *cli.Context) error {
			got = what + " " + filepath.Base(h.Dir) + " " + strings.Join(c.Args().Slice(), ",")
			return nil
		}
	}
	p := Program{Name: "mailtest", Verbs: []Verb{
		{Name: "queue", Action: say("list"), Verbs: []Verb{{Name: "hold", Action: say("hold")}}},
	}}
	for args, want := range map[string]string{
		"queue --home h":         "list h ",
		"--home h queue":         "list h ",
		"--home=h queue":         "list h ",
		"--home queue queue":     "list queue ",
		"--home h queue hold x":  "hold h x",
		"--home h queue x hold":  "list h x,hold",
		"queue --home h hold":    "hold h ",
		"queue --home h -- hold": "list h hold",
		"--now 2026-11-23T12:00:00Z --home h queue hold x": "hold h x",
	} {
		got = ""
		if code, _, err := run(t, p, strings.Fields(args)...); code != 0 || got != want {
			t.Errorf("%q: status %d, did %q, want %q, stderr %q", args, code, got, want, err)
		}
	}
}
