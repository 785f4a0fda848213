package submit

import "paperpath/internal/spool"

// trace returns what our Received field says about the session. control/hideclient
// hides where a user is; the event has it in any case.
func (s *session) trace() (spool.Trace, error) {
	t := spool.Trace{By: s.server.hostname, With: s.conn.With(), TLS: s.conn.TLSInfo()}
	if s.login == "" { // otherwise the name of the protocol says so
		var err error
		if t.Relay, err = s.mayRelay(); err != nil {
			return t, err
		}
	} else if hide, err := s.Control.HideClient(); hide || err != nil {
		return t, err
	}
	t.Helo, t.PTR, t.IP = s.helo, s.ptr.name(), s.conn.ClientIP()
	return t, nil
}
