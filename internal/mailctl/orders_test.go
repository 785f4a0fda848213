package mailctl

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/internal/status"
)

// services writes control/services.
func (s *stage) services(rows ...string) {
	s.t.Helper()
	text := strings.Join(rows, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(s.home.Dir, "control", "services"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) reload() (string, error) {
	var out bytes.Buffer
	err := Check{Home: s.home.Dir, Control: s.home.Control, Now: time.Now(), Out: &out}.Reload()
	return out.String(), err
}

func TestStop(t *testing.T) {
	s := newStage(t, "x-ready")
	var notes bytes.Buffer
	if err := Stop(s.home.Dir, &notes); err != nil || !strings.Contains(notes.String(), "no mailctl start runs this home") {
		t.Errorf("where nothing runs: %v, %q", err, notes.String())
	}
	end := s.start()
	s.wait("ready", s.isReady)
	info, err := os.Stat(filepath.Join(s.home.Dir, ordersName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	notes.Reset()
	if err := Stop(s.home.Dir, &notes); err != nil || notes.Len() > 0 {
		t.Errorf("%v, %q", err, notes.String())
	}
	// The service has ended and run/ is free when Stop returns.
	if !exists(s.out + ".stopped") {
		t.Error("the service saw no SIGTERM")
	}
	unlock, err := lockRun(filepath.Join(s.home.Dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := end(); err != nil {
		t.Error(err)
	}
	if exists(filepath.Join(s.home.Dir, ordersName)) {
		t.Error("the socket stays")
	}
}

// Stop ends a start that is not ready yet, too.
func TestStopBeforeReady(t *testing.T) {
	s := newStage(t, "x-dies")
	s.script("x-dies", "exit 75")
	end := s.start()
	s.wait("an end", func() bool { return strings.Contains(s.log(), "event=exited") })
	if err := Stop(s.home.Dir, os.Stderr); err != nil {
		t.Error(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// A killed start leaves its socket, which the next one replaces and Stop understands.
func TestStaleSocket(t *testing.T) {
	s := newStage(t, "x-ready")
	path := filepath.Join(s.home.Dir, ordersName)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := Stop(s.home.Dir, new(bytes.Buffer)); err != nil {
		t.Error(err)
	}
	unlock, err := lockRun(filepath.Join(s.home.Dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Stop(s.home.Dir, new(bytes.Buffer)); status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), "by a signal") {
		t.Errorf("a start without its socket: %v", err)
	}
	unlock()
	end := s.start()
	s.wait("ready", s.isReady)
	if err := Stop(s.home.Dir, os.Stderr); err != nil {
		t.Error(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// A service that can never be ready is mended by a reload, while start still waits for it.
func TestReloadMends(t *testing.T) {
	s := newStage(t, "x-ready", "x-dies")
	s.script("x-dies", "exit 75")
	if _, err := s.reload(); status.Exit(err) != status.TempFail || !strings.Contains(err.Error(), errNotRunning.Error()) {
		t.Errorf("where nothing runs: %v", err)
	}
	end := s.start()
	s.wait("an end", func() bool { return strings.Contains(s.log(), "event=exited") })
	s.services("x-ready", "x-nowhere")
	if out, err := s.reload(); status.Exit(err) != status.Refused || !strings.Contains(err.Error(), "control/services:2: x-nowhere") {
		t.Errorf("%q, %v", out, err)
	}
	s.services("x-ready", "mailroute wach")
	if out, err := s.reload(); status.Exit(err) != status.Refused || !strings.Contains(out, "`mailroute watch`") {
		t.Errorf("%q, %v", out, err)
	}
	if s.isReady() {
		t.Error("ready, while x-dies is still a service")
	}
	s.services("x-ready")
	if out, err := s.reload(); err != nil {
		t.Errorf("%q, %v", out, err)
	}
	s.wait("ready", s.isReady)
	if err := end(); err != nil {
		t.Error(err)
	}
}

// What is not an order gets no answer, and harms nobody.
func TestBadOrders(t *testing.T) {
	s := newStage(t, "x-ready")
	end := s.start()
	s.wait("ready", s.isReady)
	for _, text := range []string{"", "stop", "nonsense\n", "STOP\n", strings.Repeat("a", 1000) + "\n", "\x00\n"} {
		conn, err := net.Dial("unix", filepath.Join(s.home.Dir, ordersName))
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		conn.Write([]byte(text))
		conn.(*net.UnixConn).CloseWrite()
		if n, err := conn.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
			t.Errorf("%q is answered: %v", text, err)
		}
		conn.Close()
	}
	a, err := askStart(s.home.Dir, "state")
	if err != nil || len(a.Services) != 1 || !a.Services[0].Ready {
		t.Errorf("%+v, %v", a, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// Start names who is not ready, in its own words, and tells the service manager after a
// while that the others work.
func TestNotReady(t *testing.T) {
	s := newStage(t, "x-ready", "x-says", "x-dies")
	self, _ := os.Executable()
	s.script("x-says", `CTL_TEST_SERVICE=says exec `+self)
	s.script("x-dies", "exit 71")
	above, err := listenNotify(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer above.close()
	t.Setenv("NOTIFY_SOCKET", above.address)
	g := newGroup(s.home)
	g.patience = 50 * time.Millisecond
	rows, err := s.home.Control.Services()
	if err != nil {
		t.Fatal(err)
	}
	if g.services, err = g.servicesOf(rows); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.run(t.Context(), takeNothing, func() error { return nil }) }()
	t.Cleanup(func() { <-done })
	s.wait("the words", func() bool {
		list := g.states()
		return list[0].Ready && list[1].Says == "no \\x07 certificate" && list[2].Ends > 0
	})
	heard := make(chan string, 100)
	isReady := make(chan struct{})
	go above.hear(func(text string) { heard <- text }, func() { close(isReady) })
	late := time.After(time.Minute)
	select {
	case <-isReady:
	case <-late:
		t.Fatal("the service manager was told nothing")
	}
	// It is told again and again; at first the services may not have said much.
	for got := ""; !strings.HasPrefix(got, "1 of 3 services ready; not ready: control/services:2: x-says") ||
		!strings.Contains(got, "certificate; control/services:3: x-dies has ended ") || !strings.Contains(got, "exit status 71"); {
		select {
		case got = <-heard:
		case <-late:
			t.Fatalf("%q", got)
		}
	}
	s.wait("the names on standard error", func() bool {
		text := s.read(s.stderr.Name())
		return strings.Contains(text, "mailctl: not ready yet: control/services:2: x-says has not said that it is ready: no") &&
			strings.Contains(text, "mailctl: not ready yet: control/services:3: x-dies has ended ")
	})
}

// Only root and the owner speak for a service: the socket's name is no secret.
func TestNotifyOfStrangers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can send as another user")
	}
	n, err := listenNotify(nil)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.hear(func(text string) { heard <- text }, func() { heard <- "ready" })
	}()
	for _, uid := range []uint32{61000, 0} {
		self, _ := os.Executable()
		cmd := exec.Command(self)
		cmd.Dir = "/"
		cmd.Env = []string{"CTL_TEST_SERVICE=once", "NOTIFY_SOCKET=" + n.address, "CTL_TEST_SAYS=" + strconv.Itoa(int(uid))}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Path = filepath.Join(passable(t), "self")
		if err := copyFile(self, cmd.Path); err != nil {
			t.Fatal(err)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("as uid %d: %v %s", uid, err, out)
		}
	}
	n.end()
	<-done
	n.close()
	close(heard)
	var got []string
	for text := range heard {
		got = append(got, text)
	}
	if len(got) != 2 || got[0] != "0" || got[1] != "ready" {
		t.Errorf("heard %q", got)
	}
}

// passable is a directory that every user can reach.
func passable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "paperpath-notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}
