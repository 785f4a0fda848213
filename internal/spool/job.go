package spool

import "time"

// job is a name in the inbox that is to be worked on.
type job struct {
	key   Key
	name  string
	state state
	lane  string
	due   time.Time
}

// id tells jobs apart: the key, or the name of a file that has none.
func (j *job) id() string {
	if j.key != "" {
		return string(j.key)
	}
	return j.name
}

// sleeper is a job that is due later. There may be very many of them: it holds
// no more than it must.
type sleeper struct {
	name  string
	keyed int32 // how much of name is the key, 0 for none
	isNew bool
	due   int64 // in nanoseconds since 1970
}

func (j *job) asleep() sleeper {
	return sleeper{name: j.name, keyed: int32(len(j.key)), isNew: j.state == stateNew, due: j.due.UnixNano()}
}

func (s sleeper) id() string {
	if s.keyed > 0 {
		return s.name[:s.keyed]
	}
	return s.name
}

func (s sleeper) job() job {
	j := job{key: Key(s.name[:s.keyed]), name: s.name, state: stateWaiting, due: time.Unix(0, s.due)}
	if s.isNew {
		j.state = stateNew
	}
	return j
}

// sleepers are a heap by their due time.
type sleepers []sleeper

func (h sleepers) Len() int           { return len(h) }
func (h sleepers) Less(i, j int) bool { return h[i].due < h[j].due }
func (h sleepers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sleepers) Push(x any)        { *h = append(*h, x.(sleeper)) }
func (h *sleepers) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}
