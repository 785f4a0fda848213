package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// relaying is a run of mailrelay that finds one entry.
func relaying(name, peer string, wants []want, addresses ...string) scenario {
	return scenario{name: "mailrelay, " + name, program: "mailrelay", args: fixed("run"), peer: peer,
		prepare: inInbox(spool.InboxRelay, to(addresses...)...), wants: wants, twice: betweenReplyAndMark}
}

// relayScenarios are the steps of mailrelay: what a host has said yes to is marked, what
// it refused is reported, and everything else waits.
func relayScenarios() []scenario {
	run := relaying
	refused := run("refused", "rcpt5xx", []want{{box: "bob", token: report}}, elsewhere)
	refused.stays = true
	byRule := run("bounced by a reply rule", "rcpt4xx", []want{{box: "bob", token: report}}, elsewhere)
	byRule.stays = true
	byRule.prepare = after(control("reply-rules", "450: bounce"), byRule.prepare)
	signed := run("signed", "", must(elsewhere), elsewhere)
	signed.prepare = after(withKeys, signed.prepare)
	return append(relayChoices(),
		run("one host", "", must(elsewhere), elsewhere),
		run("two recipients", "", must(elsewhere, other), elsewhere, other),
		run("deferred", "rcpt4xx", must(elsewhere), elsewhere),
		refused,
		expired(refused),
		byRule,
		delayed(run("a report of the delay", "rcpt4xx", nil)),
		signed,
		several(run("several entries in a session", "", nil)),
		routed(run("LMTP, two recipients", "", must(elsewhere, other), elsewhere, other), "elsewhere.example: lmtp:SINK"),
		byProgram(run("a program", "", must("alice"), elsewhere)),
	)
}

// routed is a step that finds those routes.
func routed(s scenario, rows string) scenario {
	s.prepare = after(func(w *world) error { return write(filepath.Join(w.home, routesFile), rows) }, s.prepare)
	return s
}

// byProgram goes to a program that stores the message in alice's mailbox.
func byProgram(s scenario) scenario {
	s.twice = beforeTheMark
	return routed(s, "elsewhere.example: program:BIN/maildeliver --home HOME -d alice@example.net")
}

// beforeTheMark: the first recipient may be done, but nothing says so.
func beforeTheMark(before []*call, powerCut bool) bool {
	if powerCut {
		return recorded(before) == 0
	}
	return !marked(before)
}

// marked reports whether a mark was made.
func marked(before []*call) bool {
	return slices.ContainsFunc(before, func(c *call) bool { return c.name == "write" && inRelay(c.path) })
}

// inRelay reports whether a path is that of an entry in relay/.
func inRelay(path string) bool {
	return strings.Contains(path, "/spool/relay/") && (within(path, "new") || within(path, "cur"))
}

// recorded counts the recipients that the disk knows to be done: their marks are synced,
// or their entry has gone and then its directory was synced.
func recorded(before []*call) (n int) {
	marked := map[string]int{} // by entry: marks that are not synced
	removed := map[*call]int{} // by removal that is not synced: marks of the entry
	for _, c := range before {
		switch entry := inRelay(c.path) && c.ok(); {
		case entry && c.name == "write":
			marked[c.path]++
		case entry && c.name == "fdatasync":
			n += marked[c.path]
			delete(marked, c.path)
		case entry && c.name == "unlink":
			removed[c] = marked[c.path]
			delete(marked, c.path)
		case c.name == "fsync" && c.ok():
			for r, marks := range removed {
				if filepath.Dir(r.path) == c.path && endedBefore(r, c) {
					n += marks
					delete(removed, r)
				}
			}
		}
	}
	return n
}

// endedBefore reports whether first, which began before c, had ended then: a sync makes
// nothing durable that happens while it runs.
func endedBefore(first, c *call) bool { return !slices.Contains(c.beside, first) }

// after is a step that finds a home in which all of these were done.
func after(prepare ...func(*world) error) func(*world) error {
	return func(w *world) error {
		for _, p := range prepare {
			if err := p(w); err != nil {
				return err
			}
		}
		return nil
	}
}

// control writes a control file.
func control(name string, rows ...string) func(*world) error {
	return func(w *world) error { return w.set(name, rows...) }
}

// withKeys makes DKIM keys for the sender's domain and activates them.
func withKeys(w *world) error {
	for _, verb := range []string{"new", "activate"} {
		if _, err := w.programs.Must(w.home, nil, "mailctl", "dkim", verb, harness.Domain); err != nil {
			return err
		}
	}
	return nil
}

// several is three entries for one host.
func several(s scenario) scenario {
	s.prepare = func(w *world) error {
		for i := range 3 {
			t := fmt.Sprintf("token-%d", i+1)
			if _, err := w.put(spool.InboxRelay, t, to(elsewhere)...); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range 3 {
		s.wants = append(s.wants, want{box: elsewhere, token: fmt.Sprintf("token-%d", i+1)})
	}
	return s
}

// delayed is an entry of five hours whose sender asked to hear of a delay.
func delayed(s scenario) scenario {
	s.prepare = func(w *world) error {
		sp, _, err := w.putOld(5*time.Hour, spool.Recipient{Addr: elsewhere, Params: "NOTIFY=FAILURE,DELAY"})
		if err != nil {
			return err
		}
		return sp.Close()
	}
	s.wants = append(must(elsewhere), want{box: "bob", token: report, may: true})
	s.twice = betweenReportAndEnd
	return s
}

// putOld places an entry of that age in relay/.
func (w *world) putOld(age time.Duration, list ...spool.Recipient) (*spool.Spool, spool.Key, error) {
	sp, err := spool.Open(w.home, spool.Options{Hostname: harness.Hostname,
		Now: func() time.Time { return time.Now().Add(-age) }})
	if err != nil {
		return nil, "", err
	}
	env := spool.Envelope{From: spool.Path{Addr: "bob@example.net"}, To: list}
	k, err := sp.Accept(spool.InboxRelay, env, nil, spool.Trace{By: harness.Hostname, With: spool.WithLocal},
		spool.BytesBody(letter(token, small)))
	return sp, k, err
}

// expired is an old entry of which one recipient was served just now: the mark
// has not made it young, so that the other one is given up. Its mtime is that of
// the mark.
func expired(s scenario) scenario {
	s.name, s.peer = "mailrelay, given up after a mark", "rcpt4xx"
	s.prepare = func(w *world) error {
		sp, k, err := w.putOld(132*time.Hour, to(other, elsewhere)...)
		if err != nil {
			return err
		}
		defer sp.Close()
		e, err := sp.Find(k)
		if err != nil {
			return err
		}
		defer e.Close()
		reason := strings.Repeat("relay 2026-11-20T00:00:00Z deferred: for a reason\n", 10)
		return errors.Join(e.Mark(0), write(filepath.Join(w.home, "spool/relay/reason", string(k)), reason))
	}
	return s
}

// betweenReplyAndMark: a host has taken the message, the mark is not made yet; after a
// power cut: neither a mark nor the removal of the entry is synced yet (spool(5), mark).
func betweenReplyAndMark(before []*call, powerCut bool) bool {
	named, recipients, marks := map[string]int{}, 0, 0
	for _, c := range before {
		switch {
		case strings.HasPrefix(c.path, "socket:"):
			recipients += texts(c, named)
		case c.name == "write" && strings.Contains(c.path, "/spool/relay/new/"):
			marks++
		}
	}
	if powerCut {
		return recipients > recorded(before)
	}
	return recipients > marks
}

// texts returns how many recipients the messages have that end in what is written to a
// session, and counts the recipients that are named in it for the next message.
func texts(c *call, named map[string]int) (n int) {
	rest := c.data
	for len(rest) > 0 {
		line, more, _ := bytes.Cut(rest, []byte("\r\n"))
		rest = more
		words := strings.Fields(string(line))
		switch {
		case len(words) > 0 && words[0] == "RCPT":
			named[c.path]++
		case len(words) == 3 && words[0] == "BDAT":
			n, named[c.path] = n+named[c.path], 0
			octets, _ := strconv.Atoi(words[1])
			rest = rest[min(octets, len(rest)):]
		case string(line) == ".":
			n, named[c.path] = n+named[c.path], 0
		}
	}
	return n
}
