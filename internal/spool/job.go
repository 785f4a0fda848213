package spool

import "time"

// job is a name in the inbox that is to be worked on.
type job struct {
	key  Key
	at   spot
	lane string
	open *Entry // as the look-up of the lane has left it; nil: it is not open
	due  time.Time
}

// id tells jobs apart: the key, or the name of a file that has none.
func (j *job) id() string {
	if j.key != "" {
		return string(j.key)
	}
	return j.at.name
}

// deferredJob is a job that is due later. There may be very many, so it holds no more
// than it must.
type deferredJob struct {
	name  string
	keyed int32 // how much of name is the key, 0 for none
	isNew bool
	due   int64 // in nanoseconds since 1970
}

func (j *job) deferred() deferredJob {
	return deferredJob{name: j.at.name, keyed: int32(len(j.key)), isNew: j.at.state == stateNew,
		due: j.due.UnixNano()}
}

func (s deferredJob) id() string {
	if s.keyed > 0 {
		return s.name[:s.keyed]
	}
	return s.name
}

// job is the job in the inbox that it was deferred in.
func (s deferredJob) job(in *inbox) job {
	at := spot{in, stateDeferred, s.name}
	if s.isNew {
		at.state = stateNew
	}
	return job{key: Key(s.name[:s.keyed]), at: at, due: time.Unix(0, s.due)}
}

// jobState is where the schedule has a job: 0 nowhere, atWork, or in the heap of
// deferred jobs, one more than the index there.
type jobState int32

const atWork jobState = -1 // queued or running, or in a Run tried already

// deferredJobs is a heap by due time. at has the index of each job, so that
// thousands can be made due at once without a search for each.
type deferredJobs struct {
	list []deferredJob
	at   map[string]jobState
}

func (h *deferredJobs) Len() int           { return len(h.list) }
func (h *deferredJobs) Less(i, j int) bool { return h.list[i].due < h.list[j].due }
func (h *deferredJobs) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.note(i)
	h.note(j)
}
func (h *deferredJobs) Push(x any) {
	h.list = append(h.list, x.(deferredJob))
	h.note(len(h.list) - 1)
}
func (h *deferredJobs) Pop() any {
	last := len(h.list) - 1
	s := h.list[last]
	h.list = h.list[:last]
	delete(h.at, s.id())
	return s
}

func (h *deferredJobs) note(i int) { h.at[h.list[i].id()] = jobState(i + 1) }

// entry returns the entry of a job, which was opened for its lane, if nobody has touched
// it since.
func (j *job) entry() (*Entry, error) {
	if e := j.open; e != nil {
		if e.untouched() {
			return e, nil
		}
		e.close()
	}
	return j.at.open()
}
