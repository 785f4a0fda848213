package main

import (
	"os"
	"path/filepath"

	"paperpath/test/harness"
)

// relayChoices are the steps in which mailrelay does not simply send: a login comes first,
// a rule on replies decides, a part of the recipients is answered, or a person calls it.
func relayChoices() []scenario {
	login := relaying("a login", "auth", must(elsewhere), elsewhere)
	login.prepare, login.stays = after(withPassword(harness.Password), login.prepare), true
	refused := relaying("a login that is refused", "auth", must(elsewhere), elsewhere)
	refused.prepare, refused.stays = after(withPassword("not it"), refused.prepare), true
	refused.mend = withPassword(harness.Password)
	unmet := relaying("a TLS rule that is not met", "", must(elsewhere), elsewhere)
	unmet.prepare = after(control("tls-policy", ".: encrypt"), unmet.prepare)
	unmet.mend = control("tls-policy", ".: none")
	rated := several(relaying("deferred by a rate", "", nil))
	rated.prepare = after(control("destinations", "elsewhere.example: rate=1/1h"), rated.prepare)
	rated.mend = control("destinations", "elsewhere.example: sessions=1")

	retried := relaying("tried again by a reply rule", "rcpt5xx", must(elsewhere), elsewhere)
	retried.prepare = after(control("reply-rules", "550: retry 10m"), retried.prepare)
	slowed := relaying("slowed by a reply rule", "rcpt4xx", must(elsewhere), elsewhere)
	slowed.prepare = after(control("reply-rules", "450: slow 10m"), slowed.prepare)
	held := relaying("held by a reply rule", "rcpt5xx", must(elsewhere), elsewhere)
	held.prepare, held.after = after(control("reply-rules", "550: hold"), held.prepare), releaseHeld
	elseRoute := routed(relaying("another route by a reply rule", "smtp5xx", must(elsewhere), elsewhere),
		"elsewhere.example: SINK lmtp:SINK")
	elseRoute.prepare = after(control("reply-rules", "550: other-route"), elseRoute.prepare)
	next := routed(relaying("the next target", "", must(elsewhere), elsewhere), "elsewhere.example: 127.0.0.1:1 SINK")

	some := routed(relaying("LMTP, one of two answers", "lmtp4xx", must(elsewhere, other), elsewhere, other),
		"elsewhere.example: lmtp:SINK")
	some.twice = beforeTheMark
	forgets := relaying("forget", "", must(elsewhere), elsewhere)
	forgets.args = func(w *world) []string { return []string{"forget", w.sink.Addr} }
	one := scenario{name: "mailrelay, one message", program: "mailrelay", input: letter(token, small), wants: accepted(elsewhere),
		args: fixed("--from", "bob@example.net", "--to", elsewhere), twice: betweenReplyAndMark}
	return []scenario{login, refused, unmet, rated, retried, slowed, held, elseRoute, next, some, halfByProgram(), forgets, one}
}

// withPassword makes the login that the next host demands, with a password.
func withPassword(password string) func(*world) error {
	return func(w *world) error {
		path := filepath.Join(w.home, "control/relay-logins/127.0.0.1")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, []byte("user: alice\npassword: "+password+"\n"), 0o600)
	}
}

// halfByProgram is a program that takes the message for one recipient, and for the other
// only when it is called again. It is not a script of the shell, which would end with 0 if
// it could not read on.
func halfByProgram() scenario {
	s := routed(relaying("a program, one of two answers", "", must("alice", "bob"), elsewhere, other),
		"elsewhere.example: program:HOME/run/half BIN/maildeliver HOME")
	s.twice = beforeTheMark
	// If the first call comes hours later, the sender hears of the delay.
	s.wants = append(s.wants, want{box: "bob", token: report, may: true})
	s.prepare = after(s.prepare, func(w *world) error {
		return os.WriteFile(filepath.Join(w.home, "run/half"), []byte(`#!/usr/bin/awk -f
BEGIN {
	box = ENVIRON["RECIPIENT"] ~ /^y@/ ? "bob" : "alice"
	called = ARGV[2] "/run/called"
	if (box == "bob" && system("test -e " called) != 0) {
		system(": >" called)
		exit 75
	}
	exit system("exec " ARGV[1] " --home " ARGV[2] " -d " box "@example.net")
}
`), 0o755)
	})
	return s
}
