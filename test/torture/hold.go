package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/spool"
)

// stranger is a reverse path that nothing has verified: no report goes there.
const stranger = "carol@example.org"

// holdScenarios are the steps that hold an entry for a person, and the removal of
// entries that no person has looked at.
func holdScenarios() []scenario {
	return []scenario{
		{name: "mailrelay, refused and held", program: "mailrelay", args: fixed("run"), peer: "rcpt5xx",
			prepare: fromStranger(spool.InboxRelay, elsewhere), wants: must(elsewhere), after: releaseHeld, twice: betweenReplyAndMark},
		{name: "mailroute, a child to hold", program: "mailroute", args: fixed("run"),
			prepare: fromStranger(spool.InboxRoute, "alice@example.net", "nobody@example.net"), wants: must("alice"), after: removeChild},
		{name: "maildeliver, the name is taken", program: "maildeliver", args: fixed("run"),
			prepare: takeName, wants: append(must("alice"), want{box: "alice", token: taken}), after: freeName},
		{name: "mailroute, holdtime is over", program: "mailroute", args: fixed("run"),
			prepare: holdLong, wants: []want{{box: "alice", token: token, deletes: true}}, after: expireHeld},
		{name: "mailroute, the clock jumps", program: "mailroute", args: func(w *world) []string { return runAt(w, 50*time.Hour) },
			prepare: holdBeforeJump, wants: must("alice"), after: jumpAgain},
	}
}

func fromStranger(in spool.Inbox, addresses ...string) func(*world) error {
	return func(w *world) error {
		env := spool.Envelope{From: spool.Path{Addr: stranger}, To: to(addresses...)}
		_, err := w.accept(in, env, "ESMTP", token)
		return err
	}
}

// removeChild is a person who removes the child for nobody@example.net. It must be
// there: nothing else shows that a recipient failed.
func removeChild(w *world, _ bool) error {
	if n := len(w.entries("hold")); n != 1 {
		return fmt.Errorf("%d entries in hold/ for the recipient that failed", n)
	}
	_, err := w.programs.Must(w.home, nil, "mailctl", "queue", "remove", w.key())
	return err
}

// taken is the token of entryText, another message under the entry's name.
const taken = "token-9"

// takeName puts another message where the entry would be delivered.
func takeName(w *world) error {
	if err := inInbox(spool.InboxDeliver, to("alice@example.net")...)(w); err != nil {
		return err
	}
	name := filepath.Base(w.entries("deliver")[0])
	box := filepath.Join(w.mailbox("alice"), "Maildir")
	if err := os.MkdirAll(filepath.Join(box, "new"), 0o700); err != nil {
		return err
	}
	for _, sub := range []string{"tmp", "cur"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			return err
		}
	}
	return write(filepath.Join(box, "new", name), entryText(poisonKey))
}

// freeName is a person who renames the other message and releases the entry.
func freeName(w *world, yes bool) error {
	names, _ := filepath.Glob(filepath.Join(w.mailbox("alice"), "Maildir", "new", "*"))
	for _, name := range names {
		if text, err := os.ReadFile(name); err != nil || string(text) != entryText(poisonKey) {
			continue
		}
		if err := os.Rename(name, filepath.Join(filepath.Dir(name), poisonKey)); err != nil {
			return err
		}
	}
	return releaseHeld(w, yes)
}

// holdOne holds an entry in a home that removes held entries after a day.
func holdOne(w *world) error {
	if err := w.set("holdtime", "1d"); err != nil {
		return err
	}
	if err := inInbox(spool.InboxDeliver, to("alice@example.net")...)(w); err != nil {
		return err
	}
	_, err := w.programs.Must(w.home, nil, "mailctl", "queue", "hold", w.key())
	return err
}

// holdLong is holdOne, two days ago.
func holdLong(w *world) error {
	if err := holdOne(w); err != nil {
		return err
	}
	w.digested(time.Now())
	then := time.Now().Add(-50 * time.Hour)
	return os.Chtimes(filepath.Join(w.home, "spool/hold/reason", w.key()), then, then)
}

// expireHeld makes the runs that follow, after which the entry must be gone. If a fault
// left a record of the clock that cannot be read, or the runs that drained the queue
// moved the clock, a day passes before that.
func expireHeld(w *world, _ bool) error {
	if _, err := w.programs.Must(w.home, nil, "mailroute", "run"); err != nil {
		return err
	}
	if len(w.entries("hold")) > 0 {
		if log := w.log(); !strings.Contains(log, "run/clock holds") && !strings.Contains(log, "event=clock-moved") {
			return fmt.Errorf("%s stays in hold/", w.key())
		}
		if err := w.recordClock(time.Now()); err != nil {
			return err
		}
	}
	if _, err := w.programs.Must(w.home, nil, "mailroute", "run"); err != nil {
		return err
	}
	if left := w.entries("hold"); len(left) > 0 {
		return fmt.Errorf("in hold/ stay %v", left)
	}
	// A crash may leave the reason without its entry. It stays for an hour, and is no
	// fault until then.
	_, err := w.programs.Must(w.home, nil, "mailctl", "spool", "check")
	return err
}

// holdBeforeJump holds an entry; then a pass notes the time.
func holdBeforeJump(w *world) error {
	if err := holdOne(w); err != nil {
		return err
	}
	_, err := w.programs.Must(w.home, nil, "mailroute", "run")
	return err
}

// jumpAgain makes more passes with a wrong clock, which must remove nothing; then a
// person releases what is there.
func jumpAgain(w *world, yes bool) error {
	for _, later := range []time.Duration{55 * time.Hour, 100 * 24 * time.Hour} {
		if _, err := w.programs.Must(w.home, nil, "mailroute", runAt(w, later)...); err != nil {
			return err
		}
	}
	return releaseHeld(w, yes)
}

// runAt returns the arguments of a run that much later.
func runAt(w *world, later time.Duration) []string {
	at := time.Now().Add(later)
	w.digested(at)
	return []string{"run", "--now", at.UTC().Format(time.RFC3339)}
}
