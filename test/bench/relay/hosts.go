package relay

import (
	"fmt"
	"net"

	"paperpath/test/bench"
)

// hosts makes the hosts of all domains: routes, and what is returned, are the tables
// that say where these are, for mailrelay and for Postfix.
func (c *comparison) hosts() (transports []string, err error) {
	c.sink = bench.NewSink()
	near, err := c.sink.Listen("127.0.0.1")
	if err != nil {
		return nil, err
	}
	far, err := listenFar(near)
	if err != nil {
		return nil, err
	}
	addr := map[string]string{"near": near, "far": far.Addr().String(), "inflight": far.Addr().String()}
	for i := range domains {
		if addr[fmt.Sprintf("d%d", i)], err = c.sink.Listen(fmt.Sprintf("127.0.1.%d", i+1)); err != nil {
			return nil, err
		}
	}
	for i := range silent {
		l, err := listenSilently(fmt.Sprintf("127.0.2.%d", i+1))
		if err != nil {
			return nil, err
		}
		addr[fmt.Sprintf("s%d", i)] = l.Addr().String()
	}
	for name, address := range addr {
		host, port, _ := net.SplitHostPort(address)
		row := name + ".bench.example: " + address
		if name == "inflight" {
			row += " " + inflight
		}
		c.routes = append(c.routes, row)
		transports = append(transports, fmt.Sprintf("%s.bench.example smtp:[%s]:%s", name, host, port))
	}
	return transports, nil
}
