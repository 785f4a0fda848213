package settle

import (
	"net/netip"

	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// unverified says why the sender may get no report, or "". Whatever we write
// by ourselves goes only where the mail surely came from: to a sender who was
// authenticated or local, and to that of a host of control/relayfrom if the
// reverse path is in a domain of ours or named in the host's row. Anybody else
// may be somebody else (RFC 3834 2).
func (s *Settler) unverified(e *spool.Entry) (why string, err error) {
	from := e.Envelope.From.Addr
	switch {
	case from == "":
		return "the null reverse path takes no bounce", nil
	case e.Trusted():
		return "", nil
	case !e.Relay:
		return "the reverse path <" + from + "> is not verified, so it gets no bounce", nil
	}
	ok, err := s.relayed(e)
	if ok || err != nil {
		return "", err
	}
	return "the reverse path <" + from + "> is neither in control/domains nor named in control/relayfrom, so it gets no bounce", nil
}

// relayed reports whether an entry's reverse path is one that its host, which
// may send anywhere, may have reports sent to.
func (s *Settler) relayed(e *spool.Entry) (bool, error) {
	_, domain := control.Split(e.Envelope.From.Addr)
	if _, local, err := s.Control.IsLocal(domain); local || err != nil {
		return local, err
	}
	rows, err := s.Control.RelayFrom()
	if err != nil {
		return false, err
	}
	ip, err := netip.ParseAddr(e.Client)
	if err != nil {
		return false, nil
	}
	if rows.Names(ip, e.Envelope.From.Addr) {
		return true, nil
	}
	return false, s.Control.RelayFalls(ip)
}

// Unverified reports whether nothing proves who sent an entry. Where the
// settings cannot tell it is taken for proved.
func (s *Settler) Unverified(e *spool.Entry) bool {
	why, err := s.unverified(e)
	return why != "" && err == nil
}
