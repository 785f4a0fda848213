package script

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are the words that the scripts have beside testscript's own.
func commands() map[string]command {
	all := map[string]command{}
	for usage, run := range map[string]func(ts *testscript.TestScript, args []string){
		"home [USER...]":                cmdHome,       // init $WORK/home with services on free ports
		"start":                         cmdStart,      // mailctl start, until ready
		"terminate":                     cmdTerminate,  // SIGTERM to it, exit status 0
		"status N PROG [ARG...]":        cmdStatus,     // run it, exactly this exit status
		"control NAME [ROW...]":         cmdControl,    // write a control file
		"bytes FILE GOSTRING...":        cmdBytes,      // write unquoted bytes
		"fill FILE SIZE":                cmdFill,       // append a line of SIZE letters
		"glob N PATTERN":                cmdGlob,       // so many files match
		"keyof VAR PATTERN":             cmdKeyof,      // the key of the only match
		"one PATTERN FILE":              cmdOne,        // copy the only match to FILE
		"body PATTERN FILE":             cmdBody,       // the only match below our own fields
		"waitfor HOW WHAT PATTERN":      cmdWaitfor,    // waitfor glob N PATTERN | waitfor grep REGEXP PATTERN
		"dialog ADDR FILE [PROG...]":    cmdDialog,     // ADDR or exec: play a conversation
		"sink NAME MODE [ADDR]":         cmdSink,       // an SMTP peer at $NAME
		"tlssink NAME CERT":             cmdTLSSink,    // one with STARTTLS, whose certificate is in CERT
		"nameserver NAME ZONEFILE":      cmdNameserver, // a DNS server that control/resolver names
		"downdns NAME":                  cmdDownDNS,    // it ends
		"mount DIR OPTIONS":             cmdMount,      // a tmpfs until the script ends
		"flood N MAXMIB HEADER PROG...": cmdFlood,      // exit status N to 1 GiB on stdin
		"peak MAXMIB PID":               cmdPeak,       // its resident size never was larger
		"block PAGE WORDS FILE":         cmdBlock,      // what stands on a page, to FILE and FILE.out
		"shown FILE":                    cmdShown,      // standard output is as FILE.out says
		"missing TEXT":                  cmdMissing,    // what could not be tested; fails with CI=true
		"down ADDR":                     cmdDown,       // nothing accepts there
		"killed WORDS":                  cmdKilled,     // SIGKILL to the service whose command line begins so
		"serve ADDRVAR PROG [ARG...]":   cmdServe,      // a server on a free port ("ADDR" in ARG)
	} {
		name, _, _ := strings.Cut(usage, " ")
		all[name] = word(usage, run)
	}
	return all
}

// word makes a command that is used as its usage says or fails: none of ours
// has a negation, which would pass for an assertion, or an argument to ignore.
func word(usage string, run func(ts *testscript.TestScript, args []string)) command {
	least, most := 0, 0
	for _, w := range strings.Fields(usage)[1:] {
		if !strings.HasPrefix(w, "[") {
			least++
		}
		most++
		if strings.Contains(w, "...") {
			most = 1 << 10
		}
	}
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least || len(args) > most {
			ts.Fatalf("usage: %s", usage)
		}
		run(ts, args)
	}
}
