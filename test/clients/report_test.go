package clients

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reportReader is a reader of mail that prints the three parts of a report.
type reportReader struct {
	name string
	read func(t *testing.T, path string) string
}

// pythonReport fails on any defect that Python's parser finds, and prints the decoded
// text, the fields of each recipient and the subject of what is returned.
const pythonReport = `
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
assert m.get_content_type() == 'multipart/report', m.get_content_type()
for p in m.walk():
    assert not p.defects, (p.get_content_type(), p.defects)
    for v in p.values():
        # Python knows addresses with UTF-8 as defects alone.
        assert not getattr(v, 'defects', None) or 'utf8' in sys.argv[1], (v, v.defects)
human, status, back = m.get_payload()
print(human.get_content())
if status.get_content_type() == 'message/delivery-status':
    for group in status.get_payload():
        for k, v in group.items(): print(k + ': ' + str(v))
else:
    print(status.as_bytes().decode())
print(back.get_content_type())
print(back.as_bytes().decode('utf-8', 'replace'))
`

// Every report of ours can be read by the readers of others: its text, what it says for
// programs, and what it returns.
func TestReportsAreRead(t *testing.T) {
	list, err := filepath.Glob("../../internal/dsn/testdata/*.eml")
	if err != nil || len(list) < 5 {
		t.Fatalf("%d reports, %v", len(list), err)
	}
	for _, r := range []reportReader{{"python3", readPython}, {"mshow", readMblaze}} {
		t.Run(r.name, func(t *testing.T) {
			need(t, r.name)
			for _, path := range list {
				path, err := filepath.Abs(path)
				if err != nil {
					t.Fatal(err)
				}
				got := strings.Join(strings.Fields(r.read(t, path)), " ")
				wanted := []string{"This is the mail system at mx.example.net.", "<b", "@x.example>"}
				if !strings.Contains(path, "utf8") || r.name == "python3" { // few know RFC 6533
					wanted = append(wanted, "Reporting-MTA: dns; mx.example.net", "Final-Recipient: ", "Action: ", "Status: ",
						"Received: by mx.example.net")
				}
				for _, want := range wanted {
					if !strings.Contains(got, want) {
						t.Errorf("%s: no %q in\n%s", filepath.Base(path), want, got)
					}
				}
			}
		})
	}
}

// output runs a reader and returns what it prints.
func output(t *testing.T, dir, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	c.Dir, c.Stdin = dir, strings.NewReader(input)
	c.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "TERM=dumb")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), errs.String())
	}
	return out.String()
}

func readPython(t *testing.T, path string) string {
	return output(t, t.TempDir(), "", "python3", "-c", pythonReport, path)
}

func readMblaze(t *testing.T, path string) string {
	return output(t, t.TempDir(), "", "mshow", path) + output(t, t.TempDir(), "", "mshow", "-R", path)
}
