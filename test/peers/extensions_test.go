package peers

import (
	"os"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// parameters are what a server gets at MAIL and RCPT, and what the entry in our spool
// has of that.
var parameters = []struct {
	name, extension, sender, mail, rcpt string
	want                                []string
}{
	{"SMTPUTF8", "SMTPUTF8", "grün@bücher.example", " SMTPUTF8", "", []string{"Return-Path: <grün@bücher.example>"}},
	{"RET", "DSN", sender, " RET=HDRS ENVID=q+2B7", "", []string{"Return-Path: <" + sender + "> RET=HDRS ENVID=q+2B7\n"}},
	{"NOTIFY", "DSN", sender, "", " NOTIFY=DELAY,FAILURE ORCPT=rfc822;first@example.org",
		[]string{"Delivered-To: <" + alice + "> ", "ORCPT=rfc822;first@example.org", "FAILURE", "DELAY"}},
	{"NEVER", "DSN", sender, "", " NOTIFY=NEVER", []string{"Delivered-To: <" + alice + "> NOTIFY=NEVER"}},
}

// A server passes the parameters that it got on to us, and the spool has them. Only the
// role mx runs, so that the entries stay there.
func TestServersCarryParameters(t *testing.T) {
	for name, run := range servers {
		t.Run(name, func(t *testing.T) {
			unpacked(t, name)
			h := newHome(t)
			mxAlone(t, h)
			p := run(t, h, "127.0.0.1:9")
			theirs := hello(t, p.addr)
			defer theirs.Close()
			for _, c := range parameters {
				if !theirs.offers(c.extension) { // OpenSMTPD does not know SMTPUTF8
					if name != "opensmtpd" || c.extension != "SMTPUTF8" {
						t.Errorf("%s does not offer %s", name, c.extension)
					}
					continue
				}
				s := hello(t, p.addr)
				s.expect("250", "MAIL FROM:<"+c.sender+">"+c.mail)
				s.expect("250", "RCPT TO:<"+alice+">"+c.rcpt)
				s.content(letter(c.name, "\nx\n"))
				entry := inSpool(t, h, c.name)
				for _, want := range c.want {
					if !strings.Contains(entry, want) {
						t.Errorf("%s: %q is not in:\n%s", c.name, want, entry)
					}
				}
			}
		})
	}
}

// inSpool waits for the entry of a shape and returns it.
func inSpool(t *testing.T, h *harness.Home, shape string) string {
	t.Helper()
	var found string
	err := harness.Wait("the entry of "+shape, time.Minute, func() bool {
		for _, name := range h.Queued() {
			if text, err := os.ReadFile(name); err == nil && shapeOf(text) == shape {
				found = string(text)
			}
		}
		return found != ""
	})
	if err != nil {
		t.Fatal(err, h.Describe())
	}
	return found
}
