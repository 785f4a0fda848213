package spool

import (
	"container/heap"
)

// start starts as many attempts as there are free workers.
func (s *schedule) start() {
	now := s.r.Spool.now().UnixNano()
	for s.deferredIsDue(now) {
		s.enqueue(heap.Pop(&s.deferred).(deferredJob).job(s.r.inbox))
	}
	if s.r.Due != nil {
		s.r.Due(len(s.queue) + len(s.again) + s.queued)
	}
	for looked := 0; ; {
		l := s.pick()
		if l == nil {
			if looked == lookAhead || !s.mayLook() {
				return
			}
			looked++
			s.assign()
			continue
		}
		j := l.jobs[0]
		l.jobs = l.jobs[1:]
		if j.open != nil {
			s.open--
		}
		l.running++
		s.queued--
		s.running++
		s.list(l)
		s.give(j)
	}
}

// mayLook reports whether a worker is free for what might be found among the due entries
// that nobody has looked at.
func (s *schedule) mayLook() bool {
	return (len(s.queue) > 0 || len(s.again) > 0) && (s.free(ofOthers) || s.r.Known != nil && s.free(ofKnown))
}

// assign moves a due entry into its lane: in turn one that was never tried and one that
// was, so that neither waits for all of the others.
func (s *schedule) assign() {
	from := &s.queue
	if len(s.queue) == 0 || s.older && len(s.again) > 0 {
		from = &s.again
	}
	s.older = !s.older
	j := (*from)[0]
	if *from = (*from)[1:]; len(*from) == 0 {
		*from = nil // give the memory of a burst back
	}
	j.lane = s.laneOf(&j)
	l := s.lanes[j.lane]
	if l == nil {
		l = &lane{name: j.lane}
		s.lanes[j.lane] = l
	}
	l.jobs = append(l.jobs, j)
	s.queued++
	s.list(l)
}

// finish takes an attempt's result.
func (s *schedule) finish(res result) {
	l := s.lanes[res.job.lane]
	switch {
	case res.going && res.apart:
		s.apart++
		return
	case res.going:
		s.apart--
		s.list(l) // it may have more workers now
		return
	case res.apart:
		s.apart--
	}
	s.running--
	l.running--
	s.list(l)
	if l.running == 0 && len(l.jobs) == 0 {
		delete(s.lanes, res.job.lane)
	}
	if s.running == 0 {
		s.r.Spool.log.Flush()
	}
	s.settle(res)
	if res.mailbox != "" {
		s.delivered(res.mailbox, res.device)
	}
}

// settle notes where the schedule has the job of a result from now on.
func (s *schedule) settle(res result) {
	id := res.job.id()
	name, back := s.back[id]
	delete(s.back, id)
	switch {
	case !res.deferred:
		s.done++
		delete(s.known, id)
	case s.stay:
		s.deferrals++
		j := res.job
		j.due, j.at = res.due, res.at
		s.deferJob(j)
		if back && s.isNew(name) { // a person asked for an attempt now
			s.hurry(id, name)
		}
	default:
		s.deferrals++ // known: not again in this run
	}
}

// isNew reports whether the name is still in new/.
func (s *schedule) isNew(name string) bool {
	_, err := s.r.inbox.new.StatName(name)
	return err == nil
}
