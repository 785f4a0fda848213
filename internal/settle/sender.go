package settle

import (
	"net/netip"

	"paperpath/internal/addr"
	"paperpath/internal/spool"
)

// unverified says why the sender may not get a report, or "". What the mail system
// writes by itself goes only to senders that are known to have sent the message:
// authenticated or local ones, and those of a host in control/relayfrom whose
// reverse path is in a local domain or named in the host's row. Any other reverse
// path may be forged (RFC 3834 2).
func (s *Settler) unverified(e *spool.Entry) (why string, err error) {
	from := e.Envelope.From.Addr
	switch {
	case from == "":
		return "no bounce is sent to the null reverse path", nil
	case e.Trusted():
		return "", nil
	case !e.Relay:
		return "the sender <" + from + "> is not verified, so no bounce is sent", nil
	}
	ok, err := s.relayed(e)
	if ok || err != nil {
		return "", err
	}
	return "the sender <" + from + "> is neither in control/domains nor named in control/relayfrom, so no bounce is sent", nil
}

// relayed reports whether a host that may relay may have reports sent to the
// entry's reverse path.
func (s *Settler) relayed(e *spool.Entry) (bool, error) {
	_, domain := addr.Split(e.Envelope.From.Addr)
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
	return false, s.Control.RelayHidden(ip)
}

// Unverified reports whether nothing proves who sent an entry. Where the settings
// cannot be read the sender counts as verified.
func (s *Settler) Unverified(e *spool.Entry) bool {
	why, err := s.unverified(e)
	return why != "" && err == nil
}
