// Package accept is the part of make bench in which mail comes by SMTP and ends in Maildirs:
// mailsubmit, mailroute and maildeliver, other mail servers, and a reference server that has no
// queue. A client sends as fast as the server answers, one command at a time; the clock stops
// when all mail is in the mailboxes.
package accept

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"paperpath/internal/dns/dnstest"
	"paperpath/test/bench"
	"paperpath/test/bench/mta"
	"paperpath/test/harness"
)

// Part is all of it.
func Part() bench.Part { return bench.Part{Name: "smtp", Missing: missing, Measure: measure} }

// missing is what the machine lacks.
func missing() string { return mta.Missing("postfix", "opensmtpd", "exim") }

// usualUsers is how many mailboxes there are where their number is not the point.
const usualUsers = 20

// comparison is the run, and what there is in this part.
type comparison struct {
	*bench.Run
	dir     string
	users   []string
	home    *harness.Home
	postfix *harness.Postfix
	signer  *signer
	servers []*mta.MTA // ours is the first
	sent    int        // messages, for their names
}

func measure(run *bench.Run) (err error) {
	c := &comparison{Run: run, dir: filepath.Join(run.Dir, "smtp"), users: mta.Users(usualUsers)}
	defer c.stop()
	if c.signer, err = newSigner(); err != nil {
		return err
	}
	names, err := dnstest.Start(c.signer.zone)
	if err != nil {
		return err
	}
	defer names.Close()
	if err := c.start(names.Addr); err != nil {
		return err
	}
	return c.CompareAll(c.rows())
}

// start runs all servers.
func (c *comparison) start(resolver string) error {
	if err := c.startFew(); err != nil {
		return err
	}
	if err := c.strangers(resolver); err != nil {
		return err
	}
	certificate := filepath.Join(c.dir, mta.CertificateName)
	for _, run := range []func() (*mta.MTA, error){
		func() (*mta.MTA, error) { return mta.OpenSMTPD(c.dir, certificate, c.users) },
		func() (*mta.MTA, error) { return mta.Exim(c.dir, certificate, c.users) },
	} {
		m, err := run()
		if err != nil {
			return err
		}
		c.servers = append(c.servers, m)
	}
	return nil
}

// startFew runs Paperpath, Postfix and the reference server.
func (c *comparison) startFew() error {
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	ours, home, err := mta.Paperpath(c.Programs, c.dir, c.users)
	if err != nil {
		return err
	}
	c.servers, c.home = append(c.servers, ours), home
	certificate, err := mta.Certificate(home, c.dir)
	if err != nil {
		return err
	}
	postfix, instance, err := mta.Postfix(c.dir, certificate, c.users)
	if err != nil {
		return err
	}
	c.servers, c.postfix = append(c.servers, postfix), instance
	reference, err := mta.Reference(c.dir, c.users)
	if err != nil {
		return err
	}
	c.servers = append(c.servers, reference)
	return nil
}

// strangers lets the client be a host outside, which may send as much as it likes.
func (c *comparison) strangers(resolver string) error {
	const many = ": 100000000/1h"
	return errors.Join(c.home.Set("resolver", resolver), c.home.Set("xclientfrom", "127.0.0.1"),
		c.home.Set("rates", "client-messages"+many, "client-recipients"+many, "client-connections"+many), mta.Settle(c.home))
}

func (c *comparison) stop() {
	for _, m := range c.servers {
		m.Stop()
	}
}

// of returns the server of a name.
func (c *comparison) of(name string) (*mta.MTA, error) {
	for _, m := range c.servers {
		if m.Name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s does not run", name)
}
