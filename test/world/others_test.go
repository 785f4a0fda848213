package world

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// opensmtpd runs OpenSMTPD, which refuses the local part refused and hands everything else
// on to the sink; more is added to its settings. Its paths are built
// in; the copy that runs has others of the same length. It has no directory to be locked
// up in either.
func (w *world) opensmtpd(more string) *server {
	w.t.Helper()
	from := unpacked(w.t, "opensmtpd") + "/usr/sbin/smtpd"
	text, err := os.ReadFile(from)
	if err != nil {
		w.t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "opensmtpd")
	spool := fmt.Sprintf("/tmp/w%010d", rand.IntN(1e9))
	tools := spool + ".tools"
	w.t.Cleanup(func() { os.RemoveAll(spool); os.RemoveAll(tools); os.Remove(spool + ".so") })
	for builtIn, now := range map[string]string{
		"/var/spool/smtpd":         spool,
		"/var/run/smtpd.sock":      spool + ".so",
		"/usr/libexec/opensmtpd":   tools,
		"/var/lib/opensmtpd/empty": strings.Repeat("/", len("/var/lib/opensmtpd/empty")),
	} {
		if !bytes.Contains(text, []byte(builtIn)) || len(now) != len(builtIn) {
			w.t.Fatalf("%s does not contain %s, to be replaced by %s", from, builtIn, now)
		}
		text = bytes.ReplaceAll(text, []byte(builtIn), []byte(now))
	}
	program := w.write(filepath.Join(dir, "smtpd"), string(text), 0o755)
	w.program(unpacked(w.t, "opensmtpd")+"/usr/libexec/opensmtpd/mail.mda", tools+"/mail.mda")
	conf := w.write(filepath.Join(dir, "smtpd.conf"), fmt.Sprintf(`pki peer cert "%[1]s"
pki peer key "%[1]s"
listen on %[2]s port 25 tls pki peer hostname mx.opensmtpd.example
smtp max-message-size 50M
%[4]s
action "sink" relay host smtp://%[3]s
match from any for any rcpt-to "refused@opensmtpd.example" reject
match from any for any action "sink"
`, w.certificate(dir), opensmtpdAddr, w.sink.Addr, more), 0o644)
	cmd := exec.Command(program, "-d", "-f", conf)
	cmd.Env = w.wrapper(dir,
		"opensmtpd:x:64004:64004::/:/bin/false\nopensmtpq:x:64005:64005::/:/bin/false\n",
		"opensmtpd:x:64004:\nopensmtpq:x:64005:\n")
	return w.serve("opensmtpd", cmd, "", smtpAt(opensmtpdAddr)...)
}
