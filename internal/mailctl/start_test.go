package mailctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/internal/clock"
	"paperpath/internal/control"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
	"paperpath/internal/status"
)

// TestMain is also a service: the scripts that the tests write call the test
// program for what a shell cannot do.
func TestMain(m *testing.M) {
	switch os.Getenv("CTL_TEST_SERVICE") {
	case "":
		os.Exit(m.Run())
	case "ready":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		sayReady()
		<-stop
		os.WriteFile(os.Getenv("CTL_TEST_OUT")+".stopped", nil, 0o600)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		sayReady()
		for { // select {} would be a deadlock without cgo
			time.Sleep(time.Hour)
		}
	case "once":
		sayToStart("STATUS=" + os.Getenv("CTL_TEST_SAYS") + "\nREADY=1\n")
		os.Exit(0)
	case "says":
		sayToStart("STATUS=no \a certificate\n")
		for {
			time.Sleep(time.Hour)
		}
	case "start":
		runStart()
	}
}

func sayReady() { sayToStart("STATUS=fine\nREADY=1\n") }

func sayToStart(lines string) {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(status.TempFail)
	}
	conn.Write([]byte(lines))
}

// runStart is mailctl start in a process of its own.
func runStart() {
	dir := os.Getenv("PAPERPATH_HOME")
	h := &home.Home{Place: rights.Place{Dir: dir}, Control: control.Open(dir, time.Now), Stdout: os.Stdout, Stderr: os.Stderr}
	os.Setenv("CTL_TEST_SERVICE", "")
	fmt.Fprintln(os.Stderr, Start(context.Background(), h))
}

// stage is a home with services that are shell scripts in a directory of PATH.
type stage struct {
	t              *testing.T
	bin            string
	out            string // a prefix of files that services write
	stdout, stderr *os.File
	home           *home.Home
}

func newStage(t *testing.T, services ...string) *stage {
	t.Helper()
	dir := newHome(t)
	s := &stage{t: t, bin: t.TempDir()}
	s.out = filepath.Join(s.bin, "out")
	t.Setenv("PATH", s.bin+":"+os.Getenv("PATH"))
	t.Setenv("CTL_TEST_OUT", s.out)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"ready", "stubborn"} {
		s.script("x-"+mode, "CTL_TEST_SERVICE="+mode+" exec "+self)
	}
	if err := os.WriteFile(filepath.Join(dir, "control", "services"), []byte(strings.Join(services, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.stdout, s.stderr = s.file("stdout"), s.file("stderr")
	s.home = &home.Home{Place: rights.Place{Name: "mailctl", Dir: dir}, Control: control.Open(dir, time.Now),
		Log: maillog.Open(dir, "mailctl", func() string { return "" }, time.Now), Stdout: s.stdout, Stderr: s.stderr}
	return s
}

func (s *stage) file(name string) *os.File {
	f, err := os.Create(filepath.Join(s.bin, name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	return f
}

func (s *stage) script(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) read(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

func (s *stage) log() string { return s.read(filepath.Join(s.home.Dir, "log", "mail.log")) }

// wait waits until ok returns true, at most a minute.
func (s *stage) wait(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("no %s; stderr %q, log %q", what, s.read(s.stderr.Name()), s.log())
		}
	}
}

// start runs Start until stop is called, which returns its error.
func (s *stage) start() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Start(ctx, s.home) }()
	stop = func() error { cancel(); return <-done }
	s.t.Cleanup(cancel)
	return stop
}

func (s *stage) isReady() bool { return s.read(s.stdout.Name()) == "ready\n" }

func TestStart(t *testing.T) {
	s := newStage(t, "x-ready", "x-env 'a b' c")
	self, _ := os.Executable()
	s.script("x-env", `printf '%s\n' "$#" "$1" "$PAPERPATH_HOME" "${LISTEN_FDS-unset}" "${NOTIFY_SOCKET%%-*}" >"$CTL_TEST_OUT"
echo to stdout
CTL_TEST_SERVICE=ready exec `+self)
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("NOTIFY_SOCKET", "/run/other")
	stop := s.start()
	s.wait("ready", s.isReady)
	if got, want := s.read(s.out), "2\na b\n"+s.home.Dir+"\nunset\n@paperpath\n"; got != want {
		t.Errorf("the service got %q, want %q", got, want)
	}
	if got := s.read(s.stderr.Name()); got != "to stdout\n" {
		t.Errorf("stderr %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !exists(s.out + ".stopped") {
		t.Error("the service saw no SIGTERM")
	}
	if n := strings.Count(s.log(), "event=exited"); n != 2 || strings.Count(s.log(), "event=started") != 2 {
		t.Errorf("log %q", s.log())
	}
}

func TestStartRestarts(t *testing.T) {
	s := newStage(t, "x-ready", "x-dies")
	s.script("x-dies", `echo . >>"$CTL_TEST_OUT"; [ "$(wc -l <"$CTL_TEST_OUT")" -lt 2 ] && exit 75; exec x-ready`)
	stop := s.start()
	s.wait("ready", s.isReady)
	if got := s.read(s.out); got != ".\n.\n" {
		t.Errorf("runs: %q", got)
	}
	if got := s.read(s.stderr.Name()); got != "mailctl: control/services:2: x-dies: exit status 75\n" {
		t.Errorf("stderr %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestStartReportsUsageErrors(t *testing.T) {
	s := newStage(t, "x-ready", "x-usage --rle mx")
	s.script("x-usage", "exit 64")
	err := Start(t.Context(), s.home)
	if status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "control/services:2: ") || !strings.Contains(err.Error(), `"x-usage --rle mx"`) {
		t.Error(err)
	}
	if s.isReady() || strings.Count(s.log(), "event=exited") != 2 {
		t.Errorf("stdout %q, log %q", s.read(s.stdout.Name()), s.log())
	}
}

func TestStartRefuses(t *testing.T) {
	for services, want := range map[string]string{
		"# none":            "control/services has no commands",
		"x-ready\nx-absent": "control/services:2: x-absent is neither next to mailctl nor in PATH",
	} {
		s := newStage(t, services)
		if err := Start(t.Context(), s.home); status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if s.log() != "" {
			t.Error("something was started:", s.log())
		}
	}
	s := newStage(t, "x-ready")
	os.Remove(filepath.Join(s.home.Dir, "spool", ".paperpath"))
	if err := Start(t.Context(), s.home); status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), s.home.Dir+"/spool") {
		t.Error(err)
	}
}

func TestStartOnce(t *testing.T) {
	s := newStage(t, "x-ready")
	stop := s.start()
	s.wait("ready", s.isReady)
	other := newStage(t)
	other.home.Dir = s.home.Dir
	if err := Start(t.Context(), other.home); status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "another mailctl start") {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	unlock, err := lockRun(filepath.Join(s.home.Dir, "run"))
	if err != nil {
		t.Fatal("the lock stays:", err)
	}
	unlock()
}

func TestStopKillsWhatStays(t *testing.T) {
	s := newStage(t)
	g := newGroup(s.home)
	g.grace = 50 * time.Millisecond
	sv, err := g.service(control.Service{Args: []string{"x-stubborn"}, Where: "control/services:1"})
	if err != nil {
		t.Fatal(err)
	}
	g.services = []*service{sv}
	ctx, stop := context.WithCancel(t.Context())
	// Ready means that the signal is ignored by now; then ctx ends.
	if err := g.run(ctx, takeNothing, func() error { stop(); return nil }); err != nil {
		t.Error(err)
	}
	if !strings.Contains(s.log(), `how="signal: killed"`) {
		t.Errorf("log %q", s.log())
	}
}

func TestBackoffGrows(t *testing.T) {
	s := newStage(t)
	s.script("x-dies", `echo . >>"$CTL_TEST_OUT"; exit 75`)
	g := newGroup(s.home)
	g.firstWait, g.lastWait = time.Millisecond, time.Hour
	sv, err := g.service(control.Service{Args: []string{"x-dies"}, Where: "control/services:1"})
	if err != nil {
		t.Fatal(err)
	}
	g.services = []*service{sv}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	begun := time.Now()
	go func() {
		done <- g.run(ctx, takeNothing, func() error { return errors.New("never ready") })
	}()
	s.wait("seven runs", func() bool { return len(s.read(s.out)) >= 14 })
	// There are waits of 1, 2, 4, ... 32 ms between seven runs.
	if took := time.Since(begun); took < 63*time.Millisecond {
		t.Errorf("seven runs in %v", took)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClockIsHandedOn(t *testing.T) {
	s := newStage(t, "x-now")
	s.script("x-now", `echo "$PAPERPATH_NOW" >"$CTL_TEST_OUT"; exec x-ready`)
	shifted, err := clock.Parse("2030-01-02T03:04:05Z")
	if err != nil {
		t.Fatal(err)
	}
	s.home.Clock = shifted
	stop := s.start()
	s.wait("ready", s.isReady)
	if got := s.read(s.out); !strings.HasPrefix(got, "2030-01-02T03:0") {
		t.Error(got)
	}
	stop()
}

// Services do not outlive a mailctl that was killed.
func TestServicesEndWithTheirParent(t *testing.T) {
	s := newStage(t, "x-pid")
	s.script("x-pid", `echo $$ >"$CTL_TEST_OUT"; exec x-ready`)
	self, _ := os.Executable()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CTL_TEST_SERVICE=start", "PAPERPATH_HOME="+s.home.Dir)
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); string(line) != "ready\n" {
		t.Fatalf("%q %v, stderr %q", line, err, s.read(s.stderr.Name()))
	}
	var pid int
	fmt.Sscan(s.read(s.out), &pid)
	if pid == 0 || syscall.Kill(pid, 0) != nil {
		t.Fatalf("no service with pid %d", pid)
	}
	cmd.Process.Kill()
	cmd.Wait()
	s.wait("end of the service", func() bool {
		stat := s.read(fmt.Sprintf("/proc/%d/stat", pid))
		return stat == "" || strings.Contains(stat, ") Z ")
	})
}

// While a row is broken, new services are started but none is stopped; once no row is
// broken, those that are gone are stopped.
func TestReloadBesideBrokenRows(t *testing.T) {
	s := newStage(t)
	s.script("x-say", `trap 'echo "ended $1" >>"$CTL_TEST_OUT"; exit 0' TERM
echo "started $1" >>"$CTL_TEST_OUT"; while :; do sleep 1; done`)
	g := newGroup(s.home)
	ctx, stop := context.WithCancel(t.Context())
	has := func(line string) func() bool {
		return func() bool { return strings.Contains(s.read(s.out), line+"\n") }
	}
	reload := func(broken bool, names ...string) error {
		var rows []control.Service
		for i, name := range names {
			rows = append(rows, control.Service{Args: strings.Fields(name), Where: fmt.Sprintf("control/services:%d", i+1)})
		}
		return g.reload(ctx, rows, broken)
	}
	if err := reload(false, "x-say a", "x-say b"); err != nil {
		t.Error(err)
	}
	s.wait("both", func() bool { return has("started a")() && has("started b")() })
	if err := reload(true, "x-say a", "x-say c"); err != nil {
		t.Error(err)
	}
	s.wait("the new one", has("started c"))
	if err := reload(false, "x-say b", "x-nowhere", "x-say d"); err == nil || !strings.Contains(err.Error(), "control/services:2: ") {
		t.Error(err)
	}
	s.wait("the new one beside a program that is not there", has("started d"))
	if err := reload(true); err == nil || len(g.services) != 4 {
		t.Error(err, len(g.services))
	}
	if strings.Contains(s.read(s.out), "ended") {
		t.Errorf("%q", s.read(s.out))
	}
	if err := reload(false, "x-say b", "x-say d"); err != nil {
		t.Error(err)
	}
	s.wait("their end", func() bool { return has("ended a")() && has("ended c")() })
	if strings.Contains(s.read(s.out), "ended b") || strings.Contains(s.read(s.out), "ended d") {
		t.Errorf("%q", s.read(s.out))
	}
	stop()
	g.running.Wait()
}

// takeNothing is for a group without signals and orders.
func takeNothing(context.Context, func()) (func(), error) { return func() {}, nil }
