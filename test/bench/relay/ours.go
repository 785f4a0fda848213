package relay

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/bench"
	"paperpath/test/harness"
)

// paperpath is a home for one measurement: nothing is known from an earlier one.
type paperpath struct {
	home   *harness.Home
	server *bench.Server
	waits  putAway
}

func newPaperpath(p harness.Programs, dir string, routes []string) (*paperpath, error) {
	home, err := p.NewHome(dir)
	if err != nil {
		return nil, err
	}
	return &paperpath{home: home}, home.Set("routes", routes...)
}

// fill puts messages into relay/, each synced as mailsubmit does it.
func (o *paperpath) fill(list []letter) error { return o.fillInbox(spool.InboxRelay, list) }

// fillInbox puts them into an inbox.
func (o *paperpath) fillInbox(in spool.Inbox, list []letter) error {
	s, err := spool.Open(o.home.Dir, spool.Options{Hostname: harness.Hostname})
	if err != nil {
		return err
	}
	defer s.Close()
	const writers = 20
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < len(list) && errs[w] == nil; i += writers {
				errs[w] = put(s, in, list[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func put(s *spool.Spool, in spool.Inbox, l letter) error {
	env := spool.Envelope{From: spool.Path{Addr: sender}}
	for _, address := range l.to {
		env.To = append(env.To, spool.Recipient{Addr: address})
	}
	_, err := s.Accept(in, env, nil, spool.Trace{By: harness.Hostname, With: spool.WithLocal},
		spool.BytesBody([]byte(l.text)))
	return err
}

// stand starts mailrelay, whose queue is put away for so long.
func (o *paperpath) stand() error {
	if err := o.waits.away(filepath.Join(o.home.Dir, "spool", "relay", "new")); err != nil {
		return err
	}
	cmd := exec.Command(o.home.Programs.Path("mailrelay"), "watch")
	cmd.Env = o.home.Programs.Env(o.home.Dir)
	var err error
	o.server, err = bench.Start("mailrelay", "", cmd, func(string) error { return nil })
	if err != nil {
		return err
	}
	return harness.Wait("mailrelay", time.Minute, func() bool { return len(o.home.Events("event=watching")) > 0 })
}

// begin gives it the queue.
func (o *paperpath) begin() error { return o.waits.back() }

// queued is how many entries wait.
func (o *paperpath) queued() int { return len(o.home.Queued()) }

// end stops mailrelay and removes the home.
func (o *paperpath) end() error {
	if o.server != nil {
		o.server.Stop()
	}
	if err := os.RemoveAll(o.home.Dir); err != nil {
		return fmt.Errorf("remove a home: %w", err)
	}
	return nil
}
