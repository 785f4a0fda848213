package mailctl

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/spool"
)

// runEvery is how long ago a run may have ended in a home where cron works the inboxes.
const runEvery = time.Hour

// inboxes says how deep each inbox is, and whether a program works on it.
func (s Status) inboxes(sp *spool.Spool, d *day) (list []condition) {
	for _, in := range spool.Inboxes() {
		if in == spool.InboxHold {
			continue
		}
		c := condition{Level: levelOK, Part: string(in) + "/"}
		depth, err := sp.Depth(in)
		if err != nil {
			c.Level, c.Text = levelDown, err.Error()
			list = append(list, c)
			continue
		}
		running, err := sp.Running(in)
		ran := d.ran[string(in)]
		c.Text = count(depth.New+depth.Deferred, "entry", "entries")
		c.Facts = map[string]any{"new": depth.New, "deferred": depth.Deferred, "runner": running}
		if depth.New+depth.Deferred > 0 {
			age := s.Now.Sub(depth.Oldest)
			c.Text += fmt.Sprintf(" (%d new, %d deferred), the oldest %s old", depth.New, depth.Deferred, span(age))
			c.Facts["oldest"] = int64(age / time.Second)
		}
		switch {
		case err != nil:
			c.Level, c.Mend = levelDown, err.Error()
		case running:
			c.Text += ", a runner works on it"
		case s.Now.Sub(ran) < runEvery:
			c.Text += ", last run " + span(s.Now.Sub(ran)) + " ago"
		default:
			c.Text += ", no runner"
			if depth.New+depth.Deferred > 0 {
				c.Level = levelDown
				c.Mend = fmt.Sprintf("start mailctl start, or %s watch, or %s run from cron", stageOf(in), stageOf(in))
			}
		}
		list = append(list, c)
	}
	return list
}

// stageOf returns the program that works on an inbox.
func stageOf(in spool.Inbox) string { return "mail" + string(in) }

// hold counts what a person must look at.
func (s Status) hold(sp *spool.Spool) condition {
	n, today := 0, 0
	var newest spool.HeldEntry
	err := sp.EachHeld(func(h spool.HeldEntry) {
		n++
		if s.Now.Sub(h.Since) < lookback {
			today++
		}
		if h.Since.After(newest.Since) {
			newest = h
		}
	})
	c := condition{Level: levelOK, Part: "hold/", Text: fmt.Sprintf("%s, %d since yesterday", count(n, "entry", "entries"), today),
		Facts: map[string]any{"entries": n, "today": today}}
	switch {
	case err != nil:
		c.Level, c.Text = levelFault, err.Error()
	case n > 0:
		c.Level, c.Mend = levelNote, fmt.Sprintf("the last: %s (mailctl queue --inbox hold lists them)", newest.Reason)
	}
	return c
}

// certificates says how long each certificate is valid, and what is wrong with it. A
// pair that cannot be used is at fault, anything else a warning.
func (s Status) certificates() (list []condition) {
	found, inForce := certs.Check(s.Home, s.Now)
	for _, f := range found {
		c := condition{Level: levelNote, Part: "certificate", Text: "control/" + f.File + ": " + f.What, Mend: f.Mend}
		if !f.Warning {
			c.Level = levelFault
		}
		list = append(list, c)
	}
	for _, v := range inForce {
		if v.Text != "" {
			list = append(list, s.certificate(v))
		}
	}
	return list
}

// certificate says for how long one is valid, and whether anybody but us vouches for it.
func (s Status) certificate(v control.Value) condition {
	c := condition{Level: levelOK, Part: "certificate", Text: v.Text}
	leaf, err := certs.Leaf(s.Home, v.Key)
	if err != nil { // there is none, or it has gone meanwhile
		return c
	}
	days := int(leaf.NotAfter.Sub(s.Now) / (24 * time.Hour))
	c.Text = fmt.Sprintf("%s (%s)", c.Text, count(days, "day", "days"))
	c.Facts = map[string]any{"host": v.Key, "days": days, "self-signed": certs.SelfMade(leaf)}
	if certs.SelfMade(leaf) {
		c.Level, c.Mend = levelNote, "self-signed: programs that verify it refuse it (see control(5), tls)"
	}
	return c
}

// disks says what is left on the file systems of spool/ and mail/.
func (s Status) disks() (list []condition) {
	bytes, inodes, err := s.Control.Reserve()
	if err != nil {
		return []condition{{Level: levelFault, Part: "disk", Text: err.Error()}}
	}
	var seen []unix.Fsid
	for _, name := range []string{"spool", "mail"} {
		var st unix.Statfs_t
		path := filepath.Join(s.Home, name)
		if err := unix.Statfs(path, &st); err != nil {
			err = &os.PathError{Op: "statfs", Path: path, Err: err}
			list = append(list, condition{Level: levelFault, Part: "disk", Text: err.Error()})
			continue
		}
		if len(seen) > 0 && seen[0] == st.Fsid {
			continue
		}
		seen = append(seen, st.Fsid)
		list = append(list, disk(name, st, bytes, inodes))
	}
	return list
}

// disk is low while less than ten times the reserve is free.
func disk(name string, st unix.Statfs_t, bytes, inodes int64) condition {
	free := int64(st.Bavail) * int64(st.Bsize)
	c := condition{Level: levelOK, Part: "disk", Text: fmt.Sprintf("%s/: %s free", name, octets(free)),
		Facts: map[string]any{"path": name, "free": free}}
	counted := st.Files > 0 // btrfs counts none
	if counted {
		c.Text += fmt.Sprintf(" and %d inodes", st.Ffree)
		c.Facts["inodes"] = st.Ffree
	}
	switch {
	case free < bytes || counted && int64(st.Ffree) < inodes:
		c.Level, c.Mend = levelFault, fmt.Sprintf("nothing is accepted below control/reserve (%s, %d inodes)", octets(bytes), inodes)
	case free < 10*bytes || counted && int64(st.Ffree) < 10*inodes:
		c.Level, c.Mend = levelNote, fmt.Sprintf("control/reserve is %s and %d inodes", octets(bytes), inodes)
	}
	return c
}

// logWritable says whether events can be written, without writing one.
func (s Status) logWritable() condition {
	dest, err := s.Control.Log()
	if err != nil {
		return condition{Level: levelFault, Part: "log", Text: err.Error()}
	}
	if dest != "" && dest != "file" {
		return condition{Level: levelOK, Part: "log", Text: "events go to " + dest + " (control/log)"}
	}
	path := filepath.Join(s.Home, "log", "mail.log")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err == nil {
		f.Close()
		return condition{Level: levelOK, Part: "log", Text: "log/mail.log is writable"}
	}
	if os.IsNotExist(err) && unix.Access(filepath.Dir(path), unix.W_OK) == nil {
		return condition{Level: levelOK, Part: "log", Text: "log/mail.log is made with the next event"}
	}
	return condition{Level: levelFault, Part: "log", Text: "events are lost: " + err.Error()}
}
