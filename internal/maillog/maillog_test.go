package maillog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func at() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// everyEvent calls every function with every value set.
func everyEvent(l *Log) {
	c := Client{Addr: "192.0.2.7", Helo: "h", Login: "a@b", TLS: "TLS1.3", UID: "0"}
	l.Accepted("K", "route", "a@b", []string{"c@d", "e@f"}, 7, "ESMTP", "<x@y>", c)
	l.Refused("a@b", "c@d", "550 no", c)
	l.Limited("client", c)
	l.Login("PLAIN", c)
	l.LoginFailed("PLAIN", "wrong", c)
	l.Disconnected("quit", 1, c)
	l.Fetched("/m", 1, 2, 3, true, c)
	l.Expired("/m/.Trash", 3)
	l.Checked("K", "refuse", "two From")
	l.Routed("K", "deliver", []string{"c@d"})
	l.Split("K", "K-1", "deliver", []string{"c@d"})
	l.Delivered("K", "c@d", "/m", "rename")
	l.Repeated("K", "/m/new/K")
	l.Rekeyed("K", "F", "/home/x/Maildir")
	l.Relayed("K", "c@d", "mx", "192.0.2.1:25", "TLS1.3", "250 ok")
	l.Deferred("K", "relay", at(), "down")
	l.Failed("K", "c@d", "5.1.1", "no such user")
	l.Bounced("K", "B", "a@b")
	l.Reported("K", "B", "delivered", "a@b")
	l.Held("K", "route", "odd")
	l.Digest("K", "postmaster@d", 3)
	l.Cut("K", "hold", 4711, "full")
	l.Dropped("K", "relay", "done")
	l.Ran("relay", 1, 2)
	l.Busy("relay")
	l.Watching("relay")
	l.Listening("127.0.0.1:25")
	l.Reloaded()
	l.Started("pop3d", 1)
	l.Exited("pop3d", 1, "exit status 75")
	l.ClockMoved(40*24*time.Hour, 24*time.Hour)
	l.to.lost.Store(3) // which the next event tells
	l.Trouble("K", "open", errors.New("disk"))
}

var shape = regexp.MustCompile(`^time=\S+ prog=test event=(\S+) key=(\S+)((?: [a-z]+=(?:"[^"]*"|\S*))*)$`)

// TestEveryEventIsDocumented holds maillog(5) and the code together: the same
// events, and no name of a value that the page does not give.
func TestEveryEventIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../man/maillog.5")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\.It Cm (\S+) Ar (.*)$`).FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = " " + m[2] + " "
	}
	var out bytes.Buffer
	everyEvent(To(&out, "test", at))
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		m := shape.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("odd line %s", line)
			continue
		}
		names, ok := documented[m[1]]
		if !ok {
			t.Errorf("event %s is not in maillog(5)", m[1])
		}
		delete(documented, m[1])
		for _, v := range regexp.MustCompile(` ([a-z]+)=`).FindAllStringSubmatch(m[3], -1) {
			if !strings.Contains(names, " "+v[1]+" ") {
				t.Errorf("maillog(5) gives no %s for %s", v[1], m[1])
			}
		}
	}
	for name := range documented {
		t.Errorf("maillog(5) has %s, the code has not", name)
	}
}

func TestValuesCannotForgeALine(t *testing.T) {
	var out bytes.Buffer
	To(&out, "test", at).Refused("a\nevent=accepted", "b\x1b[31m", "x\" y", Client{})
	if n := strings.Count(out.String(), "\n"); n != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%d lines: %q", n, out.String())
	}
}

// Nothing that a terminal may obey stands raw in a line, wherever it goes, nor in
// one that another process hands over.
func TestNothingInALineIsObeyed(t *testing.T) {
	for raw, shown := range map[string]string{"\x7f": `\x7f`, "\x1b[2J": `\x1b[2J`, "\u009b2J": `\u009b2J`, "\x9b2J": `\x9b2J`,
		"\u2028": `\u2028`, "\u202e": `\u202e`, "\u2066": `\u2066`, "\t": `\t`} {
		var out bytes.Buffer
		l := To(&out, "test", at)
		l.Refused("a"+raw+"b"+raw, raw, "550 a=b c"+raw, Client{Helo: "h\\" + raw, Login: "plain"})
		line := out.String()
		if strings.Contains(line, raw) || strings.Count(line, "\n") != 1 || !shape.MatchString(strings.TrimSpace(line)) ||
			!strings.Contains(line, `from="a`+shown+"b"+shown+`" to="`+shown+`"`) || !strings.Contains(line, "login=plain") {
			t.Errorf("%q: %q", raw, line)
		}
		out.Reset()
		l.Forward(strings.NewReader(line))
		if out.String() != line {
			t.Errorf("%q is handed over as %q", line, out.String())
		}
		out.Reset()
		l.Forward(strings.NewReader("time=x prog=test event=busy key=- inbox=" + raw + "\n"))
		if out.Len() > 0 && raw != "\t" {
			t.Errorf("taken over: %q", out.String())
		}
	}
}

func TestTheFileIsFollowedThroughRotation(t *testing.T) {
	home := t.TempDir()
	os.Mkdir(filepath.Join(home, "log"), 0o700)
	path := filepath.Join(home, "log", "mail.log")
	l := Open(home, "test", func() string { return "" }, at)
	l.Busy("route")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Watching("route")
	for name, want := range map[string]string{path + ".1": "event=busy", path: "event=watching"} {
		b, err := os.ReadFile(name)
		if err != nil || strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), want) {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
}
