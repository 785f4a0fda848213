package world

import (
	"errors"
	"io/fs"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// oddAddress has what a shell would understand.
const oddAddress = "alice+it's$HOME`id`&|*@" + harness.Domain

// Below OpenSMTPD, maildeliver is the MDA of a domain, as in the example of maildeliver(8): what
// it stores is delivered, a mailbox that does not exist bounces, and a full one waits until
// there is room.
func TestMaildeliverBelowOpenSMTPD(t *testing.T) {
	w := newWorld(t)
	program, statuses := w.mda()
	w.opensmtpd(`table paperpath { "@" = nobody }
action "paperpath" mda \
  '` + program + ` -d \"\$RECIPIENT\" -f \"\$SENDER\"' virtual <paperpath>
match from any for domain "example.net" action "paperpath"
`)
	ended := func(want string) {
		t.Helper()
		var got []byte
		err := harness.Wait("runs that end with "+want, time.Minute, func() bool {
			got, _ = os.ReadFile(statuses)
			return strings.Contains(string(got), want)
		})
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Fatalf("the runs ended with %q, not %q", got, want)
		}
	}
	w.letterTo(oddAddress)
	ended("0\n")
	w.letterTo("nobody@example.net")
	ended("0\n67\n")
	w.letterTo("full@example.net")
	ended("0\n67\n0\n")
	w.letterTo("full@example.net")
	ended("0\n67\n0\n75\n")
	full := w.home.Mailbox("full")
	names, err := filepath.Glob(full + "/new/*")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := errors.Join(os.Remove(names[0]), os.Remove(full+"/maildirsize")); err != nil {
		t.Fatal(err)
	}
	ended("0\n67\n0\n75\n0\n") // OpenSMTPD tries again after 10 seconds
	w.delivered()
}

// mda gives the home to the user nobody, and returns a program that is maildeliver there, and the
// file in which it notes how each run ended.
func (w *world) mda() (program, statuses string) {
	w.t.Helper()
	w.set("users", alice+":", "full@example.net:::::::userdb_quota_rule=*:messages=1")
	w.set("root")
	if err := w.home.Still("users"); err != nil {
		w.t.Fatal(err)
	}
	const nobody = 65534
	err := filepath.WalkDir(w.home.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, nobody, nobody)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	real := w.program(programs.Path("maildeliver"), filepath.Join(w.dir, "maildeliver"))
	statuses = filepath.Join(w.home.Dir, "statuses")
	program = w.write(filepath.Join(w.dir, "noted"), "#!/bin/sh\n"+real+" --home "+w.home.Dir+` "$@"
status=$?
echo $status >>`+statuses+`
exit $status
`, 0o755)
	return program, statuses
}

// delivered checks what alice and the sender have.
func (w *world) delivered() {
	w.t.Helper()
	bounced := func() bool { return len(w.sink.Received()) > 0 }
	if err := harness.Wait("a bounce", time.Minute, bounced); err != nil {
		w.t.Fatal(err)
	}
	all, bounces := w.mailbox(), w.sink.Received()
	if len(all) != 1 || len(bounces) != 1 {
		w.t.Fatalf("%d messages for alice, %d bounces", len(all), len(bounces))
	}
	bounce := bounces[0]
	to := strings.Join(bounce.To, " ")
	if !strings.Contains(string(bounce.Data), "no such mailbox") || to != letterFrom {
		w.t.Errorf("to %s came\n%s", to, bounce.Data)
	}
	if !strings.HasPrefix(all[0], "Return-Path: <"+letterFrom+">\nDelivered-To: "+oddAddress+"\nReceived: ") ||
		!strings.HasSuffix(all[0], "\n\n.\nGrüße\n") {
		w.t.Errorf("stored is\n%s", all[0])
	}
}

const letterFrom = "s@x.example"

// letterTo sends a message to a recipient at OpenSMTPD.
func (w *world) letterTo(to string) {
	w.t.Helper()
	c, err := smtp.Dial(smtpAt(opensmtpdAddr)[0])
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	send := func() error {
		if err := errors.Join(c.Mail(letterFrom), c.Rcpt(to)); err != nil {
			return err
		}
		out, err := c.Data()
		if err != nil {
			return err
		}
		_, err = out.Write([]byte("Subject: x\r\n\r\n.\r\nGrüße\r\n"))
		return errors.Join(err, out.Close(), c.Quit())
	}
	if err := send(); err != nil {
		w.t.Fatal(err)
	}
}
