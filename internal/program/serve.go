package program

import (
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"paperpath/internal/auth"
	"paperpath/internal/certs"
	"paperpath/internal/listen"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/internal/tally"
)

// maxSessions is how many sessions a server has at a time where
// control/concurrency does not say.
const maxSessions = 200

// Server returns a server on the addresses, with the limits in force; Handle
// and Refuse are the caller's to set. conf nil: there is no certificate.
func (f *Frame) Server(addrs, tlsAddrs []string, conf *tls.Config) (*listen.Server, error) {
	if len(tlsAddrs) > 0 && conf == nil {
		return nil, status.Temp("4.3.5", "--listen-tls needs a certificate in control/tls", nil)
	}
	if _, err := f.limits(); err != nil {
		return nil, err
	}
	return &listen.Server{Addrs: f.inHome(addrs), TLSAddrs: f.inHome(tlsAddrs), TLS: conf, Limits: f.limits, Log: f.Log, Ready: f.Ready}, nil
}

// BindPorts opens the TCP addresses of a server where we are root, as ports below
// 1024 need, and then gives up root. The rest is for Server to open: what has a
// path is made by the owner of the home.
func (f *Frame) BindPorts(addrs, tlsAddrs []string) (listen.Ports, error) {
	if _, _, root := f.Owner(); !root {
		return nil, nil
	}
	ports, err := listen.Bind(slices.Concat(addrs, tlsAddrs))
	if err != nil {
		return nil, err
	}
	return ports, f.GiveUpRoot()
}

// limits returns the limits in force now.
func (f *Frame) limits() (l listen.Limits, err error) {
	if l.Max, err = f.Control.Concurrency(f.Name, maxSessions); err != nil {
		return l, err
	}
	if l.MaxPerAddr, err = f.Control.Concurrency("client", listen.PerAddr); err != nil {
		return l, err
	}
	proxies, err := f.Control.ProxyFrom()
	if err != nil {
		return l, err
	}
	relays, err := f.Control.RelayFrom()
	if err != nil {
		return l, err
	}
	l.Owner = os.Geteuid() // a server runs as the owner
	l.Proxy = proxies.Has
	l.Exempt = func(ip netip.Addr) bool { return ip.IsLoopback() || relays.Has(ip) }
	l.Often = func(from listen.Origin) bool { return f.TooMany("client-connections", f.Name+" "+string(from), 1) }
	return l, nil
}

// TooMany counts n of who against the rate of that name in control/rates, for
// all processes of the home, and reports whether they are beyond it. Where
// that cannot be found out nothing is too much, and the log has why.
func (f *Frame) TooMany(rate, who string, n int64) bool {
	r, err := f.Control.Rate(rate)
	if err == nil {
		var ok bool
		kind := "clients"
		if strings.HasPrefix(rate, "user-") {
			kind = "users"
		}
		if ok, err = f.Tally(kind, false).Take(rate+" "+who, n, tally.Rate(r), f.Clock.Now()); !ok {
			return true
		}
	}
	if err != nil {
		f.Log.Trouble("", "count "+rate, err)
	}
	return false
}

// Tally returns one of the tables of counters that the processes of the home
// share, run/tally-KIND. What strangers can fill has a table of its own: a full
// one forgets, and they shall not make it forget what users did. Where it cannot
// be written, anyhow says that this process counts for itself.
func (f *Frame) Tally(kind string, anyhow bool) *tally.Table {
	f.tallyMu.Lock()
	defer f.tallyMu.Unlock()
	if t := f.tallies[kind]; t != nil {
		return t
	}
	if f.tallies == nil {
		f.tallies = map[string]*tally.Table{}
	}
	path := filepath.Join(f.Home, "run", "tally-"+kind)
	t := tally.Open(path)
	if anyhow {
		t = tally.OpenAnyhow(path, func(err error) { f.seldom("count in this process alone: "+path, err) })
	}
	f.tallies[kind] = t
	return t
}

// Guard returns what stands before every check of a password.
func (f *Frame) Guard() *auth.Guard {
	return auth.NewGuard(f.Control, filepath.Join(f.Home, "run", "gate"),
		f.Tally("logins", true), f.Tally("known", true), f.Clock.Now, f.seldom)
}

// seldom is the event trouble, once an hour of each op: for what would have it
// with every login.
func (f *Frame) seldom(op string, err error) {
	f.toldMu.Lock()
	defer f.toldMu.Unlock()
	if last, ok := f.told[op]; ok && time.Since(last) < time.Hour {
		return
	}
	if f.told == nil {
		f.told = map[string]time.Time{}
	}
	f.told[op] = time.Now()
	f.Log.Trouble("", op, err)
}

// ServeFlags are the options of a server that may also be started for one
// connection.
func ServeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDRESS:PORT`"},
		&cli.StringSliceFlag{Name: "listen-tls", Usage: "listen on `ADDRESS:PORT` for TLS from the first octet"},
		&cli.StringFlag{Name: "env", Usage: "believe the environment of `WRAPPER` (" + strings.Join(listen.Wrappers(), ", ") + ") about the client on standard input"},
		&cli.BoolFlag{Name: "tls", Usage: "the session on standard input begins with TLS"},
	}
}

// Listens reports whether the options of ServeFlags, or sockets from systemd or
// inetd, ask for a server of many connections.
func Listens(c *cli.Context) (bool, error) {
	listens := c.IsSet("listen") || c.IsSet("listen-tls")
	switch wrapper := c.String("env"); {
	case c.Args().Present():
		return false, status.UsageError("there are no operands, so not %q", c.Args().First())
	case listens && c.Bool("tls"):
		return false, status.UsageError("--tls is for standard input; it is --listen-tls for an address")
	case listens && c.IsSet("env"):
		return false, status.UsageError("--env is for standard input, not for an address")
	case c.IsSet("env") && !slices.Contains(listen.Wrappers(), wrapper):
		return false, status.UsageError("--env is one of %s, not %q", strings.Join(listen.Wrappers(), ", "), wrapper)
	}
	return listens || listen.Activated() || listen.Waiting(os.Stdin), nil
}

// Sockets returns the addresses of ServeFlags to listen on; that of standard
// input where it is a listening socket and there are none.
func Sockets(c *cli.Context) (addrs, tlsAddrs []string, err error) {
	addrs, tlsAddrs = c.StringSlice("listen"), c.StringSlice("listen-tls")
	switch {
	case len(addrs)+len(tlsAddrs) > 0 || listen.Activated() || !listen.Waiting(os.Stdin):
		return addrs, tlsAddrs, nil
	case c.IsSet("env"):
		return nil, nil, status.UsageError("--env is for a connection, and standard input is a listening socket")
	case c.Bool("tls"):
		return nil, []string{listen.StdinAddr}, nil
	}
	return []string{listen.StdinAddr}, nil, nil
}

// errRefused says that the client is not served; the log has why.
var errRefused = &status.Error{Exit: status.TempFail, Reply: 421, Enhanced: "4.7.0"}

// Session returns standard input and output (or the one connection of systemd)
// as the connection of the client that a PROXY header or a wrapper's environment
// tells. wrapper is "" for none. With an error there may be a
// connection too, to say so on it; the caller closes it.
func (f *Frame) Session(wrapper string) (net.Conn, error) {
	conn, err := listen.Stdin(f.Stdin, f.Stdout)
	if err != nil {
		return nil, err
	}
	limits, err := f.limits()
	if err != nil {
		return conn, err
	}
	client, err := limits.Client(conn)
	if err != nil {
		f.Log.Disconnected(err.Error(), 0, maillog.Client{Addr: listen.ClientName(conn)})
		return conn, errRefused
	}
	if wrapper != "" {
		if client, err = listen.Wrapped(client, wrapper); err != nil {
			f.Log.Trouble("", "session", err)
			return conn, errRefused
		}
	}
	if limit := limits.Refusal(client); limit != "" {
		f.Log.Limited(limit, maillog.Client{Addr: listen.ClientName(client)})
		return client, errRefused
	}
	return client, nil
}

// inHome lets the relative path of a Unix socket begin at the home.
func (f *Frame) inHome(addrs []string) []string {
	var out []string
	for _, a := range addrs {
		if path, ok := strings.CutPrefix(a, "unix:"); ok && !filepath.IsAbs(path) {
			a = "unix:" + filepath.Join(f.Home, path)
		}
		out = append(out, a)
	}
	return out
}

// Certificates returns the TLS settings of a server called host; nil: there is
// no certificate. Changes that cannot be used are told to the log.
func (f *Frame) Certificates(host string) (*tls.Config, error) {
	return certs.Config(f.Home, host, func(err error) { f.Log.Trouble("", "certificate", err) })
}
