package maillog

import (
	"bytes"
	"testing"
	"time"
)

// What the log writes, Parse reads, whatever the values hold.
func TestParseReadsWhatWasWritten(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 5000, time.UTC)
	for _, reply := range []string{"250 ok", "", "a=b", `say "hi" \`, "esc\x1b[2J", "del\x7f", "ümlaut", "\xff", "nl\nkey=forged"} {
		var line bytes.Buffer
		To(&line, "mailrelay", func() time.Time { return at }).Relayed("K1", "bob@example.net", Remote{Host: "mx"}, reply)
		e, ok := Parse(line.Bytes())
		if !ok {
			t.Fatalf("%q is not read", line.Bytes())
		}
		if string(e.Time) != "2026-11-23T12:00:00.000005Z" || string(e.Prog) != "mailrelay" ||
			string(e.Name) != "relayed" || string(e.Key) != "K1" {
			t.Errorf("%q: %q %q %q %q", line.Bytes(), e.Time, e.Prog, e.Name, e.Key)
		}
		if got := e.Value("reply"); got != reply && reply != "\xff" {
			t.Errorf("reply %q, want %q", got, reply)
		}
		if e.Value("to") != "bob@example.net" || e.Value("key") != "" {
			t.Errorf("%q: to %q, key %q", line.Bytes(), e.Value("to"), e.Value("key"))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{"", "\n", "time=", "time=2026 prog=a event=b key=c", "hello world",
		"time=2026-11-23T12:00:00.000005Z prog=a event=b", "time=2026-11-23T12:00:00.000005Z event=b prog=a key=c"} {
		if e, ok := Parse([]byte(line)); ok {
			t.Errorf("%q is read as %+v", line, e)
		}
	}
	// What syslogd writes before the event is left out.
	e, ok := Parse([]byte("Nov 23 12:00:00 mx mailroute[7]: time=2026-11-23T12:00:00.000005Z prog=a event=b key=c x=1\n"))
	if !ok || string(e.Key) != "c" || e.Value("x") != "1" {
		t.Errorf("a line of syslog: %v %+v", ok, e)
	}
}

func TestContains(t *testing.T) {
	e, _ := Parse([]byte(`time=2026-11-23T12:00:00.000005Z prog=a event=b key=c from=Alice@Example.org to="x@y bob@example.net"`))
	for text, want := range map[string]bool{"alice@example.org": true, "bob@example.net": true, "bob@example.network": false,
		"y bob@": true, "carol@example.net": false, "from=": false} {
		if e.Contains([]byte(text)) != want {
			t.Errorf("Contains(%q) is not %v", text, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`time=2026-11-23T12:00:00.000005Z prog=a event=b key=c from=x@y to="a b" z`))
	f.Add([]byte(`time=2026-11-23T12:00:00.000005Z prog=a event=b key=c a="\x`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := Parse(line)
		if !ok {
			return
		}
		e.Contains([]byte("a@b"))
		for name := range e.Values() {
			if len(name) > len(line) {
				t.Fatal("a name that is not in the line")
			}
		}
	})
}
