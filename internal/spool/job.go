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

// jobHeap orders jobs by their due time.
type jobHeap []job

func (h jobHeap) Len() int           { return len(h) }
func (h jobHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h jobHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *jobHeap) Push(x any)        { *h = append(*h, x.(job)) }
func (h *jobHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	*h = old[:len(old)-1]
	return j
}
