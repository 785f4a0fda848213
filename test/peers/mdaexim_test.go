package peers

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control/machinetest"
	"paperpath/test/harness"
)

// Below Exim, maildeliver is the MDA of a domain, as in the example of maildeliver(8): what it
// stores is sent, a mailbox that does not exist bounces, a full one and a broken setting wait.
// Exim runs without its set-user-ID bit, wholly as its own user, who owns the home.
func TestMaildeliverBelowExim(t *testing.T) {
	exim := unpacked(t, "exim")
	const uid = 64003
	dir := reachableDir(t)
	h, err := programs.NewHome(dir+"/home", "alice")
	if err != nil {
		t.Fatal(err)
	}
	set(t, h, "root", "")
	users, err := os.ReadFile(h.Dir + "/control/users")
	if err == nil {
		set(t, h, "users", strings.TrimSpace(string(users)), "full@example.net:::::::userdb_quota_rule=*:messages=1")
		err = h.Still("users")
	}
	if err != nil {
		t.Fatal(err)
	}
	program := dir + "/exim4"
	if out, err := exec.Command("install", "-m", "755", exim+"/usr/sbin/exim4", program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	passwd, _ := os.ReadFile("/etc/passwd")
	env := machinetest.Environment(t, string(passwd)+"Debian-exim:x:64003:64003::/:/bin/sh\n", "Debian-exim:x:64003:\n")
	var add []string
	for name, value := range env {
		add = append(add, name+"="+value)
	}
	conf := strings.NewReplacer("DIR", dir, "MAILDELIVER", programs.Path("maildeliver"), "HOME", h.Dir, "ENVIRONMENT", strings.Join(add, " : ")).Replace(eximConf)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"spool", "log"} {
		if err := os.Mkdir(dir+"/"+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"home", "spool", "log"} {
		err := filepath.WalkDir(dir+"/"+sub, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = os.Lchown(path, uid, uid)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct{ to, does, says, setting string }{
		{"alice@example.net", "=>", "", ""}, {"nobody@example.net", "**", "returned 67", ""}, {"full@example.net", "=>", "", ""},
		{"full@example.net", "==", "returned 75", ""}, {"alice+x@example.net", "==", "returned 75", "databytes"},
	} {
		if x.setting != "" {
			set(t, h, x.setting, "nonsense")
		}
		cmd := exec.Command(program, "-C", dir+"/conf", "-odi", "-i", "-f", "s@x.example", x.to)
		cmd.Env, cmd.Stdin = append(os.Environ(), add...), strings.NewReader("Subject: x\n\n.\nGrüße\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var line string
		err := harness.Wait("what became of the mail for "+x.to, time.Minute, func() bool {
			line = eximDid(dir+"/log/main", x.does, x.to)
			return line != ""
		})
		if err != nil || !strings.Contains(line, x.says) {
			log, _ := os.ReadFile(dir + "/log/main")
			t.Errorf("%s: %v, %s\n%s", x.to, err, line, log)
		}
	}
	names, err := filepath.Glob(filepath.Join(h.Mailbox("alice"), "new", "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil || !strings.HasPrefix(string(text), "Return-Path: <s@x.example>\nDelivered-To: alice@example.net\nReceived: ") ||
		!strings.HasSuffix(string(text), "\n\n.\nGrüße\n") {
		t.Errorf("stored is\n%s%v", text, err)
	}
}

// eximConf is what maildeliver(8) shows, with the rest that Exim needs.
const eximConf = `primary_hostname = exim.example
log_file_path = DIR/log/%s
spool_directory = DIR/spool
exim_path = DIR/exim4
keep_environment = ^LD_PRELOAD : ^NSS_WRAPPER
add_environment = ENVIRONMENT
notifier_socket =
acl_not_smtp = accept
begin routers
paperpath:
  driver = accept
  transport = paperpath
begin transports
paperpath:
  driver = pipe
  command = /bin/sh -c 'exec MAILDELIVER --home HOME -d "\$RECIPIENT" -f "\$SENDER"'
  user = Debian-exim
  message_prefix =
  message_suffix =
begin retry
* * F,1h,1s
`

// eximDid is the line of Exim's log that says so of a recipient.
func eximDid(log, what, to string) string {
	text, _ := os.ReadFile(log)
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " "+what+" ") && (strings.Contains(line, "<"+to+">") || strings.Contains(line, " "+to+" ")) {
			return line
		}
	}
	return ""
}
