package peers

import (
	"os"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// What a server was told by the parameters of MAIL and RCPT it tells us, and
// the entry in the spool has it. Only the role mx runs, so that it stays there.
func TestServersCarryParameters(t *testing.T) {
	for _, c := range []struct{ name, extension, mail, rcpt, sender, want string }{
		{"SMTPUTF8", "SMTPUTF8", " SMTPUTF8", "", "grün@bücher.example", "Return-Path: <grün@bücher.example>"},
		{"RET", "DSN", " RET=HDRS ENVID=q+2B7", "", sender, "Return-Path: <" + sender + "> RET=HDRS ENVID=q+2B7\n"},
		{"NOTIFY", "DSN", "", " NOTIFY=FAILURE,DELAY ORCPT=rfc822;first@example.org", sender, "Delivered-To: <" + alice + "> "},
		{"NEVER", "DSN", "", " NOTIFY=NEVER", sender, "Delivered-To: <" + alice + "> NOTIFY=NEVER"},
	} {
		for name, run := range servers {
			t.Run(c.name+" "+name, func(t *testing.T) {
				unpacked(t, name)
				h := newHome(t)
				mxAlone(t, h)
				if m := hello(t, h.Addr["mx"]); !m.offers(c.extension) {
					t.Skip("we do not offer " + c.extension)
				}
				p := run(t, h, "127.0.0.1:9")
				peer := hello(t, p.addr)
				if !peer.offers(c.extension) {
					t.Skip(name + " does not offer " + c.extension)
				}
				peer.expect("250", "MAIL FROM:<"+c.sender+">"+c.mail)
				peer.expect("250", "RCPT TO:<"+alice+">"+c.rcpt)
				peer.content(letter(c.name, "\nx\n"))
				entry := inSpool(t, h)
				if !strings.Contains(entry, c.want) {
					t.Errorf("%q is not in:\n%s", c.want, entry)
				}
				if c.name == "NOTIFY" && (!strings.Contains(entry, "NOTIFY=FAILURE,DELAY") && !strings.Contains(entry, "NOTIFY=DELAY,FAILURE") ||
					!strings.Contains(entry, "ORCPT=rfc822;first@example.org")) {
					t.Errorf("NOTIFY and ORCPT are not in:\n%s", entry)
				}
			})
		}
	}
}

// inSpool waits for the one entry and returns it.
func inSpool(t *testing.T, h *harness.Home) string {
	t.Helper()
	if err := harness.Wait("an entry", 20*time.Second, func() bool { return len(h.Queued()) > 0 }); err != nil {
		t.Fatal(err, h.Describe())
	}
	entry, err := os.ReadFile(h.Queued()[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(entry)
}
