// Demo shows the whole paper path in under a minute: a new home, every program
// running on loopback, one message through the sendmail face and one over SMTP,
// the events of each stage, and both messages fetched over POP3 and compared with
// what was sent. Its exit status is 0 only if nothing differs.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/test/harness"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(75)
	}
}

// letter is one of the two messages and the way it takes.
type letter struct {
	from, to, text string // to is the user
}

var (
	byHand = letter{"bob@example.net", "alice", `From: Bob <bob@example.net>
To: Alice <alice@example.net>
Subject: by hand
Date: Mon, 23 Nov 2026 12:00:00 +0000
Message-ID: <hand@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße, through the sendmail face.
.
A line with nothing but a dot stands above this one.
`}
	byWire = letter{"carol@example.org", "bob", `From: Carol <carol@example.org>
To: Bob <bob@example.net>
Subject: by wire
Date: Mon, 23 Nov 2026 12:00:01 +0000
Message-ID: <wire@example.org>

By SMTP, from another host as far as the mail system can tell.
..Two dots begin this line.
`}
)

func run() error {
	dir, err := os.MkdirTemp("", "paperpath-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := harness.Build(dir)
	if err != nil {
		return err
	}
	home, system, err := begin(programs, filepath.Join(dir, "home"))
	if err != nil {
		return err
	}
	defer system.Kill()
	if err := send(home); err != nil {
		return err
	}
	for _, l := range []letter{byHand, byWire} {
		if err := arrive(home, l); err != nil {
			return err
		}
	}
	say("Stop: SIGTERM to mailctl.")
	if err := system.Stop(); err != nil {
		return err
	}
	fmt.Println("\nBoth messages arrived as they were sent, byte for byte.")
	return nil
}

// begin makes a home with two users and starts the whole system in it.
func begin(programs harness.Programs, dir string) (*harness.Home, *harness.System, error) {
	say("A fresh home.")
	shell("mailctl init " + dir + " --owner " + harness.Self() + " --hostname " + harness.Hostname + " --domain " + harness.Domain)
	shell("mailctl user add alice@example.net --password-stdin")
	shell("mailctl user add bob@example.net --password-stdin")
	home, err := programs.NewHome(dir, "alice", "bob")
	if err != nil {
		return nil, nil, err
	}
	say("The whole system, on free ports of 127.0.0.1: what control/services lists.")
	services, err := os.ReadFile(filepath.Join(dir, "control", "services"))
	if err != nil {
		return nil, nil, err
	}
	show(services)
	shell("mailctl start")
	system, err := home.Start()
	if err == nil {
		fmt.Println("    ready")
	}
	return home, system, err
}

// send sends one message through the sendmail face and one by SMTP.
func send(home *harness.Home) error {
	say("One message through the sendmail face.")
	shell("sendmail -i -f bob@example.net alice@example.net <letter")
	if _, err := home.Programs.Must(home.Dir, strings.NewReader(byHand.text), "sendmail",
		"-i", "-f", byHand.from, byHand.to+"@"+harness.Domain); err != nil {
		return err
	}
	say("One message by SMTP, to " + home.Addr["mx"] + ".")
	reply, err := harness.SendMail(home.Addr["mx"], byWire.from, []string{byWire.to + "@" + harness.Domain}, []byte(byWire.text))
	fmt.Println("    " + reply)
	return err
}

// arrive waits for one message, fetches it by POP3, shows its way from the
// events, and compares it with what was sent.
func arrive(home *harness.Home, l letter) error {
	user := l.to + "@" + harness.Domain
	err := harness.Wait("the message to "+user, time.Minute, func() bool {
		return len(home.Glob("mail/"+harness.Domain+"/"+l.to+"/Maildir/new/*")) == 1
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, home.Describe())
	}
	got, err := harness.Pop(home.Addr["pop3"], user, harness.Password, true)
	if err != nil {
		return err
	}
	if len(got) != 1 {
		return fmt.Errorf("%s has %d messages, not 1", user, len(got))
	}
	say("The way of " + got[0].UID + ", as log/mail.log has it.")
	for _, e := range stages(home.Events(" key=" + got[0].UID)) {
		fmt.Println("    " + e[strings.Index(e, "prog="):])
	}
	say("Fetched by POP3 as " + user + ".")
	show(got[0].Data)
	if body := harness.Body(got[0].Data); !bytes.Equal(body, []byte(l.text)) {
		return fmt.Errorf("the message to %s differs from what was sent:\n%q\n%q", user, body, l.text)
	}
	return nil
}

// stages puts a message's acceptance first: in watch mode the next stage may be
// quicker with its event than the program that still has to answer its client.
func stages(events []string) []string {
	slices.SortStableFunc(events, func(a, b string) int {
		switch first := " event=accepted "; {
		case strings.Contains(a, first):
			return -1
		case strings.Contains(b, first):
			return 1
		}
		return 0
	})
	return events
}

func say(text string)      { fmt.Printf("\n%s\n", text) }
func shell(command string) { fmt.Println("  $ " + command) }

// show prints a text with each line set in.
func show(text []byte) {
	for line := range bytes.Lines(text) {
		fmt.Printf("    %s", line)
	}
}
