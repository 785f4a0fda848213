package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paperpath/internal/spool"
)

// What a user's own rules do beside storing in Maildirs: each takes the message before its
// entry ends, and gets it again after a crash in between (spool(5), deliver).
const (
	inMbox    = "alice, mbox"    // a file of hers
	atProgram = "alice, program" // files that a program of hers makes, each by a rename
	answer    = "answer"         // the token of a vacation answer

	takes = "f=$(mktemp got.XXXXXX) && cat >$f && sync $f && mv $f done.$f && sync ."
)

// ownScenarios are deliveries by rules that end elsewhere than in a Maildir. As root maildeliver
// runs no program and writes no file for a user, so the home is somebody else's.
func ownScenarios() []scenario {
	own := func(name string, prepare func(*world) error, twice window, wants ...want) scenario {
		return scenario{name: "maildeliver, " + name, program: "maildeliver", args: fixed("run"), prepare: prepare,
			wants: wants, twice: twice, owners: owners{apart: true}}
	}
	rules := func(file, text string) func(*world) error {
		return inTurn([]func(*world) error{setting("user-programs", "yes"),
			func(w *world) error { return w.putWith("alice", file, text) }})
	}
	once := func(box string) want { return want{box: box, token: token} }
	return []scenario{
		// Who is remembered as answered by an attempt that came to nothing gets no answer.
		own("a vacation answer", rules("vacation", "Addresses: someone@example.net\n\nI am away.\n"), nil,
			once("alice"), want{box: "bob", token: answer, may: true}),
		own("to a program by .qmail", rules(".qmail", "|"+takes+"\n"), whileItRuns, once(atProgram)),
		own("to a program by .forward", rules(".forward", "\"|"+takes+"\", \\alice\n"), whileItRuns, once(atProgram), once("alice")),
		own("a large message to a program", inTurn([]func(*world) error{setting("user-programs", "yes"),
			func(w *world) error { return w.rule("alice", ".qmail", "|"+takes+"\n") },
			func(w *world) error { return w.putLarge("alice") }}), whileItRuns, once(atProgram)),
		own("to an mbox by .qmail", rules(".qmail", "./mbox\n"), afterTaken("mbox"), once(inMbox)),
		own("to an mbox and a folder", rules(".qmail", "./mbox\n./Maildir/.Junk/\n./Maildir/\n"), afterTaken("mbox"),
			once(inMbox), once(junk), once("alice")),
	}
}

// foreignScenarios are deliveries to a mailbox of another user than that of the home: maildeliver
// stays root, and a process of that user stores the message, or does what their rules say.
func foreignScenarios() []scenario {
	if os.Geteuid() != 0 {
		return nil
	}
	owen := func(name string, prepare func(*world) error, boxes ...string) scenario {
		return scenario{name: "maildeliver, another user's mailbox" + name, program: "maildeliver", args: fixed("run"),
			prepare: prepare, wants: must(boxes...), owners: owners{foreign: "owen"}}
	}
	return []scenario{
		owen("", inInbox(spool.InboxDeliver, to("owen@example.net")...), "owen"),
		owen(" with a quota", func(w *world) error {
			return w.putWith("owen", "Maildir/maildirsize", "1000000S\n0 0\n")
		}, "owen"),
		owen(", who forwards", func(w *world) error {
			return w.putWith("owen", ".forward", "\\owen, dora@example.net\n")
		}, "owen", "dora"),
	}
}

// afterTaken is the window behind the moment at which a file of the rules was written.
func afterTaken(name string) window {
	return func(before []*call, _ bool) bool {
		for _, c := range before {
			if c.changes && strings.HasPrefix(filepath.Base(c.path), name) {
				return true
			}
		}
		return false
	}
}

// whileItRuns is the window of a program. Nothing that is traced tells its start, and it goes
// on when maildeliver is killed.
func whileItRuns([]*call, bool) bool { return true }

// takenByRules counts what alice's rules have put elsewhere than into Maildirs.
func (w *world) takenByRules(a *arrived) error {
	home := w.mailbox("alice")
	text, err := os.ReadFile(filepath.Join(home, "mbox"))
	if err == nil {
		for _, m := range bytes.Split(append([]byte("\n"), text...), []byte("\nFrom "))[1:] {
			_, m, _ := bytes.Cut(m, []byte("\n"))
			a.add(inMbox, append(bytes.TrimRight(m, "\n"), '\n'), "mbox")
		}
	} else if !os.IsNotExist(err) {
		return err
	}
	done, _ := filepath.Glob(filepath.Join(home, "done.*"))
	for _, name := range done {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		a.add(atProgram, text, name)
	}
	return nil
}

// oldLocks lets time pass for the dot locks that a kill has left.
func (w *world) oldLocks() {
	locks, _ := filepath.Glob(filepath.Join(w.mailbox("alice"), "*.lock"))
	for _, lock := range locks {
		then := time.Now().Add(-time.Hour)
		os.Chtimes(lock, then, then)
	}
}
