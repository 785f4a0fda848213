package script

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paperpath/test/harness"
)

func cmdHome(ts *testscript.TestScript, args []string) {
	dir := ts.Getenv("PAPERPATH_HOME")
	h, err := programs.NewHome(dir, args...)
	ts.Check(err)
	for name, addr := range h.Addr {
		ts.Setenv(strings.ToUpper(name), addr)
	}
	ts.Setenv("LOG", filepath.Join(dir, "log", "mail.log"))
}

func cmdStart(ts *testscript.TestScript, args []string) {
	h := &harness.Home{Dir: ts.Getenv("PAPERPATH_HOME"), Programs: programs}
	s, err := h.Start()
	ts.Check(err)
	ts.Setenv("STARTPID", strconv.Itoa(s.PID()))
	ts.SetCmd("terminate", word("terminate", func(ts *testscript.TestScript, _ []string) {
		ts.Check(s.Stop())
	}))
	deferEnd(ts, "mailctl start", s.Stop)
}

// deferEnd ends a server with the script, which fails where that is no clean
// end: outside a line ts.Fatalf would be a panic that nobody catches.
func deferEnd(ts *testscript.TestScript, what string, end func() error) {
	t := ts.Value(keyT{}).(testscript.T)
	ts.Defer(func() {
		if err := end(); err != nil {
			t.Fatal(what, err)
		}
	})
}

func cmdTerminate(ts *testscript.TestScript, args []string) {
	ts.Fatalf("nothing was started")
}

func cmdStatus(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit status %d, want %d", args[1], got, want)
	}
}

func cmdControl(ts *testscript.TestScript, args []string) {
	h := &harness.Home{Dir: ts.Getenv("PAPERPATH_HOME")}
	ts.Check(h.Set(args[0], args[1:]...))
}

func cmdBytes(ts *testscript.TestScript, args []string) {
	var all string
	for _, quoted := range args[1:] {
		s, err := strconv.Unquote(`"` + quoted + `"`)
		ts.Check(err)
		all += s
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(all), 0o644))
}

func cmdFill(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	ts.Check(err)
	_, err = f.WriteString(strings.Repeat("x", n) + "\n")
	ts.Check(err)
	ts.Check(f.Close())
}

func glob(ts *testscript.TestScript, pattern string) []string {
	names, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	return names
}

func cmdGlob(ts *testscript.TestScript, args []string) {
	// Where there is no directory there are no files, whatever the pattern means.
	if args[0] == "0" && len(glob(ts, filepath.Dir(args[1]))) == 0 {
		ts.Fatalf("no directory matches %s", filepath.Dir(args[1]))
	}
	if names := glob(ts, args[1]); strconv.Itoa(len(names)) != args[0] {
		ts.Fatalf("%d files match %s, want %s: %s", len(names), args[1], args[0], strings.Join(names, " "))
	}
}

func only(ts *testscript.TestScript, pattern string) []byte {
	names := glob(ts, pattern)
	if len(names) != 1 {
		ts.Fatalf("%d files match %s, want 1: %s", len(names), pattern, strings.Join(names, " "))
	}
	data, err := os.ReadFile(names[0])
	ts.Check(err)
	return data
}

func cmdKeyof(ts *testscript.TestScript, args []string) {
	names := glob(ts, args[1])
	if len(names) != 1 {
		ts.Fatalf("%d files match %s, not one", len(names), args[1])
	}
	key, _, _ := strings.Cut(filepath.Base(names[0]), ",")
	ts.Setenv(args[0], key)
}

func cmdOne(ts *testscript.TestScript, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), only(ts, args[0]), 0o644))
}

func cmdBody(ts *testscript.TestScript, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), harness.Body(only(ts, args[0])), 0o644))
}

// waitLimit is generous: it only bounds a test that fails.
const waitLimit = time.Minute

func cmdWaitfor(ts *testscript.TestScript, args []string) {
	what := strings.Join(args, " ")
	var cond func() bool
	switch args[0] {
	case "glob":
		cond = func() bool { return strconv.Itoa(len(glob(ts, args[2]))) == args[1] }
	case "grep":
		re, err := regexp.Compile("(?m)" + args[1])
		ts.Check(err)
		cond = func() bool { return anyMatch(re, glob(ts, args[2])) }
	default:
		ts.Fatalf("waitfor: glob or grep, not %s", args[0])
	}
	if err := harness.Wait(what, waitLimit, cond); err != nil {
		h := &harness.Home{Dir: ts.Getenv("PAPERPATH_HOME")}
		ts.Fatalf("%v\n%s", err, h.Describe())
	}
}

func anyMatch(re *regexp.Regexp, names []string) bool {
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil && re.Match(data) {
			return true
		}
	}
	return false
}

func cmdMount(ts *testscript.TestScript, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(mountTmpfs(dir, args[1]))
	ts.Defer(func() { unmount(dir) })
}

func mountTmpfs(dir, options string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, options)
}

func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }

// cmdServe starts a server whose arguments say ADDR where it shall listen,
// waits until it accepts, and ends it with the script.
func cmdServe(ts *testscript.TestScript, args []string) {
	addr := harness.FreeAddr()
	words := make([]string, 0, len(args))
	for _, w := range args[2:] {
		words = append(words, strings.ReplaceAll(w, "ADDR", addr))
	}
	dir := ts.Getenv("PAPERPATH_HOME")
	cmd := exec.Command(programs.Path(args[1]), words...)
	cmd.Env = programs.Env(dir)
	errs, err := os.OpenFile(ts.MkAbs(args[0]+".stderr"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	ts.Check(err)
	defer errs.Close()
	cmd.Stderr = errs
	ts.Check(cmd.Start())
	deferEnd(ts, args[1], func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		return cmd.Wait()
	})
	ts.Setenv(args[0], addr)
	ts.Setenv(args[0]+"PID", strconv.Itoa(cmd.Process.Pid))
	ts.Check(harness.Wait(args[1]+" to accept at "+addr, waitLimit, func() bool {
		c, err := harness.Dial(addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}))
}

func cmdMissing(ts *testscript.TestScript, args []string) {
	if harness.Missing(args[0]) {
		ts.Fatalf("%s", args[0])
	}
}

func cmdDown(ts *testscript.TestScript, args []string) {
	if c, err := harness.Dial(args[0]); err == nil {
		c.Close()
		ts.Fatalf("%s still accepts", args[0])
	}
}

// cmdKilled kills one service of the system that start began.
func cmdKilled(ts *testscript.TestScript, args []string) {
	parent, err := strconv.Atoi(ts.Getenv("STARTPID"))
	ts.Check(err)
	for _, pid := range harness.Descendants(parent) {
		line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		words := strings.Split(string(line), "\x00")
		words[0] = filepath.Base(words[0])
		if strings.HasPrefix(strings.Join(words, " "), args[0]) {
			ts.Check(syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
	ts.Fatalf("no service %q runs", args[0])
}
