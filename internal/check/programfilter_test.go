package check

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/compose"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
)

// program makes a program of a shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "filter")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// filtered is what becomes of a message with these filters, and the events.
func filtered(t *testing.T, filters string, s Subject, text string) (v Verdict, out, events string) {
	t.Helper()
	home := t.TempDir()
	writeControl(t, home, "hostname", "mx.example.net\n", "domains", "example.net\n", "filters", filters)
	var log bytes.Buffer
	k := checkerOf(control.Open(home, time.Now), nil)
	k.Log = maillog.To(&log, "mailcheck", time.Now)
	s.Body = spool.BytesBody([]byte(text))
	v = k.Message(t.Context(), s, nil)
	whole, err := io.ReadAll(io.NewSectionReader(v.Body, 0, v.Body.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return v, string(whole), log.String()
}

// A program answers by its exit status, and what it says.
func TestProgramFilter(t *testing.T) {
	const mail = "From: bob@x.example\nSubject: x\n\nhello\n"
	many := strings.Repeat("X-A: b\\n", 101)
	for _, c := range []struct {
		name, options, script string
		action                control.CheckAction
		reason                string // part of the verdict's
		top                   string // what stands above the message
		event                 string // part of one
	}{
		{"accepts", "", "exit 0", "accept", "", "", ""},
		{"does not read", "", "exec <&-; exit 0", "accept", "", "", ""},
		{"adds fields", "", `printf 'X-Spam-Status: No,\n\tscore=1\nX-Scanned: yes\n'`, "accept", "",
			"X-Spam-Status: No,\n\tscore=1\nX-Scanned: yes\n", ""},
		{"adds fields with CRLF and a blank line", "", `printf 'X-A: b\r\nX-C: d\r\n\r\n'`, "accept", "", "X-A: b\nX-C: d\n", ""},
		{"refuses", "", "echo a virus: EICAR; exit 65", "refuse", "a virus: EICAR", "", ""},
		{"refuses and says why on standard error", "", "echo no >&2; exit 65", "refuse", "no", "", ""},
		{"refuses without a word", "", "exit 65", "refuse", "refused by a mail filter", "", ""},
		{"says too much", "", `printf 'a\033[2Jb\nc'; exit 65`, "refuse", "a", "", ""},
		{"defers", "", "echo later; exit 75", "defer", "later", "", ""},
		{"holds", "", "echo look; exit 99", "hold", "look", "", ""},
		{"an exit status that means nothing", "", "echo oops; exit 1", "defer", "gives no answer", "", "exit status 1: oops"},
		{"refuses as below qmail", "", "echo oops; exit 100", "defer", "gives no answer", "", "exit status 100: oops"},
		{"defers as below qmail", "away=accept", "exit 111", "accept", "", "", "exit status 111"},
		{"dies", "", "kill -SEGV $$", "defer", "gives no answer", "", "segmentation fault"},
		{"takes too long", "time=1s", "exec sleep 60", "defer", "gives no answer", "", "it took longer than 1s"},
		{"wants too much memory", "memory=20000000", "x=$(head -c 90000000 /dev/zero | tr '\\0' x); echo $x >/dev/null", "defer",
			"gives no answer", "", "filter scan"},
		{"is away, and mail may pass", "away=accept", "exit 3", "accept", "", "", "exit status 3"},
		{"is away, and mail is tagged", "away=tag", "exit 3", "accept", "", "X-Filter-Missing: scan\n", "exit status 3"},
		{"writes without end", "away=accept", "exec yes", "accept", "", "", "it wrote more than 65536 bytes"},
		{"adds a From", "away=accept", "echo From: eve@x.example", "accept", "", "", "it may not add the field From"},
		{"adds a Received", "away=accept", "echo X-A: b; echo received: x", "accept", "", "", "it may not add the field received"},
		{"adds a Delivered-To", "", "echo Delivered-To: x", "defer", "", "", "it may not add the field Delivered-To"},
		{"adds text", "away=tag", "echo X-A: b; echo; echo body", "accept", "", "X-Filter-Missing: scan\n", "not made of header fields"},
		{"adds text first", "away=accept", "echo body; echo X-A: b", "accept", "", "", "not made of header fields"},
		{"adds a continuation first", "away=accept", "printf ' x\\nX-A: b\\n'", "accept", "", "", "not made of header fields"},
		{"adds a bare CR", "away=accept", `printf 'X-A: b\rFrom: x\n'`, "accept", "", "", "not made of header fields"},
		{"adds a NUL", "away=accept", `printf 'X-A: \000\n'`, "accept", "", "", "not made of header fields"},
		{"adds 8 bits", "away=accept", `printf 'X-A: \303\251\n'`, "accept", "", "", "not ASCII"},
		{"adds a long line", "away=accept", "printf 'X-A: %0999d\\n' 1", "accept", "", "", "too long"},
		{"adds a line of blanks", "away=accept", `printf 'X-A: b\n \nX-C: d\n'`, "accept", "", "", "blank"},
		{"adds too many fields", "away=accept", "printf '" + many + "'", "accept", "", "", "too many fields"},
		{"only for submitters", "for=submitted", "exit 65", "accept", "", "", ""},
		{"for mail from outside", "for=outside", "exit 65", "refuse", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, out, events := filtered(t, "scan: "+c.options+" program:"+program(t, c.script)+"\n", peer, mail)
			if v.Action != c.action || !strings.Contains(v.Reason(), c.reason) || out != c.top+mail {
				t.Errorf("%s %q, %q", v.Action, v.Reason(), out)
			}
			if (events != "") != (c.event != "") || !strings.Contains(events, c.event) {
				t.Errorf("the events are %q, want %q", events, c.event)
			}
		})
	}
}

// A program that is not there is a filter that gives no answer.
func TestProgramIsMissing(t *testing.T) {
	v, _, events := filtered(t, "scan: program:/nowhere/scan\n", peer, "From: bob@x.example\n\n")
	if v.Action != control.CheckDefer || !strings.Contains(events, "no such file") {
		t.Errorf("%s %s", v.Action, events)
	}
}

// What a program gets: our fields and the message, the envelope in an environment made
// from nothing, its arguments as the row has them; each filter what the one before it has
// made.
func TestProgramInput(t *testing.T) {
	t.Setenv("LD_PRELOAD", "/nowhere.so")
	t.Setenv("HOME", "/root")
	dir := t.TempDir()
	first := program(t, "echo X-First: 1")
	second := program(t, fmt.Sprintf(`cat >%s/in; env | sort >%[1]s/env; printf '%%s|' "$@" >%[1]s/args; pwd >%[1]s/pwd`, dir))
	s := from("bob+`id`@x.example", Subject{SMTPPeer: true, With: "ESMTPS", Helo: "h.example", Received: "Received: from us\n",
		Envelope: to("alice@example.net", "carol@example.net")})
	v, out, _ := filtered(t, "one: program:"+first+"\ntwo: program:"+second+" -x 'a b' $HOME\n", s, "From x Mon\nFrom: bob@x.example\n\nhello\n")
	if v.Action != control.CheckAccept || out != "X-First: 1\nX-Mailbox-Line: From x Mon\nFrom: bob@x.example\n\nhello\n" {
		t.Fatalf("%s %s %q", v.Action, v.Reason(), out)
	}
	for name, want := range map[string]string{
		"in":   "Received: from us\n" + out,
		"args": "-x|a b|$HOME|",
		"pwd":  "/\n",
		"env": "FILTER=two\nHELO=h.example\nKEY=\nLOGIN=\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" +
			"PROTOCOL=ESMTPS\nPWD=/\nRECIPIENT=alice@example.net\nRECIPIENTS=alice@example.net\ncarol@example.net\n" +
			"SENDER=bob+`id`@x.example\nSIZE=83\n",
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if name == "env" { // env prints the second recipient as a line of its own, and sort moves it
			got = []byte(strings.Replace(strings.Replace(string(got), "carol@example.net\n", "", 1), "RECIPIENTS=alice@example.net\n",
				"RECIPIENTS=alice@example.net\ncarol@example.net\n", 1))
		}
		if err != nil || string(got) != want {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}
}

// FuzzFilterHeader: whatever a program says, what is added is a header of its own that
// ends nothing and begins nothing.
func FuzzFilterHeader(f *testing.F) {
	f.Add("X-A: b\n c\nX-D:\r\n\r\n")
	f.Add("X-A: b\n\nFrom: x\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := filterHeader(text)
		if err != nil || got == "" {
			return
		}
		h, err := compose.Header(1<<20, 1000, spool.BytesBody([]byte(got+"From: bob@x.example\n\n")))
		if err != nil || h.Junk > 0 || h.NUL || h.CR || len(h.All("From")) != 1 || h.Fields[len(h.Fields)-1].Value != "bob@x.example" ||
			h.Fields[0].Start != 0 {
			t.Fatalf("%q: %+v %v", got, h, err)
		}
	})
}
