package peers

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// filterScript is the example of mailcheck(8): a content filter of Postfix, which hands on
// what passes by SMTP to a listener of Postfix that does not filter.
const filterScript = `#!/bin/sh
client=$1 helo=$2 sender=$3
shift 3
out=$(mktemp) || exit 75
trap 'rm -f "$out"' EXIT
mailcheck --client "$client" --helo "$helo" --from "$sender" -- "$@" >"$out" || exit
test -s "$out" || exit 0 # discarded
for to; do set -- "$@" --to "$to"; shift; done
mailrelay --via "$REINJECT" --from "$sender" "$@" <"$out" || exit 75
`

// Below Postfix, mailcheck is a content filter: what passes goes on with its result, what is
// refused bounces, what is to be tried again or held waits, and what is discarded is gone.
func TestMailcheckBelowPostfix(t *testing.T) {
	page, err := os.ReadFile("../../man/mailcheck.8")
	if err != nil || !strings.Contains(string(page), "\n"+filterScript) {
		t.Errorf("mailcheck(8) has another filter: %v", err)
	}
	unpacked(t, "postfix")
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	dir := reachableDir(t)
	h, err := programs.NewHome(dir+"/home", "alice")
	if err != nil {
		t.Fatal(err)
	}
	front, back := harness.FreeAddr(), harness.FreeAddr()
	p := filteringPostfix(t, dir, h, front, back, sink.Addr)
	serveUntilEnd(t, p.Command(), dir+"/log", func() bool { return listens(front)() && listens(back)() })

	two := []byte("From: a@far.example\nFrom: b@far.example\nSubject: two\n" +
		"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@far.example>\n\nx\n")
	for _, x := range []struct {
		to, checks, status, says string
		letter                   []byte
		comes                    bool
	}{
		{"pass@elsewhere.example", "", "sent", "", letter("filter", "\n.\nGrüße\n"), true},
		{"refuse@elsewhere.example", "", "bounced", "2 From fields instead of one", two, false},
		{"tag@elsewhere.example", "from: tag", "sent", "", two, true},
		{"hold@elsewhere.example", "from: hold", "deferred", "held: from: 2 From fields", two, false},
		{"defer@elsewhere.example", "from: defer", "deferred", "from: 2 From fields", two, false},
		{"discard@elsewhere.example", "from: discard", "sent", "", two, false},
		{"trouble@elsewhere.example", "from: no", "deferred", "control/checks:1", two, false},
	} {
		set(t, h, "checks", x.checks)
		inject(t, front, []string{x.to}, x.letter)
		var line string
		err := harness.Wait("what became of the mail for "+x.to, time.Minute, func() bool {
			line = filtered(dir+"/log", x.to)
			return line != ""
		})
		if err != nil || !strings.Contains(line, "status="+x.status) || !strings.Contains(line, x.says) {
			t.Errorf("%s: %v, %s\n%s", x.to, err, line, p.Log())
			continue
		}
		checkArrival(t, sink, x.to, x.letter, x.comes)
	}
}

// checkArrival compares what came for one recipient with what was sent.
func checkArrival(t *testing.T, sink *harness.Sink, to string, sent []byte, comes bool) {
	t.Helper()
	of := func() (got []harness.Received) {
		for _, m := range sink.Received() {
			if len(m.To) == 1 && m.To[0] == to {
				got = append(got, m)
			}
		}
		return got
	}
	if !comes {
		if got := of(); len(got) > 0 {
			t.Errorf("%s got %q", to, got)
		}
		return
	}
	if err := harness.Wait("the mail for "+to, time.Minute, func() bool { return len(of()) == 1 }); err != nil {
		t.Fatal(err)
	}
	got := of()[0]
	_, below, ok := strings.Cut(string(got.Data), "\nAuthentication-Results: mx.example.net;")
	if !ok || !strings.HasSuffix(below, string(sent)) || got.From != sender {
		t.Errorf("%s got from %s\n%s", to, got.From, got.Data)
	}
}

// filtered is the line of Postfix's log about the filter and that recipient.
func filtered(log, to string) string {
	text, _ := os.ReadFile(log)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "/pipe[") && strings.Contains(line, "to=<"+to+">") {
			return line
		}
	}
	return ""
}

// filteringPostfix has mailcheck as its filter, as the user nobody, and the sink as the next
// host.
func filteringPostfix(t *testing.T, dir string, h *harness.Home, front, back, sink string) *harness.Postfix {
	t.Helper()
	script := filepath.Join(dir, "filter")
	text := strings.Replace(filterScript, "\n", "\nexport PATH="+string(programs)+":$PATH PAPERPATH_HOME="+h.Dir+" REINJECT="+back+"\n", 1)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	set(t, h, "root", "mailrelay")
	err := filepath.WalkDir(h.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, 65534, 65534)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := harness.NewPostfix(dir, `myhostname = postfix.example
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
smtpd_peername_lookup = no
default_transport = smtp:[`+strings.Replace(sink, ":", "]:", 1)+`
bounce_template_file =
smtpd_relay_restrictions = permit_mynetworks, reject
`, front+" inet n - n - - smtpd -o content_filter=paper:dummy\n"+back+` inet n - n - - smtpd -o content_filter=
paper unix - n n - 4 pipe flags=Rq user=nobody null_sender= argv=`+script+` ${client_address} ${client_helo} ${sender} ${recipient}
`+harness.PostfixServices+harness.PostfixQueueManager)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
