package program

import "runtime"

const (
	crowd = 200 // entries due: one processor is too few
	few   = 20  // entries due: one is enough again
)

// processors returns what tells the runtime to run a brief stage on one processor while few
// entries are due, and on all that it had when there is a crowd. A lone entry passes from
// goroutine to goroutine; with idle processors each pass wakes a thread that looks for more
// work and finds none, and takes the time from the sender, who waits for the answer.
func processors() func(due int) {
	all := runtime.GOMAXPROCS(0)
	now := all
	return func(due int) {
		want := now
		switch {
		case due >= crowd:
			want = all
		case due < few:
			want = 1
		}
		if want != now {
			runtime.GOMAXPROCS(want)
			now = want
		}
	}
}
