package faces

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// obeyed is what a terminal may obey: clear, set the title, C1 controls as UTF-8
// and as octets, DEL, a line that is read backwards.
const obeyed = "\x1b[2J\x1b]0;title\a\u009b2J\x9b31m\x7f\u2028\u202edlo\u2066\b\r"

// TestNothingIsObeyed: no verb writes to a terminal what a message, an address, a
// file name or a reply tells it to do. A pipe gets the message as it is.
func TestNothingIsObeyed(t *testing.T) {
	s := newSite(t)
	body := "Subject: x" + strings.ReplaceAll(obeyed, "\r", "") + "\n\tfolded\n\nh\u00e9 " + strings.ReplaceAll(obeyed, "\r", "") + "\n"
	r, err := programs.Run(s.Home.Dir, strings.NewReader("From: "+alice+"\n"+body), "sendmail", "-f", alice, "x@far.example")
	if err != nil || r.Status != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	queued := s.Glob("spool/*/new/*")
	if len(queued) != 1 {
		t.Fatalf("queued: %q", queued)
	}
	key, _, _ := strings.Cut(queued[0][strings.LastIndex(queued[0], "/")+1:], ",")
	odd := s.Home.Dir + "/spool/route/new/" + obeyed
	if err := os.WriteFile(odd, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	hostile := "x" + obeyed + "@" + obeyed + ".example"
	for _, words := range [][]string{
		{"mailctl", "queue"}, {"mailctl", "queue", "--json"}, {"mailctl", "queue", "show", key},
		{"mailctl", "queue", "show", obeyed}, {"mailctl", "queue", "retry", "x" + obeyed, "y" + obeyed},
		{"mailctl", "spool", "check"}, {"mailctl", "spool", "check", "--repair"}, {"mailctl", "user", "list"},
		{"mailctl", obeyed}, {"mailctl", "user", "del", hostile}, {"mailctl", "--home", s.dir + "/" + obeyed, "queue"},
		{"mailq"}, {"mailq", "--json"}, {"sendmail", "-bv", hostile}, {"sendmail", "-f", hostile, hostile},
		{"mailroute", hostile}, {"mailroute", "--json", hostile}, {"mailroute", "explain", hostile},
		{"mailroute", "explain", "--json", "\"\u009b\u202e\"@example.net", "\u009b\x7f@example.net"},
		{"maildeliver", "explain", hostile}, {"mailrelay", "explain", hostile}, {"mailcheck", "explain", "--from", hostile},
		{"mailrelay", "--from", "", "--to", hostile}, {"mailcheck", "explain", "--from", alice, "--json"},
		{"mailcheck", "explain", "--from", alice},
	} {
		text := s.onTerminal(t, "From: x"+obeyed+"\n"+body, words[0], words[1:]...)
		if text == "" {
			t.Errorf("%q shows nothing", words)
		}
		for at, r := range strings.ReplaceAll(text, "\r\n", "\n") { // ONLCR
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) || r == utf8.RuneError {
				t.Errorf("%q: %q stands at %d of %q", words, r, at, text)
				break
			}
		}
		if len(words) == 4 && words[3] == key && (!strings.Contains(text, "\n\r\nFrom:") && !strings.Contains(text, "From: "+alice) ||
			!strings.Contains(text, "Subject: x"+`\x1b[2J\x1b]0;title\x07\u{9b}2J\x9b31m\x7f`) || !strings.Contains(text, "\r\n\tfolded\r\n")) {
			t.Errorf("shown is %q", text)
		}
	}
	r, err = programs.Run(s.Home.Dir, nil, "mailctl", "queue", "show", key)
	if err != nil || r.Status != 0 || !strings.HasSuffix(r.Stdout, body) {
		t.Errorf("through a pipe: %+v, %v", r, err)
	}
	log, err := os.ReadFile(s.Home.Dir + "/log/mail.log")
	if i := bytes.IndexFunc(log, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) || r == utf8.RuneError }); err != nil || i >= 0 {
		t.Errorf("the log has something raw at %d: %q, %v", i, log, err)
	}
}

// onTerminal runs a program with all its output on a terminal, and returns that.
func (s *site) onTerminal(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	near, far := terminal(t)
	cmd := exec.Command(programs.Path(name), args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = programs.Env(s.Home.Dir), strings.NewReader(stdin), far, far
	var out output
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&out, near) // ends with EIO when nobody has the other end
	}()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, name, func() { cmd.Wait() })
	far.Close()
	<-read
	return out.String()
}
