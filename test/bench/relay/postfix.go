package relay

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"paperpath/test/bench"
	"paperpath/test/bench/mta"
	"paperpath/test/harness"
)

// postfixSettings are what Postfix has beside its defaults. Numbers of processes, of
// connections and of recipients, connection reuse and writing to disk are as shipped.
// Without in_flow_delay accepting does not wait for the queue manager, which is not there
// yet.
const postfixSettings = `myhostname = postfix.example
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
in_flow_delay = 0
transport_maps = texthash:%s/etc/transport
`

// postfix is an instance whose queue manager comes when its queue has been filled.
type postfix struct {
	*harness.Postfix
	addr   string
	server *bench.Server
	waits  putAway
}

// newPostfix starts Postfix without its queue manager.
func newPostfix(dir string, transports []string) (*postfix, error) {
	p := &postfix{addr: harness.FreeAddr()}
	var err error
	if p.Postfix, err = harness.NewPostfix(dir, fmt.Sprintf(postfixSettings, dir)+mta.PostfixBoxes(dir), p.services("")); err != nil {
		return nil, err
	}
	if err := mta.PostfixUsers(p.Postfix, locals(localMost)[0].users()); err != nil {
		return nil, err
	}
	if err := p.Write("transport", strings.Join(transports, "\n")+"\n"); err != nil {
		return nil, err
	}
	return p, p.start()
}

// services is master.cf.
func (p *postfix) services(more string) string {
	return p.addr + " inet n - n - - smtpd\n" + harness.PostfixServices + mta.PostfixVirtual + more
}

// start runs Postfix.
func (p *postfix) start() (err error) {
	p.server, err = bench.Start("Postfix", p.addr, p.Command(), mta.Greets)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Log())
	}
	return nil
}

// restart ends Postfix with all that it does, and starts it again with an empty queue.
func (p *postfix) restart() error {
	p.server.Stop()
	return errors.Join(p.Services(p.services("")), p.forget(), p.start())
}

// queued implements relayer.
func (p *postfix) queued() int { return p.Queued() }

// fill submits messages by SMTP to a queue that nobody works on.
func (p *postfix) fill(list []letter) error {
	if err := p.send(list); err != nil {
		return err
	}
	if n := p.queued(); n != len(list) {
		return fmt.Errorf("fill Postfix's queue: it has %d messages, not %d\n%s", n, len(list), p.Log())
	}
	return nil
}

// send submits messages by SMTP, over some sessions.
func (p *postfix) send(list []letter) error {
	const sessions = 20
	work := make(chan letter, len(list))
	for _, l := range list {
		work <- l
	}
	close(work)
	errs := make([]error, sessions)
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() { errs[i] = p.submit(work) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("fill Postfix's queue: %w\n%s", err, p.Log())
	}
	return nil
}

func (p *postfix) submit(work chan letter) error {
	c, err := harness.Dial(p.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Expect("220", ""); err != nil {
		return err
	}
	if _, err := c.Expect("250", "EHLO client.example"); err != nil {
		return err
	}
	for l := range work {
		if _, err := c.Transfer(sender, l.to, []byte(l.text)); err != nil {
			return err
		}
	}
	_, err = c.Expect("221", "QUIT")
	return err
}

// stand starts the queue manager, whose queue is put away for so long.
func (p *postfix) stand() error {
	return errors.Join(p.waits.away(filepath.Join(p.Dir, "spool", "incoming")), p.manage())
}

// manage starts the queue manager.
func (p *postfix) manage() error {
	return errors.Join(p.become(harness.PostfixQueueManager), p.manages(true))
}

// begin gives it the queue, and tells it so as cleanup(8) and postkick(1) do.
func (p *postfix) begin() error {
	if err := p.waits.back(); err != nil {
		return err
	}
	c, err := net.Dial("unix", filepath.Join(p.Dir, "spool", "public", "qmgr"))
	if err != nil {
		return fmt.Errorf("wake Postfix's queue manager: %w", err)
	}
	defer c.Close()
	_, err = c.Write([]byte("I"))
	return err
}

// end waits until the queue is empty, and takes the queue manager away again.
func (p *postfix) end() error {
	err := harness.Wait("Postfix's queue to be empty", time.Minute, func() bool { return p.queued() == 0 })
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Log())
	}
	return p.halt()
}

// halt ends the queue manager and forgets what is still queued.
func (p *postfix) halt() error {
	if err := p.become(""); err != nil {
		return err
	}
	return errors.Join(p.manages(false), p.forget())
}

// manages waits until Postfix has a queue manager, or has none any more.
func (p *postfix) manages(yes bool) error {
	return harness.Wait(fmt.Sprintf("a queue manager of Postfix: %v", yes), time.Minute, func() bool {
		return yes == slices.ContainsFunc(harness.Descendants(p.server.PID()), func(pid int) bool {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			return string(name) == "qmgr\n"
		})
	})
}

// forget removes what is queued.
func (p *postfix) forget() (err error) {
	for _, name := range []string{"incoming", "active", "deferred", "defer"} {
		files, _ := filepath.Glob(filepath.Join(p.Dir, "spool", name, "*"))
		for _, f := range files {
			err = errors.Join(err, os.RemoveAll(f))
		}
	}
	return err
}

// become has Postfix read master.cf again, with more services.
func (p *postfix) become(more string) error {
	if err := p.Services(p.services(more)); err != nil {
		return err
	}
	return syscall.Kill(p.server.PID(), syscall.SIGHUP)
}
