package program

import (
	"crypto/tls"
	"net/netip"

	"paperpath/internal/listen"
	"paperpath/internal/status"
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
	most, err := f.Control.Concurrency(f.Name, maxSessions)
	if err != nil {
		return nil, err
	}
	perAddr, err := f.Control.Concurrency("client", listen.PerAddr)
	if err != nil {
		return nil, err
	}
	return &listen.Server{Addrs: addrs, TLSAddrs: tlsAddrs, TLS: conf, Max: most, MaxPerAddr: perAddr,
		Exempt: netip.Addr.IsLoopback, Log: f.Log, Ready: f.Ready}, nil
}
