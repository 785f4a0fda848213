package spool

// publishBounce makes a report durable in route/new before anything else
// happens to the entry.
func (s *Spool) publishBounce(e *Entry, r *Bounce) error {
	k, placed, err := s.publishReport(e, r.To, e.named(r.Failed), r.Body)
	if placed {
		s.log.Bounced(string(e.Key), string(k), r.To)
	}
	return err
}

// publishNotices does the same with reports that are no bounces.
func (s *Spool) publishNotices(e *Entry, list []Notice) error {
	for _, n := range list {
		k, placed, err := s.publishReport(e, n.To, append([]string{n.What}, e.named(n.About)...), n.Body)
		if err != nil {
			return err
		}
		if placed {
			s.log.Reported(string(e.Key), string(k), n.What, n.To)
		}
	}
	return nil
}

// named are the addresses of recipients.
func (e *Entry) named(list []int) (names []string) {
	for _, i := range list {
		names = append(names, e.Envelope.To[i].Addr)
	}
	return names
}

// publishReport makes a report durable in route/new, under a key that names what
// it says and about whom. It is not placed where a crash has left it.
func (s *Spool) publishReport(e *Entry, to string, says []string, body []byte) (k Key, placed bool, err error) {
	k = e.Key.bounce(says, s.host)
	placed, err = s.publishOwn(k, Envelope{To: []Recipient{{Addr: to}}}, body)
	return k, placed, err
}

// publishOwn makes a message of our own durable in route/new, unless an entry of
// this key lies in some inbox: a crash has left it.
func (s *Spool) publishOwn(k Key, env Envelope, body []byte) (placed bool, err error) {
	b, err := s.inbox(InboxRoute)
	if err != nil {
		return false, err
	}
	if err := env.check(); err != nil {
		return false, err
	}
	if lies, err := s.has(k); lies || err != nil {
		return false, err
	}
	room, err := s.room(s.path, int64(len(body)), 1)
	if err != nil {
		return false, err
	}
	defer room.release()
	d, err := b.newDraft(k)
	if err != nil {
		return false, err
	}
	defer d.abort()
	head := s.headBytes(k, env, nil, Trace{By: s.host, With: WithBounce})
	if err := d.message(head, BytesBody(body)); err != nil {
		return false, err
	}
	if s.shifted {
		d.setArrival(s.now())
	}
	if err := d.sync(); err != nil {
		return false, err
	}
	if _, err := d.publish(); err != nil {
		return false, err
	}
	s.known.add(k)
	return true, b.new.Sync()
}
