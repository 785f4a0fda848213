package home

import (
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

// server returns a server on the addresses, with the limits in force. The caller
// sets Handle and Refuse. conf is nil if there is no certificate.
func (h *Home) server(addrs, tlsAddrs []string, conf *tls.Config) (*listen.Server, error) {
	if len(tlsAddrs) > 0 && conf == nil {
		return nil, status.Temp("4.3.5", "--listen-tls needs a certificate in control/tls", nil)
	}
	if _, err := h.limits(); err != nil {
		return nil, err
	}
	return &listen.Server{Addrs: h.inHome(addrs), TLSAddrs: h.inHome(tlsAddrs), TLS: conf,
		Limits: h.limits, Log: h.Log, Ready: h.Ready,
		Opened: func() error { return h.Confine(true) }}, nil
}

// bindPorts binds the TCP addresses if we are root, as ports below 1024 need, and
// then gives up root. Unix sockets are left to server: the home's owner makes
// those.
func (h *Home) bindPorts(addrs, tlsAddrs []string) (listen.Ports, error) {
	if _, _, root := h.Owner(); !root {
		return nil, nil
	}
	ports, err := listen.Bind(slices.Concat(addrs, tlsAddrs))
	if err != nil {
		return nil, err
	}
	return ports, h.GiveUpRoot()
}

// limits returns the limits in force now.
func (h *Home) limits() (l listen.Limits, err error) {
	if l.Max, err = h.Control.Concurrency(h.Name); err != nil {
		return l, err
	}
	if l.MaxPerAddr, err = h.Control.Concurrency("client"); err != nil {
		return l, err
	}
	proxies, err := h.Control.ProxyFrom()
	if err != nil {
		return l, err
	}
	relays, err := h.Control.RelayFrom()
	if err != nil {
		return l, err
	}
	l.Owner = os.Geteuid()
	if uid, _, ok := h.SpoolOwner(); ok {
		l.Owner = uid // a server may have a user of its own
	}
	l.Proxy = func(ip netip.Addr) (bool, error) {
		is, err := proxies.Has(ip)
		if err != nil && !control.IsBrokenRow(err) {
			h.Log.Trouble("", "limits", err)
		}
		return is, err
	}
	l.Exempt = func(ip netip.Addr) bool { return ip.IsLoopback() || relays.Has(ip) }
	l.Often = func(from listen.Origin) bool {
		return h.TooMany(h.Control, "client-connections", h.Name+" "+string(from), 1)
	}
	return l, nil
}

// errRefused is for a client that is not served; the log has the reason.
var errRefused = &status.Error{Exit: status.TempFail, Reply: 421, Enhanced: "4.7.0"}

// session returns standard input and output (or the one connection from systemd) as
// the connection of the client, which a PROXY header or the wrapper's environment may
// name; wrapper is "" if there is none. With an error it may return the connection
// too, so that the client can be refused on it. The caller closes it.
func (h *Home) session(wrapper string) (net.Conn, error) {
	conn, err := listen.Stdin(h.Stdin, h.Stdout)
	if err != nil {
		return nil, err
	}
	limits, err := h.limits()
	if err != nil {
		return conn, err
	}
	client, err := limits.Client(conn)
	if err != nil {
		h.Log.Disconnected(err.Error(), 0, maillog.Client{Addr: listen.ClientName(conn)})
		return conn, errRefused
	}
	if wrapper != "" {
		if client, err = listen.Wrapped(client, wrapper); err != nil {
			h.Log.Trouble("", "session", err)
			return conn, errRefused
		}
	}
	if limit := limits.Refusal(client); limit != "" {
		h.Log.Limited(limit, maillog.Client{Addr: listen.ClientName(client)})
		return client, errRefused
	}
	return client, nil
}

// inHome resolves relative paths of Unix sockets against the home.
func (h *Home) inHome(addrs []string) []string {
	var out []string
	for _, a := range addrs {
		if path, ok := strings.CutPrefix(a, "unix:"); ok && !filepath.IsAbs(path) {
			a = "unix:" + filepath.Join(h.Dir, path)
		}
		out = append(out, a)
	}
	return out
}

// certificates returns the TLS settings of a server called host, nil if there is no
// certificate. Changes that cannot be used are logged.
func (h *Home) certificates(host string) (*tls.Config, error) {
	return certs.Config(h.Dir, host, func(err error) { h.Log.Trouble("", "certificate", err) })
}
