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

// What stands above a letter, beside what the spool writes.
const (
	fromFilter = "X-Filtered: torture\n"                       // a filter has added it
	oddFields  = "Cc: a@example.net\nCc: b@example.net\n"      // it is held for that
	holdOdd    = "fields: hold"                                // a row of control/checks
	addsField  = "echo: program:/bin/echo X-Filtered: torture" // a row of control/filters
)

// checkScenarios are the steps in which a check decides that a message goes another way
// than others: into hold/, where it is accepted or from check/, and on as a child that a
// filter has changed.
func checkScenarios() []scenario {
	bySMTP := bySMTP(small)
	bySMTP.name = "mailsubmit, SMTP, held by a check"
	bySMTP.prepare = setting("checks", holdOdd)
	bySMTP.after = func(w *world, yes bool) error {
		if !yes {
			return releaseAll(w, yes)
		}
		return releaseFound(w, yes)
	}
	for i, x := range bySMTP.dialog {
		if x.reply == "354" {
			bySMTP.dialog[i].send = string(harness.Wire(oddLetter()))
		}
	}
	run := func(name string, prepare ...func(*world) error) scenario {
		return scenario{name: "mailcheck, " + name, program: "mailcheck", args: fixed("run"), prepare: inTurn(prepare),
			wants: must("alice")}
	}
	held := run("held by a check", setting("checks", holdOdd), oddInCheck)
	held.after = releaseFound
	changed := run("a filter changes it", setting("filters", addsField), inInbox(spool.InboxCheck, to("alice@example.net")...))
	changed.after = isFiltered
	return []scenario{bySMTP, held, changed}
}

// isFiltered wants what the filter added in what alice has.
func isFiltered(w *world, _ bool) error {
	names, _ := filepath.Glob(filepath.Join(w.mailbox("alice"), "Maildir", "new", "*"))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), "\n"+fromFilter) {
			return fmt.Errorf("%s has nothing from the filter", name)
		}
	}
	return nil
}

// oddLetter is a small letter that holdOdd holds.
func oddLetter() []byte { return append([]byte(oddFields), letter(token, small)...) }

// setting writes a control file.
func setting(name string, rows ...string) func(*world) error {
	return func(w *world) error { return w.set(name, rows...) }
}

func inTurn(list []func(*world) error) func(*world) error {
	return func(w *world) error {
		for _, f := range list {
			if err := f(w); err != nil {
				return err
			}
		}
		return nil
	}
}

// oddInCheck puts an entry into check/ that will be held.
func oddInCheck(w *world) error {
	_, err := w.acceptText(spool.InboxCheck, spool.Envelope{From: spool.Path{Addr: "bob@example.net"}, To: to("alice@example.net")},
		spool.WithLocal, oddLetter())
	return err
}

// releaseFound is a person who finds what a check holds, and releases it: also what a client
// sent again that had heard no yes.
func releaseFound(w *world, _ bool) error {
	if len(w.entries("hold")) == 0 {
		return errors.New("no check has held it")
	}
	return releaseAll(w, true)
}
