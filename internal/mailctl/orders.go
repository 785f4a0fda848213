package mailctl

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// ordersName is the socket on which a running mailctl start takes orders: a line each,
// reload, stop or state. Only the owner of the home and root reach it.
const ordersName = "run/start"

const (
	maxOrder    = 64               // octets of an order
	readTime    = 2 * time.Second  // for an order to arrive
	orderTime   = 20 * time.Second // for it to be answered
	maxAnswer   = 1 << 20          // octets that are read back
	stoppedTime = grace + 10*time.Second
)

// answer is what start says to reload and state.
type answer struct {
	Error    string         `json:"error,omitempty"` // of a reload
	Services []serviceState `json:"services,omitempty"`
}

// orders are taken on the socket and carried out one at a time.
type orders struct {
	socket net.Listener
	reload func() error
	stop   func()
	state  func() []serviceState
	log    *maillog.Log

	mu      sync.Mutex
	waiting []net.Conn // for the end
}

// listen opens the socket, whose name only the holder of the lock on run/ may take, and
// serves it until close is called, which waits for an order under way.
func (o *orders) listen(home string) (close func(), err error) {
	if o.socket, err = listen.ListenUnix(filepath.Join(home, ordersName), 0o600); err != nil {
		return nil, fmt.Errorf("listen for orders: %w", err)
	}
	var serving sync.WaitGroup
	serving.Go(o.serve)
	return func() { o.socket.Close(); serving.Wait() }, nil
}

// serve takes orders until the socket is closed.
func (o *orders) serve() {
	for {
		conn, err := o.socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			o.log.Trouble("", "take orders", err)
			time.Sleep(time.Second) // out of descriptors: not at once again
			continue
		}
		if err := status.Guard(func() error { return o.answer(conn) }); err != nil {
			o.log.Trouble("", "take orders", err)
		}
	}
}

// release tells those who have ordered the end that it has come.
func (o *orders) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, conn := range o.waiting {
		conn.Close()
	}
}

// answer carries out the order of a connection.
func (o *orders) answer(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(readTime)); err != nil {
		return errors.Join(err, conn.Close())
	}
	line, err := bufio.NewReader(io.LimitReader(conn, maxOrder)).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("read an order: %w", err), conn.Close())
	}
	var a answer
	switch line {
	case "stop\n":
		o.mu.Lock()
		defer o.mu.Unlock()
		o.waiting = append(o.waiting, conn)
		o.stop()
		return nil
	case "reload\n":
		if err := o.reload(); err != nil {
			a.Error = err.Error()
		}
	case "state\n":
	default:
		return errors.Join(fmt.Errorf("unknown order %q", line), conn.Close())
	}
	a.Services = o.state()
	_ = conn.SetDeadline(time.Now().Add(readTime)) // a reload may have taken longer
	return errors.Join(json.NewEncoder(conn).Encode(a), conn.Close())
}

// errNotRunning says that no mailctl start runs the home.
var errNotRunning = errors.New("no mailctl start runs this home")

// order gives an order to the mailctl start that runs a home and returns what it says.
func order(home, word string, limit time.Duration) ([]byte, error) {
	path := filepath.Join(home, ordersName)
	conn, err := listen.DialUnix(path, readTime)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNotRunning
	}
	if err != nil {
		return nil, &os.PathError{Op: "connect to", Path: path, Err: err}
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, word+"\n"); err != nil {
		return nil, fmt.Errorf("order %s: %w", word, err)
	}
	text, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, status.Temp("4.3.0", fmt.Sprintf("mailctl start has not done %s within %v", word, limit), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("order %s: %w", word, err)
	}
	return text, nil
}

// askStart gives an order that is answered.
func askStart(home, word string) (a answer, err error) {
	text, err := order(home, word, orderTime)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("the answer to %s: %w", word, err)
	}
	return a, nil
}

// Stop ends the mailctl start that runs a home, and returns when it and its services have
// ended. Where none runs, there is nothing to do.
func Stop(home string, notes io.Writer) error {
	_, err := order(home, "stop", stoppedTime)
	if !errors.Is(err, errNotRunning) {
		return err
	}
	if err := spool.CheckHome(home); err != nil {
		return err
	}
	unlock, err := lockRun(filepath.Join(home, "run"))
	if errors.Is(err, fs.ErrNotExist) {
		return err
	} else if err != nil {
		return status.Temp("4.3.0", "a mailctl start runs this home, but takes no orders: end it by a signal", err)
	}
	unlock()
	_, err = fmt.Fprintf(notes, "mailctl: %v\n", errNotRunning)
	return err
}

// Reload checks the settings, prints what is wrong with them, and has the mailctl start
// that runs the home read them again. What is right counts even where something is wrong,
// which is exit status 65.
func (k Check) Reload() error {
	r := examine(k.Home, k.Control, k.Now)
	if err := tellFindings(k.Out, r); err != nil {
		return err
	}
	a, err := askStart(k.Home, "reload")
	switch {
	case errors.Is(err, errNotRunning):
		return status.Temp("4.3.0", errNotRunning.Error()+": services that others supervise take SIGHUP", nil)
	case err != nil:
		return err
	case a.Error != "":
		return refused("%s", a.Error)
	}
	return k.verdict(r)
}
