package program

import (
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"paperpath/internal/listen"
	"paperpath/internal/status"
)

// ServeFlags are the options of a server that can also be started for one connection.
func ServeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDRESS:PORT`"},
		&cli.StringSliceFlag{Name: "listen-tls",
			Usage: "listen on `ADDRESS:PORT` for TLS from the first octet"},
		&cli.StringFlag{Name: "env",
			Usage: "believe the environment of `WRAPPER` (" + strings.Join(listen.Wrappers(), ", ") + ") about the client on standard input"},
		&cli.BoolFlag{Name: "tls", Usage: "the session on standard input begins with TLS"},
	}
}

// Listens reports whether the options of ServeFlags, or sockets from systemd or
// inetd, ask for a server of many connections.
func Listens(c *cli.Context) (bool, error) {
	listens := c.IsSet("listen") || c.IsSet("listen-tls")
	switch wrapper := c.String("env"); {
	case c.Args().Present():
		return false, status.UsageError("unexpected operand %q", c.Args().First())
	case listens && c.Bool("tls"):
		return false, status.UsageError("--tls is for standard input; use --listen-tls for an address")
	case listens && c.IsSet("env"):
		return false, status.UsageError("--env is for standard input, not for an address")
	case c.IsSet("env") && !slices.Contains(listen.Wrappers(), wrapper):
		return false, status.UsageError("--env must be one of %s, not %q", strings.Join(listen.Wrappers(),
			", "), wrapper)
	}
	return listens || listen.Activated() || listen.Waiting(os.Stdin), nil
}

// Sockets returns the addresses of ServeFlags to listen on; if there are none and
// standard input is a listening socket, it returns the address of that.
func Sockets(c *cli.Context) (addrs, tlsAddrs []string, err error) {
	addrs, tlsAddrs = c.StringSlice("listen"), c.StringSlice("listen-tls")
	for _, a := range slices.Concat(addrs, tlsAddrs) {
		if err := listen.CheckAddr(a); err != nil {
			return nil, nil, err
		}
	}
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
