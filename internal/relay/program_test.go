package relay

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// takes makes a program and routes a domain to it; options come before it in the row.
func (l *lab) takes(domain, options, script string) (path string) {
	l.t.Helper()
	path = filepath.Join(l.home, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.set("routes", domain+": "+options+" program:"+path+" one 'two words' $SENDER;x")
	return path
}

// What a program is given, and what each answer of it means.
func TestProgramAnswers(t *testing.T) {
	t.Parallel() // it waits
	for _, c := range []struct {
		script   string
		exit     int
		enhanced string
		text     string // part of the error
	}{
		{"exit 0", 0, "", ""},
		{"exit 99", 0, "", ""},
		{"echo who; exit 67", 69, "5.1.1", "exit status 67: who"},
		{"exit 65", 69, "5.6.0", "exit status 65"},
		{"exit 68", 69, "5.1.2", "exit status 68"},
		{"exit 69", 69, "5.3.0", "exit status 69"},
		{"exit 100", 69, "5.3.0", "exit status 100"},
		{"exit 1", 75, "4.3.0", "exit status 1"},
		{"exit 64", 75, "4.3.0", "exit status 64"},
		{"echo later >&2; exit 75", 75, "4.3.0", "exit status 75: later"},
		{"exit 77", 75, "4.3.0", "exit status 77"},
		{"exit 111", 75, "4.3.0", "exit status 111"},
		{"exit 126", 75, "4.3.0", "exit status 126"},
		{"kill -KILL $$", 75, "4.3.0", "signal: killed"},
		{"yes", 75, "4.3.0", "it wrote more than 1048576 bytes: y y y"},
		{"sleep 600", 75, "4.3.0", "it took longer than 1s"},
		{`printf '\033[2J\0a\r\nb'; exit 67`, 69, "5.1.1", `exit status 67: \x1b[2J\x00a b`},
	} {
		t.Run(c.script, func(t *testing.T) {
			l := newLab(t)
			path := l.takes("elsewhere.example", "time=1s", c.script)
			err := l.send(far)[0].Err
			if status.Exit(err) != c.exit || err != nil && status.Enhanced(err) != c.enhanced {
				t.Fatalf("%v, want %d %s", err, c.exit, c.enhanced)
			}
			if err != nil && !strings.Contains(err.Error(), "program:"+path+": "+c.text) {
				t.Errorf("%v", err)
			}
			if (l.done[0] != "") != (err == nil) {
				t.Errorf("done: %v", l.done)
			}
			own := strings.Contains(l.log(), "event=trouble")
			if want := strings.Contains(c.text, "signal") || strings.HasPrefix(c.text, "it "); own != want {
				t.Errorf("an event of our own trouble: %v, want %v: %s", own, want, l.log())
			}
		})
	}
}

func TestProgramMissing(t *testing.T) {
	l := newLab(t)
	path := l.takes("elsewhere.example", "", "exit 0")
	for _, want := range []string{"permission denied", "no such file or directory"} {
		spoil := os.Remove
		if want == "permission denied" {
			spoil = func(path string) error { return os.Chmod(path, 0o644) }
		}
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		list := l.send(far, "near@elsewhere.example")
		for _, res := range list {
			if !status.IsTemporary(res.Err) || !strings.Contains(res.Err.Error(), want) {
				t.Errorf("%v, want %s", res.Err, want)
			}
		}
		if n := strings.Count(l.log(), want); n != 1 {
			t.Errorf("%d events for one attempt: %s", n, l.log())
		}
	}
}

// A process that the program leaves behind keeps nothing from being done.
func TestProgramLeavesProcess(t *testing.T) {
	t.Parallel() // it waits
	l := newLab(t)
	l.takes("elsewhere.example", "", "sleep 20 & exit 0")
	begin := time.Now()
	if err := l.send(far)[0].Err; err != nil || l.done[0] == "" {
		t.Error(err)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Error(took)
	}
	if !strings.Contains(l.log(), "left a process that keeps its output open") {
		t.Error(l.log())
	}
}

// The environment is all that a program learns, and no shell sees an address.
func TestProgramInput(t *testing.T) {
	const odd = `"a $(touch x); b"@elsewhere.example`
	for _, c := range []struct {
		options string
		calls   string
	}{
		{"", "alice@example.net|far@elsewhere.example|far@elsewhere.example|elsewhere.example\n" +
			"alice@example.net|" + odd + "|" + odd + "|elsewhere.example\n"},
		{"recipients=5", "alice@example.net|far@elsewhere.example|far@elsewhere.example," + odd + "|elsewhere.example\n"},
	} {
		l := newLab(t)
		out := t.TempDir()
		l.takes("elsewhere.example", c.options, `echo "$SENDER|$RECIPIENT|$(echo "$RECIPIENTS" | paste -sd,)|$DOMAIN" >>`+out+`/calls
echo "$#|$1|$2|$3|$KEY|$HOME|$PAPERPATH_HOME" >`+out+`/args; cat >`+out+`/text; wc -c <`+out+`/text | grep -qx "$SIZE"`)
		m := l.message(letter, far, odd)
		results := "Authentication-Results: mx.example.net; spf=pass\n" + letter
		m.Results = io.NewSectionReader(strings.NewReader(results), 0, int64(len(results)))
		for _, res := range l.sendMessage(m) {
			if res.Err != nil {
				t.Fatal(res.Err)
			}
		}
		for name, want := range map[string]string{"calls": c.calls, "args": "3|one|two words|$SENDER;x|KEY||\n", "text": results} {
			if got, _ := os.ReadFile(filepath.Join(out, name)); string(got) != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// One recipient's refusal is nobody else's.
func TestProgramForEach(t *testing.T) {
	l := newLab(t)
	l.takes("elsewhere.example", "", `case $RECIPIENT in no@*) exit 67;; later@*) exit 75;; esac`)
	res := l.send("no@elsewhere.example", "yes@elsewhere.example", "later@elsewhere.example")
	if status.IsTemporary(res[0].Err) || res[0].Err == nil || res[1].Err != nil || !status.IsTemporary(res[2].Err) {
		t.Errorf("%+v", res)
	}
	if len(l.done) != 1 || l.done[1] == "" {
		t.Errorf("%+v", l.done)
	}
}

// Nothing reports the delivery, so a sender who asked for it hears that the program has
// taken the message.
func TestProgramDSN(t *testing.T) {
	l := newLab(t)
	l.takes("elsewhere.example", "", "echo queued")
	m := l.message(letter, far)
	m.To[0] = spool.Recipient{Addr: far, Params: "NOTIFY=SUCCESS"}
	if res := l.sendMessage(m)[0]; !res.Relayed || res.Diagnostic != "" || res.RemoteMTA != "" {
		t.Errorf("%+v", res)
	}
}
