package home

import (
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/auth"
	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/ratelimit"
	"paperpath/internal/status"
)

// Server returns a server on the addresses, with the limits in force; Handle
// and Refuse are the caller's to set. conf nil: there is no certificate.
func (h *Home) Server(addrs, tlsAddrs []string, conf *tls.Config) (*listen.Server, error) {
	if len(tlsAddrs) > 0 && conf == nil {
		return nil, status.Temp("4.3.5", "--listen-tls needs a certificate in control/tls", nil)
	}
	if _, err := h.limits(); err != nil {
		return nil, err
	}
	return &listen.Server{Addrs: h.inHome(addrs), TLSAddrs: h.inHome(tlsAddrs), TLS: conf, Limits: h.limits, Log: h.Log, Ready: h.Ready}, nil
}

// BindPorts opens the TCP addresses of a server where we are root, as ports below
// 1024 need, and then gives up root. The rest is for Server to open: what has a
// path is made by the owner of the home.
func (h *Home) BindPorts(addrs, tlsAddrs []string) (listen.Ports, error) {
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
	l.Owner = os.Geteuid() // a server runs as the owner
	l.Proxy = func(ip netip.Addr) (bool, error) {
		is, err := proxies.Has(ip)
		if err != nil && !control.IsBrokenRow(err) {
			h.Log.Trouble("", "limits", err)
		}
		return is, err
	}
	l.Exempt = func(ip netip.Addr) bool { return ip.IsLoopback() || relays.Has(ip) }
	l.Often = func(from listen.Origin) bool { return h.TooMany("client-connections", h.Name+" "+string(from), 1) }
	return l, nil
}

// TooMany counts n of who against the rate of that name in control/rates, for
// all processes of the home, and reports whether they are beyond it. Where
// that cannot be found out nothing is too much, and the log has why.
func (h *Home) TooMany(rate, who string, n int64) bool {
	r, err := h.Control.Rate(rate)
	if err == nil {
		var ok bool
		kind := "clients"
		if strings.HasPrefix(rate, "user-") {
			kind = "users"
		}
		if ok, err = h.Tally(kind, false).Take(rate+" "+who, n, ratelimit.Rate(r), h.Clock.Now()); !ok {
			return true
		}
	}
	if err != nil {
		h.Log.Trouble("", "count "+rate, err)
	}
	return false
}

// Tally returns one of the tables of counters that the processes of the home
// share, run/tally-KIND. What strangers can fill has a table of its own: a full
// one forgets, and they shall not make it forget what users did. Where it cannot
// be written, anyhow says that this process counts for itself.
func (h *Home) Tally(kind string, anyhow bool) *ratelimit.Table {
	h.tallyMu.Lock()
	defer h.tallyMu.Unlock()
	if t := h.tallies[kind]; t != nil {
		return t
	}
	if h.tallies == nil {
		h.tallies = map[string]*ratelimit.Table{}
	}
	path := filepath.Join(h.Dir, "run", "tally-"+kind)
	t := ratelimit.Open(path)
	if anyhow {
		t = ratelimit.OpenAnyhow(path, func(err error) { h.seldom("count in this process alone: "+path, err) })
	}
	h.tallies[kind] = t
	return t
}

// Guard returns what stands before every check of a password.
func (h *Home) Guard() *auth.Guard {
	return auth.NewGuard(h.Control, filepath.Join(h.Dir, "run", "gate"),
		h.Tally("logins", true), h.Tally("known", true), h.Clock.Now, h.seldom)
}

// seldom is the event trouble, once an hour of each op: for what would have it
// with every login.
func (h *Home) seldom(op string, err error) {
	h.seldomMu.Lock()
	defer h.seldomMu.Unlock()
	if last, ok := h.lastTold[op]; ok && time.Since(last) < time.Hour {
		return
	}
	if h.lastTold == nil {
		h.lastTold = map[string]time.Time{}
	}
	h.lastTold[op] = time.Now()
	h.Log.Trouble("", op, err)
}

// errRefused says that the client is not served; the log has why.
var errRefused = &status.Error{Exit: status.TempFail, Reply: 421, Enhanced: "4.7.0"}

// Session returns standard input and output (or the one connection of systemd)
// as the connection of the client that a PROXY header or a wrapper's environment
// tells. wrapper is "" for none. With an error there may be a
// connection too, to say so on it; the caller closes it.
func (h *Home) Session(wrapper string) (net.Conn, error) {
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

// inHome lets the relative path of a Unix socket begin at the home.
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

// Certificates returns the TLS settings of a server called host; nil: there is
// no certificate. Changes that cannot be used are told to the log.
func (h *Home) Certificates(host string) (*tls.Config, error) {
	return certs.Config(h.Dir, host, func(err error) { h.Log.Trouble("", "certificate", err) })
}
