package clients

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// keysScript signs mail in a home with users: first mailrelay is started as the owner of the home,
// as units without the drop-ins of contrib/systemd-users do, then by root.
const keysScript = usersScript + `
users="paperpath ppsubmit ppcheck pproute ppdeliver pprelay pppop3"
as() { u=$1; shift; setpriv --reuid "$u" --regid paperpath --init-groups "$@"; }
mailctl init "$0/home" --hostname mx.example.net --create-user 2>/dev/null && mailctl dkim activate example.net || exit 1
echo ".: $SINK" >"$0/home/control/routes"
for u in $users; do
	for f in "$0"/home/control/dkim/example.net/*; do as $u cat "$f" >/dev/null 2>&1 && echo "$u reads ${f##*/}"; done
	as $u ls "$0/home/control/dkim" >/dev/null 2>&1 && echo "$u looks"
done
printf 'From: alice@example.net\nSubject: signed\n\nsigned\n' | sendmail -f alice@example.net bob@elsewhere.test &&
	as ppcheck mailcheck run && as pproute mailroute run || exit 2
as paperpath mailrelay run || exit 3
cat "$0"/home/spool/relay/reason/*
as paperpath mailctl dkim show && echo "the owner shows keys"
mailctl queue retry --state deferred && mailrelay run || exit 4`

// Only mailrelay's user reads the keys that sign. A mailrelay that runs as somebody else sends
// nothing unsigned: the mail waits until it is started as it should be.
func TestOnlyMailrelayReadsKeys(t *testing.T) {
	dir := passable(t)
	need(t, "unshare")
	need(t, "useradd")
	need(t, "setpriv")
	sink, err := harness.NewSink("ok")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	cmd := exec.Command("unshare", "--mount", "sh", "-c", keysScript, dir)
	cmd.Env = append(programs.Env(dir+"/home"), "BIN="+filepath.Dir(programs.Path("mailctl")), "SINK="+sink.Addr)
	text, err := cmd.CombinedOutput()
	out := string(text)
	if cmd.ProcessState.ExitCode() == 99 {
		if harness.Missing("mounts (the keys that sign)") {
			t.Fatal("this test needs mounts")
		}
		t.Skip("no mounts")
	}
	for _, want := range []string{"pprelay reads active", "-rsa.pem", "pprelay looks", "deferred: control/dkim/example.net/active: permission denied"} {
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v, no %q: %s", err, want, out)
		}
	}
	for _, other := range []string{"paperpath", "ppsubmit", "ppcheck", "pproute", "ppdeliver", "pppop3"} {
		if strings.Contains(out, other+" reads") || strings.Contains(out, other+" looks") {
			t.Errorf("%s can read keys: %s", other, out)
		}
	}
	if strings.Contains(out, "the owner shows keys") {
		t.Errorf("mailctl reads them as the owner: %s", out)
	}
	if got := sink.Received(); len(got) != 1 || !strings.Contains(string(got[0].Data), "DKIM-Signature:") {
		t.Errorf("sent %d messages, the first not signed: %s", len(got), out)
	}
}
