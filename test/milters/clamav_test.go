package milters

import (
	"encoding/hex"
	"testing"
)

// eicar is the test file that every scanner takes for a virus (eicar.org), in two parts so
// that none takes this file for one.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// clamav-milter refuses EICAR, of which clamd has one signature, and marks the rest.
func TestClamav(t *testing.T) {
	d := newDaemon(t, "clamav", "clamd", "clamav-milter")
	d.file("db/own.ndb", "Eicar-Own:0:*:"+hex.EncodeToString([]byte(eicar))+"\n", 0o644)
	clamd := d.file("clamd.conf", "LocalSocket DIR/clamd.sock\nDatabaseDirectory DIR/db\nForeground true\nTemporaryDirectory DIR\n", 0o644)
	d.run("DIR/clamd.sock", "clamd", "-c", clamd)
	conf := d.file("milter.conf", "MilterSocket unix:DIR/sock\nClamdSocket unix:DIR/clamd.sock\nForeground true\n"+
		"OnInfected Reject\nRejectMsg \"infected by %v\"\nAddHeader Add\nTemporaryDirectory DIR\n", 0o644)
	d.run("DIR/sock", "clamav-milter", "-c", conf)
	h := d.home("virus: milter:unix:DIR/sock")

	refused(t, h.smtp(letter(sender, "eicar", eicar)), "550 5.7.1 infected by Eicar-Own")
	if err := h.smtp(letter(sender, "clean", "hello")); err != nil {
		t.Error(err)
	}
	has(t, h.mailbox("alice", "clean"), "\nReceived: ", "\nX-Virus-Status: Clean\n", "\nFrom: ")
	h.sendmail("bob@example.net", alice, letter("bob@example.net", "local eicar", eicar))
	h.bounced("infected by Eicar-Own")
}
