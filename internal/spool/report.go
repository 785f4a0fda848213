package spool

import "paperpath/internal/maillog"

// placeBounce makes a report durable in route/new before anything else
// happens to the entry.
func (s *Spool) placeBounce(e *Entry, r *Bounce, log *maillog.Log) error {
	k, placed, err := s.placeReport(e, r.To, e.named(r.Failed), r.Body)
	if placed {
		log.Bounced(string(e.Key), string(k), r.To)
	}
	return err
}

// placeNotices does the same with reports that are no bounces.
func (s *Spool) placeNotices(e *Entry, list []Notice, log *maillog.Log) error {
	for _, n := range list {
		k, placed, err := s.placeReport(e, n.To, append([]string{n.What}, e.named(n.About)...), n.Body)
		if err != nil {
			return err
		}
		if placed {
			log.Reported(string(e.Key), string(k), n.What, n.To)
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

// placeReport makes a report durable in route/new, under a key that names what
// it says and about whom. It is not placed where a crash has left it.
func (s *Spool) placeReport(e *Entry, to string, says []string, body []byte) (k Key, placed bool, err error) {
	k = e.Key.bounce(says, s.host)
	placed, err = s.placeOwn(k, Envelope{To: []Recipient{{Addr: to}}}, body)
	return k, placed, err
}

// placeOwn makes a message of our own durable in route/new, unless an entry of
// this key lies in some inbox: a crash has left it.
func (s *Spool) placeOwn(k Key, env Envelope, body []byte) (placed bool, err error) {
	b, err := s.box(InboxRoute)
	if err != nil {
		return false, err
	}
	if err := env.check(); err != nil {
		return false, err
	}
	if lies, err := s.lies(k); lies || err != nil {
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
	if _, err := d.place(); err != nil {
		return false, err
	}
	s.known.placed(k)
	return true, b.new.Sync()
}
