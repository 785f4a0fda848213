package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"paperpath/internal/spool"
	"paperpath/test/harness"
)

// scenario is one step of a message on its way, and what is promised about it. Every
// new transition in spool(5) needs a scenario here.
type scenario struct {
	name    string
	prepare func(w *world) error // puts the home into the state before
	peer    string               // mode of the next host during the step; "" is ok
	program string
	args    func(w *world) []string
	input   []byte     // of standard input
	dialog  []exchange // or a dialogue over it
	wants   []want
	mend    func(w *world) error           // what a person mends before all is drained
	after   func(w *world, yes bool) error // what a person does once all is drained
	twice   window                         // in which a message may be there twice
	stays   bool                           // the next host stays as it is
	finds   bool                           // it may end with 65 and what it found
	watches spool.Inbox                    // it stays: it is ended once this inbox is empty
	owners  owners                         // whose the home and its mailboxes are
}

// window reports whether a crash after these calls is in a window that spool(5) names.
type window func(before []*call, powerCut bool) bool

// want says in which box a message must be in the end.
type want struct {
	box, token string
	accepts    bool // the step accepts it: it must be there only after a yes
	deletes    bool // the step deletes it: it must be gone after a yes
	may        bool // it may be missing: the reason for it may have gone by the next attempt
}

// exchange is a line of a dialogue: the reply that is waited for, and what is
// sent then.
type exchange struct {
	reply string
	send  string
	yes   bool // the reply is the yes
}

// accepts reports whether the step accepts a message from a client, which sends it
// again if it hears no yes.
func (s *scenario) accepts() bool {
	return (s.input != nil || s.dialog != nil) && s.wants[0].accepts
}

// inHand reports whether the step has somebody's message from its start: then a missing
// permission is no reason to refuse it.
func (s *scenario) inHand() bool { return s.input != nil }

func fixed(args ...string) func(*world) []string { return func(*world) []string { return args } }

const token = "token-1"

// scenarios returns all of them.
func scenarios() []scenario {
	var all []scenario
	for _, part := range [][]scenario{submitScenarios(), stageScenarios(), deliverScenarios(), ownScenarios(), foreignScenarios(), relayScenarios(), popScenarios(),
		queueScenarios(), holdScenarios(), checkScenarios(), watchScenarios()} {
		all = append(all, part...)
	}
	return all
}

// accepted are wants of a message that the step accepts.
func accepted(boxes ...string) (list []want) {
	for _, b := range boxes {
		list = append(list, want{box: b, token: token, accepts: true})
	}
	return list
}

// must are wants of a message that was accepted before.
func must(boxes ...string) (list []want) {
	for _, b := range boxes {
		list = append(list, want{box: b, token: token})
	}
	return list
}

func submitScenarios() []scenario {
	return []scenario{
		{name: "mailsubmit, stdin", program: "mailsubmit", args: fixed("-f", "bob@example.net", "alice@example.net"),
			input: letter(token, small), wants: accepted("alice")},
		{name: "mailsubmit, stdin, large", program: "mailsubmit", args: fixed("-f", "bob@example.net", "all@example.net"),
			input: letter(token, 1500<<10), wants: accepted("alice", "bob", elsewhere)},
		bySMTP(small),
	}
}

// bySMTP accepts a letter of that size in a session.
func bySMTP(size int) scenario {
	return scenario{name: "mailsubmit, SMTP", program: "mailsubmit", args: fixed("smtp", "--role", "mx"), wants: accepted("alice", "bob"),
		dialog: []exchange{{reply: "220", send: "EHLO client.example.org\r\n"},
			{reply: "250", send: "MAIL FROM:<carol@example.org>\r\n"},
			{reply: "250", send: "RCPT TO:<alice@example.net>\r\n"},
			{reply: "250", send: "RCPT TO:<bob@example.net>\r\n"},
			{reply: "250", send: "DATA\r\n"}, {reply: "354", send: string(harness.Wire(letter(token, size)))},
			{reply: "250", yes: true, send: "QUIT\r\n"}, {reply: "221"}}}
}

// inInbox is a step that finds one entry in an inbox.
func inInbox(in spool.Inbox, to ...spool.Recipient) func(*world) error {
	return func(w *world) error {
		_, err := w.put(in, token, to...)
		return err
	}
}

func stageScenarios() []scenario {
	route := scenario{program: "mailroute", args: fixed("run")}
	with := func(name string, prepare func(*world) error, wants []want) scenario {
		s := route
		s.name, s.prepare, s.wants = "mailroute, "+name, prepare, wants
		return s
	}
	splits := with("split with a remote child", inInbox(spool.InboxRoute, to("all@example.net")...), must("alice", "bob", elsewhere))
	splits.twice = betweenChildAndParent
	rewrite := with("rewrite", inInbox(spool.InboxRoute, to("away@example.net")...), must(elsewhere))
	rewrite.twice = betweenChildAndParent
	dead := with("a dead name below its alias", inInbox(spool.InboxRoute, to("ghost@example.net")...),
		append(must("alice", elsewhere), want{box: "bob", token: report}))
	dead.twice = betweenChildAndParent
	return []scenario{
		{name: "mailcheck", program: "mailcheck", args: fixed("run"),
			prepare: inInbox(spool.InboxCheck, to("alice@example.net")...), wants: must("alice")},
		{name: "mailcheck, promotion", program: "mailcheck", args: fixed("run"), wants: must("alice"),
			prepare: func(w *world) error { return w.leave(spool.InboxCheck, to("alice@example.net")...) }},
		with("promotion", func(w *world) error { return w.leave(spool.InboxRoute, to("alice@example.net")...) }, must("alice")),
		with("rename", inInbox(spool.InboxRoute, to("alice@example.net")...), must("alice")),
		with("split", inInbox(spool.InboxRoute, to("both@example.net")...), must("alice", "bob")),
		splits,
		with("split synced together", inInbox(spool.InboxRoute, to("crew@example.net")...), must(crew()...)),
		rewrite,
		with("bounce", inInbox(spool.InboxRoute, to("alice@example.net", "nobody@example.net")...),
			append(must("alice"), want{box: "bob", token: report})),
	}
}

// betweenChildAndParent: a child may have left the host before the parent is
// split again (spool(5), split).
func betweenChildAndParent(before []*call, _ bool) bool {
	for _, c := range before {
		if c.name == "rename" && strings.Contains(c.to, "/relay/new/") {
			return true
		}
	}
	return false
}

func deliverScenarios() []scenario {
	run := func(name string, box string, params string) scenario {
		return scenario{name: "maildeliver, " + name, program: "maildeliver", args: fixed("run"), wants: must(box),
			prepare: inInbox(spool.InboxDeliver, spool.Recipient{Addr: box + "@example.net", Params: params})}
	}
	notice := run("copy with a report to the sender", "alice", "NOTIFY=SUCCESS")
	notice.wants = append(notice.wants, want{box: "bob", token: report})
	notice.twice = betweenReportAndEnd
	asJunk := func(name, params string) scenario {
		s := run(name, "alice", "")
		s.wants, s.prepare = must(junk), func(w *world) error { return w.putJunk(params) }
		return s
	}
	own := func(name, file, text string, boxes ...string) scenario {
		s := run(name, "alice", "")
		s.wants, s.prepare = must(boxes...), func(w *world) error { return w.putWith("alice", file, text) }
		return s
	}
	missing := run("no mailbox", "ghost", "")
	missing.wants = []want{{box: "bob", token: report}}
	return []scenario{
		notice,
		run("rename", "alice", ""),
		run("copy for its parameters", "alice", "NOTIFY=NEVER ORCPT=rfc822;other@example.net"),
		run("first message of a mailbox", "dora", ""),
		asJunk("rename into the folder for junk", ""),
		asJunk("copy into the folder for junk", "NOTIFY=NEVER ORCPT=rfc822;other@example.net"),
		own("forward and store by .forward", ".forward", "\\alice, dora@example.net\n", "alice", "dora"),
		own("forward by .qmail", ".qmail", "&dora@example.net\n", "dora"),
		own("store twice by .qmail", ".qmail", "./Maildir/\n./Maildir/.Junk/\n", "alice", junk),
		own("rename with a quota", "Maildir/maildirsize", "1000000S\n0 0\n", "alice"),
		missing,
		run("two file systems", "carl", ""),
		{name: "maildeliver, MDA", program: "maildeliver", args: fixed("-d", "alice@example.net", "-f", "bob@example.net"),
			input: letter(token, small), wants: accepted("alice")},
	}
}

// betweenReportAndEnd: the sender was told of a delivery whose entry is still
// there (spool(5), deliver).
func betweenReportAndEnd(before []*call, _ bool) bool {
	for _, c := range before {
		if c.name == "rename" && strings.Contains(c.to, "/route/new/") {
			return true
		}
	}
	return false
}

func popScenarios() []scenario {
	prepare := func(w *world) error {
		for _, t := range []string{"token-1", "token-2", "token-3"} {
			if _, err := w.put(spool.InboxDeliver, t, to("alice@example.net")...); err != nil {
				return err
			}
		}
		return w.drain()
	}
	deletes := scenario{name: "pop3d, QUIT with deletions", program: "pop3d", prepare: prepare, args: fixed(), after: (*world).loginAgain,
		wants: []want{{box: "alice", token: "token-1", deletes: true}, {box: "alice", token: "token-2", deletes: true},
			{box: "alice", token: "token-3"}},
		dialog: []exchange{{reply: "+OK", send: "USER eve@example.net\r\n"}, {reply: "+OK", send: "PASS " + harness.Password + "\r\n"},
			{reply: "+OK", send: "DELE 1\r\n"}, {reply: "+OK", send: "DELE 2\r\n"}, {reply: "+OK", send: "QUIT\r\n"},
			{reply: "+OK", yes: true}}}
	parks := deletes
	parks.name = "pop3d, QUIT with an undelete window"
	parks.prepare = func(w *world) error {
		if err := w.set("undelete", "1d"); err != nil {
			return err
		}
		return prepare(w)
	}
	return []scenario{deletes, parks}
}

// loginAgain is the next session, which removes second names that a power cut left in
// the mailbox (spool(5)).
func (w *world) loginAgain(bool) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer ours.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := w.programs.Must(w.home, theirs, "/bin/sh", "-c", "exec '"+w.programs.Path("pop3d")+"' >&0")
		ended <- err
		theirs.Close()
	}()
	_, err = harness.Converse(ours).Fetch("eve@example.net", harness.Password, func(harness.Fetched) bool { return false })
	return errors.Join(err, <-ended)
}

// key returns the key of the one entry in the spool.
func (w *world) key() string {
	for _, path := range w.entries("check", "route", "deliver", "relay", "hold") {
		k, _, _ := strings.Cut(filepath.Base(path), ",")
		return k
	}
	return ""
}

func queueScenarios() []scenario {
	verb := func(name string, in spool.Inbox, wants []want) scenario {
		return scenario{name: "mailctl queue " + name, program: "mailctl", wants: wants,
			prepare: inInbox(in, to("alice@example.net")...),
			args:    func(w *world) []string { return []string{"queue", name, w.key()} }}
	}
	hold := verb("hold", spool.InboxRoute, must("alice"))
	hold.after = releaseHeld
	retry := verb("retry", spool.InboxRelay, must(elsewhere))
	retry.prepare = func(w *world) error {
		if _, err := w.put(spool.InboxRelay, token, to(elsewhere)...); err != nil {
			return err
		}
		if err := w.sink.SetMode("rcpt4xx"); err != nil {
			return err
		}
		_, err := w.programs.Must(w.home, nil, "mailrelay", "run")
		return err
	}
	release := verb("release", spool.InboxDeliver, must("alice"))
	release.prepare = func(w *world) error {
		if _, err := w.put(spool.InboxDeliver, token, to("alice@example.net")...); err != nil {
			return err
		}
		_, err := w.programs.Must(w.home, nil, "mailctl", "queue", "hold", w.key())
		return err
	}
	release.after = releaseHeld
	remove := verb("remove", spool.InboxRoute, []want{{box: "alice", token: token, deletes: true}})
	bounce := verb("bounce", spool.InboxRelay, []want{{box: "alice", token: token, deletes: true},
		{box: "bob", token: report, accepts: true}})
	bounce.after = func(w *world, yes bool) error {
		if yes || len(w.entries("hold")) == 0 {
			return nil
		}
		_, err := w.programs.Must(w.home, nil, "mailctl", "queue", "bounce", w.key())
		return err
	}
	return []scenario{hold, retry, release, verb("reroute", spool.InboxDeliver, must("alice")), remove, bounce, repairs(),
		{name: "mailctl queue, promotion", program: "mailctl", args: fixed("queue"), wants: must("alice"),
			prepare: func(w *world) error { return w.leave(spool.InboxCheck, to("alice@example.net")...) }}}
}

// repairs mends a spool with a held entry without a reason, which a person then
// releases.
func repairs() scenario {
	return scenario{name: "mailctl spool check --repair", program: "mailctl", wants: must("alice"), after: releaseHeld, finds: true,
		args: fixed("spool", "check", "--repair"),
		prepare: func(w *world) error {
			if _, err := w.put(spool.InboxRoute, token, to("alice@example.net")...); err != nil {
				return err
			}
			key := w.key()
			if _, err := w.programs.Must(w.home, nil, "mailctl", "queue", "hold", key); err != nil {
				return err
			}
			return os.Remove(filepath.Join(w.home, "spool/hold/reason", key))
		}}
}

// releaseHeld is a person who looks into hold/.
func releaseHeld(w *world, _ bool) error {
	if len(w.entries("hold")) == 0 {
		return nil
	}
	_, err := w.programs.Must(w.home, nil, "mailctl", "queue", "release", w.key())
	return err
}

// checkTable refuses a table in which two scenarios share a name.
func checkTable(all []scenario) error {
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.name] {
			return fmt.Errorf("two scenarios are called %q", s.name)
		}
		seen[s.name] = true
	}
	return nil
}
