package mailctl

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"paperpath/internal/maillog"
	"paperpath/internal/status"
)

func TestVerdict(t *testing.T) {
	ok, note := condition{Level: levelOK}, condition{Level: levelNote}
	fault := condition{Level: levelFault, Part: "disk", Text: "full"}
	down := condition{Level: levelDown, Part: "relay/", Text: "no runner"}
	for _, c := range []struct {
		list []condition
		exit int
		text string
	}{
		{nil, 0, ""}, {[]condition{ok, note}, 0, ""},
		{[]condition{ok, fault, fault}, status.Refused, "2 things need a person, such as disk: full"},
		{[]condition{fault, down, ok}, status.TempFail, "1 part is down, such as relay/: no runner"},
		{[]condition{down, fault}, status.TempFail, "1 part is down, such as relay/: no runner"},
	} {
		err := verdict(c.list)
		if status.Exit(err) != c.exit || err != nil && err.Error() != c.text {
			t.Errorf("%v: %v, want %d %q", c.list, err, c.exit, c.text)
		}
	}
}

func TestListensAt(t *testing.T) {
	got := listensAt(strings.Fields("mailsubmit smtp --listen 127.0.0.1:25 --role mx --listen-tls=[::1]:465 --listen unix:run/submit --listen"))
	if want := []string{"127.0.0.1:25", "[::1]:465", "unix:run/submit", ""}; !slices.Equal(got[:3], want[:3]) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDisk(t *testing.T) {
	at := func(blocks, files, left uint64) unix.Statfs_t {
		return unix.Statfs_t{Bsize: 1024, Bavail: blocks, Files: files, Ffree: left}
	}
	for _, c := range []struct {
		st   unix.Statfs_t
		want level
	}{
		{at(1000, 10, 2000), levelOK}, {at(1000, 0, 0), levelOK}, {at(999, 0, 0), levelNote}, {at(99, 0, 0), levelFault},
		{at(1000, 10, 999), levelNote}, {at(1000, 10, 99), levelFault},
	} {
		if got := disk("spool", c.st, 100<<10, 100); got.Level != c.want {
			t.Errorf("%+v: %+v, want %s", c.st, got, c.want)
		}
	}
}

// Counts and last words come from the events.
func TestDay(t *testing.T) {
	d := &day{counts: map[string]int{}, last: map[string]string{}, listens: map[string]string{}, reached: map[string]bool{}}
	for _, line := range []string{
		"time=2026-11-23T12:00:00.000000Z prog=p event=accepted key=k to=a",
		"time=2026-11-23T12:00:01.000000Z prog=mailrelay event=trouble key=k op=dial error=\"no route\"",
		"time=2026-11-23T12:00:02.000000Z prog=pop3d event=listening key=- addr=127.0.0.1:110",
		"time=2026-11-23T12:00:03.000000Z prog=mailrelay event=relayed key=k to=x@Far.example",
	} {
		e, ok := maillog.Parse([]byte(line))
		if !ok {
			t.Fatal(line)
		}
		d.add(e)
	}
	if d.counts["accepted"] != 1 || d.last["trouble"] != "2026-11-23T12:00:01 mailrelay: dial: no route" ||
		d.listens["127.0.0.1:110"] != "pop3d" || !d.reached["far.example"] {
		t.Errorf("%+v", d)
	}
}

// A server on a socket from systemd says its path without a scheme.
func TestDialsSockets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "submit")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, addr := range []string{path, "unix:" + path, "unix:submit"} {
		conn, err := (Status{Home: dir}).dial(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		conn.Close()
	}
}
