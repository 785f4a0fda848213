package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// checkRelayLogins reads all files in control/relay-logins: one that cannot be used is an
// error, one that no route leads to a warning.
func (c *Control) checkRelayLogins(r *Report) {
	entries, err := os.ReadDir(c.path(relayLoginsDir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.InForce = append(r.InForce, Value{Setting: relayLoginsDir, Text: "no login", From: fromDefault})
		return
	case c.closed(err):
		r.InForce = append(r.InForce, Value{Setting: relayLoginsDir, Text: ofRelay, From: "control/" + relayLoginsDir})
		return
	case err != nil && len(entries) == 0:
		return // unknownName has reported it
	}
	routed, known := c.routedHosts()
	for _, e := range entries {
		host, name := e.Name(), filepath.Join(relayLoginsDir, e.Name())
		if PassedOver(host) {
			continue
		}
		list, err := c.RelayLogins(host)
		if err != nil {
			r.error(err, Setting{Example: "user: alice@example.org"})
			continue
		}
		if known && !slices.Contains(routed, host) {
			r.warn(name, 0, "no row of control/routes or control/sender-routes names this host",
				"the name of the file is the host as the route has it, in lower case and without its port")
		}
		for _, l := range list {
			r.InForce = append(r.InForce, Value{Setting: relayLoginsDir, Key: strings.TrimSpace(host + " " + l.Sender),
				Text: l.String(), From: l.Where})
			c.checkLoginFiles(r, name, &l)
		}
	}
}

// checkLoginFiles looks for the program of a login, its certificate and its key.
func (c *Control) checkLoginFiles(r *Report, name string, l *RelayLogin) {
	if err := l.Command.check(); err != nil {
		r.error(failFile(name, "%w", err))
	}
	if l.Certificate == "" {
		return
	}
	if _, err := l.Pair(); err != nil {
		r.error(failFile(name, "%w", err))
	}
}

// routedHosts returns the hosts that control/routes and control/sender-routes name; known
// is false if one of them cannot be read.
func (c *Control) routedHosts() (hosts []string, known bool) {
	for _, f := range []file[contents[Route]]{routesFile(c), senderRoutesFile(c)} {
		rows, _, err := load(c, f)
		if err != nil {
			return nil, false
		}
		for _, route := range rows.in().list() {
			for _, target := range route.Targets {
				hosts = append(hosts, target.Host)
			}
		}
	}
	return hosts, true
}
