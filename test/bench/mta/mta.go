// Package mta runs the mail servers that make bench compares, each with settings of its own, on
// ports of 127.0.0.1, and delivering to Maildirs.
package mta

import (
	"fmt"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// Domain is the one whose mail they deliver.
const Domain = "local.bench.example"

// owner has all mailboxes of other servers: they write none of root's.
const owner = 61234

// MTA is a running mail server.
type MTA struct {
	Name   string
	Addr   string // of its SMTP server
	Boxes  bench.Boxes
	Server *bench.Server
	log    func() string
	inside bool // a namespace that ends with its first process, which takes no other signal
}

// Stop ends the server.
func (m *MTA) Stop() {
	if m.inside {
		m.Server.Kill()
		return
	}
	m.Server.Stop()
}

// Users are the local parts u0, u1 and so on.
func Users(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("u%d", i))
	}
	return all
}

// Log is the end of what it has logged.
func (m *MTA) Log() string { return m.log() }

// Greets reports, as an error, that no SMTP server greets at addr.
func Greets(addr string) error {
	c, err := harness.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Expect("220", ""); err != nil {
		return err
	}
	_, err = c.Expect("221", "QUIT")
	return err
}
