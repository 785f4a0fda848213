package settle

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/spool"
)

// unverified says why the sender may not get a report, or "". What the mail system
// writes by itself goes only to senders that are known to have sent the message: ours,
// and those for whose reverse path SPF or DKIM passed. Any other reverse path may be
// forged (RFC 3834 2).
func (s *Settler) unverified(e *spool.Entry) (why string, err error) {
	if why, err = s.notOurs(e); why == "" || err != nil || e.Envelope.From.Addr == "" {
		return why, err
	}
	found, err := authres.Read(e.Results())
	if err != nil {
		return "", fmt.Errorf("read the results: %w", err)
	}
	if reason, junk := found.Junk(); junk {
		return "the message is junk (" + reason + "), so no bounce is sent", nil
	}
	from := e.Envelope.From.Addr
	owner, err := s.listOwner(from)
	if owner || err != nil {
		return "", err
	}
	sender, forwarded, wrong, err := s.Control.Unforwarded(from)
	if forwarded && wrong == nil { // the report goes back to whoever sent what we forwarded
		from = sender.String()
	}
	if err != nil || Proved(found, from) {
		return "", err
	}
	return why, nil
}

// Proved reports whether SPF or DKIM passed for the domain of a reverse path. A pass for
// another domain, that of HELO or of any signer, proves nothing about it.
func Proved(found authres.Field, path string) bool {
	_, domain := addr.Split(addr.FoldAddress(path))
	return slices.ContainsFunc(authres.ProvedPath(found.Methods), func(d string) bool {
		return d == domain || strings.HasSuffix(domain, "."+d)
	})
}

// notOurs says why nothing that this host knows by itself proves who sent an entry, or "":
// the sender was authenticated or local, or of a host in control/relayfrom with a reverse
// path in a local domain or named in the host's row.
func (s *Settler) notOurs(e *spool.Entry) (why string, err error) {
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

// listOwner reports whether a reverse path is that of mail that a list of ours sends on
// (route.Target.Owner). A stranger who forges it gets nothing to anybody but our postmasters.
func (s *Settler) listOwner(from string) (bool, error) {
	local, domain := addr.Split(addr.FoldAddress(from))
	if !strings.HasPrefix(local, "owner-") {
		return false, nil
	}
	if _, ours, err := s.Control.IsLocal(domain); err != nil || !ours {
		return false, err
	}
	row, err := s.Control.Alias(from)
	return row != nil, err
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

// Stranger reports whether no user of ours and no host that may relay sent an entry: SPF
// and DKIM make nobody less of one. Where the settings cannot be read it is none.
func (s *Settler) Stranger(e *spool.Entry) bool {
	why, err := s.notOurs(e)
	return why != "" && err == nil
}
