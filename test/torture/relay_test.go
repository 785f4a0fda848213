package main

import "testing"

// A sync of a directory records the entries that had left it before it began, not those
// that leave it while it runs.
func TestRecorded(t *testing.T) {
	const dir = "/home/spool/relay/new"
	made := func(name, path string, beside ...*call) *call {
		return &call{name: name, path: path, done: true, beside: beside}
	}
	mark, other := made("write", dir+"/a"), made("write", dir+"/b")
	gone, otherGone := made("unlink", dir+"/a"), made("unlink", dir+"/b")
	for _, tt := range []struct {
		name  string
		calls []*call
		want  int
	}{
		{"a mark", []*call{mark}, 0},
		{"a synced mark", []*call{mark, made("fdatasync", dir+"/a")}, 1},
		{"a removal", []*call{mark, gone}, 0},
		{"a synced removal", []*call{mark, gone, made("fsync", dir)}, 1},
		{"another directory is synced", []*call{mark, gone, made("fsync", dir+"/..")}, 0},
		{"a sync that fails", []*call{mark, gone, {name: "fsync", path: dir, done: true, ret: -5}}, 0},
		{"a sync beside a removal", []*call{mark, other, gone, otherGone, made("fsync", dir, otherGone)}, 1},
		{"and one after it", []*call{mark, other, gone, otherGone, made("fsync", dir, otherGone), made("fsync", dir)}, 2},
	} {
		if got := recorded(tt.calls); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
