package spool

// publishBounce makes a bounce durable in route/new before anything else happens to
// the entry.
func (s *Spool) publishBounce(e *Entry, r *Bounce) error {
	k, published, err := s.publishReport(e, Recipient{Addr: r.To}, e.named(r.Failed), r.Body)
	if published {
		s.log.Bounced(string(e.Key), string(k), r.To)
	}
	return err
}

// silent are the parameters of what fails without a report (RFC 3461 4.1).
const silent = "NOTIFY=NEVER"

// publishNotices does the same with notices.
func (s *Spool) publishNotices(e *Entry, list []Notice, words string) error {
	for _, n := range list {
		to := Recipient{Addr: n.To, Params: words}
		k, published, err := s.publishReport(e, to, append([]string{n.What}, e.named(n.About)...), n.Body)
		if err != nil {
			return err
		}
		if published {
			s.log.Reported(string(e.Key), string(k), n.What, n.To)
		}
	}
	return nil
}

// named returns the addresses of recipients.
func (e *Entry) named(list []int) (names []string) {
	for _, i := range list {
		names = append(names, e.Envelope.To[i].Addr)
	}
	return names
}

// publishReport makes a report durable in route/new, under a key that names what
// it says and about whom.
func (s *Spool) publishReport(e *Entry, to Recipient, says []string, body []byte) (Key, bool, error) {
	k := e.Key.bounce(says, s.host)
	published, err := s.publishOwn(k, Envelope{To: []Recipient{to}}, body)
	return k, published, err
}

// publishOwn makes a message of our own durable in route/new. If a crash already
// left an entry with its key in an inbox, nothing is written.
func (s *Spool) publishOwn(k Key, env Envelope, body []byte) (published bool, err error) {
	b, err := s.inbox(InboxRoute)
	if err != nil {
		return false, err
	}
	if err := env.check(); err != nil {
		return false, err
	}
	if there, err := s.has(k); there || err != nil {
		return false, err
	}
	room, err := s.room(s.path, int64(len(body)), 1)
	if err != nil {
		return false, err
	}
	defer room.release()
	t, err := weigh(s.headBytes(k, env, nil, Trace{By: s.host, With: WithBounce}), BytesBody(body))
	if err != nil {
		return false, err
	}
	d, err := s.write(func() (*draft, error) { return b.newDraft(k) }, t)
	if err != nil {
		return false, err
	}
	defer d.abort()
	if _, err := d.publish(); err != nil {
		return false, err
	}
	s.known.add(k)
	return true, b.new.Sync()
}
