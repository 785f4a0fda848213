package submit

import "paperpath/internal/spool"

// trace is what our Received field says of the session. Where a user sits when
// they write is nobody else's business if control/hideclient says so; the event
// has it all.
func (s *session) trace() (spool.Trace, error) {
	t := spool.Trace{By: s.server.hostname, With: s.conn.With(), TLS: s.conn.TLSInfo()}
	if s.login == "" { // else the protocol's name says more
		var err error
		if t.Relay, err = s.mayRelay(); err != nil {
			return t, err
		}
	} else {
		if hide, err := s.server.Control.HideClient(); hide || err != nil {
			return t, err
		}
	}
	t.Helo, t.PTR, t.IP = s.helo, s.ptr.name(), s.conn.ClientIP()
	return t, nil
}
