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

// Below Postfix, maildeliver is the MDA of a domain, as in the example of maildeliver(8): what
// it stores is sent, a mailbox that does not exist bounces, and a full one waits.
func TestMaildeliverBelowPostfix(t *testing.T) {
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
	set(t, h, "root", "")
	users := filepath.Join(h.Dir, "control", "users")
	text, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, append(text, "full@example.net:::::::userdb_quota_rule=*:messages=1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(h.Dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, 65534, 65534)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	front := harness.FreeAddr()
	p, err := harness.NewPostfix(dir, `myhostname = postfix.example
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
smtpd_peername_lookup = no
default_transport = smtp:[`+strings.Replace(sink.Addr, ":", "]:", 1)+`
transport_maps = inline:{ example.net=paperpath }
paperpath_destination_recipient_limit = 1
bounce_template_file =
smtpd_relay_restrictions = permit_mynetworks, reject
`, front+` inet n - n - - smtpd
paperpath unix - n n - - pipe flags=R user=nobody argv=`+programs.Path("maildeliver")+` --home `+h.Dir+` -d ${recipient} -a ${original_recipient}
`+harness.PostfixServices+harness.PostfixQueueManager)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, p.Command(), dir+"/log", listens(front))
	for _, x := range []struct{ to, status, says string }{
		{"alice@example.net", "sent", ""}, {"nobody@example.net", "bounced", "no such mailbox"},
		{"full@example.net", "sent", ""}, {"full@example.net", "deferred", "mailbox is full"},
	} {
		inject(t, front, []string{x.to}, letter("mda "+x.status, "\n.\nGrüße\n"))
		var line string
		err := harness.Wait("what became of the mail for "+x.to, time.Minute, func() bool {
			line = filteredAs(dir+"/log", x.to, "status="+x.status)
			return line != ""
		})
		if err != nil || !strings.Contains(line, x.says) {
			t.Errorf("%s: %v, %s\n%s", x.to, err, line, p.Log())
		}
	}
	names, err := filepath.Glob(filepath.Join(h.Mailbox("alice"), "new", "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v %v", names, err)
	}
	got, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), "Return-Path: <"+sender+">\nDelivered-To: alice@example.net\nReceived: ") ||
		!strings.HasSuffix(string(got), "\n.\nGrüße\n") {
		t.Errorf("stored is\n%s", got)
	}
}

// filteredAs is the line of Postfix's log about the pipe, that recipient and what became of it.
func filteredAs(log, to, status string) string {
	text, _ := os.ReadFile(log)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "/pipe[") && strings.Contains(line, "to=<"+to+">") && strings.Contains(line, status) {
			return line
		}
	}
	return ""
}
