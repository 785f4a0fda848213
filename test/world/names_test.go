package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	postfixAddr   = "192.0.2.25"
	postfixAddr6  = "2001:db8::25"
	eximAddr      = "192.0.2.26"
	eximAddr6     = "2001:db8::26"
	opensmtpdAddr = "192.0.2.27"
	dovecotAddr   = "192.0.2.24"
	secondAddr    = "192.0.2.35" // of Postfix, too
	refusing      = "192.0.2.99"
	refusing6     = "2001:db8::99"
	nobody        = "192.0.2.98" // no host has it
)

// zone is all of example.; broken.example is a zone of its own that the name server
// cannot load, so it answers SERVFAIL.
const zone = `$ORIGIN example.
$TTL 60
@               SOA   ns hostmaster 1 3600 600 86400 60
@               NS    ns
ns              A     ` + nameAddr + `
postfix         MX    10 mx.postfix
mx.postfix      A     ` + postfixAddr + `
exim            A     ` + eximAddr + `
opensmtpd       MX    10 mx.opensmtpd
mx.opensmtpd    A     ` + opensmtpdAddr + `
equal           MX    10 mx1.equal
equal           MX    10 mx2.equal
mx1.equal       A     ` + postfixAddr + `
mx2.equal       A     ` + eximAddr + `
first           MX    5  refusing
first           MX    10 mx.postfix
far             MX    5  nobody
far             MX    10 mx.postfix
refusing        A     ` + refusing + `
nobody          A     ` + nobody + `
null            MX    0  .
alias           CNAME postfix
cnamemx         MX    10 cname
cname           CNAME mx.postfix
six             MX    10 mx.six
mx.six          AAAA  ` + refusing6 + `
mx.six          A     ` + postfixAddr + `
both            MX    10 mx.both
mx.both         AAAA  ` + eximAddr6 + `
mx.both         A     ` + eximAddr + `
only6           AAAA  ` + postfixAddr6 + `
noaddress       MX    10 nothing.here
txtonly         TXT   "neither MX nor address"
dead            MX    10 refusing
`

// names runs the name server.
func (w *world) names() {
	w.t.Helper()
	nsd := unpacked(w.t, "nsd")
	dir := filepath.Join(w.dir, "nsd")
	conf := fmt.Sprintf(`server:
  ip-address: %[1]s
  username: ""
  chroot: ""
  zonesdir: "%[2]s"
  database: ""
  pidfile: "%[2]s/pid"
  xfrdfile: "%[2]s/xfrd"
  zonelistfile: "%[2]s/list"
  xfrdir: "%[2]s"
  logfile: "%[2]s/log"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example.zone
zone:
  name: broken.example
  zonefile: missing.zone
`, nameAddr, dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	for name, text := range map[string]string{"nsd.conf": conf, "example.zone": zone} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	w.serve("nsd", exec.Command(nsd+"/usr/sbin/nsd", "-d", "-c", dir+"/nsd.conf"), dir+"/log", nameAddr+":53")
}
