package clients

import (
	"bytes"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"paperpath/internal/sevenbit"
)

// pythonParts prints each part of a message: its type, and its content decoded, with LF.
const pythonParts = `
import email, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'))
for p in m.walk():
    print(p.get_content_type(), p.get_filename())
    if not p.is_multipart():
        print(repr(p.get_payload(decode=True).replace(b'\r\n', b'\n')))
`

// eightBit are messages with 8-bit text and long lines in every place that can be
// converted.
func eightBit() map[string]string {
	long := strings.Repeat("viel zu lang für eine Zeile; ", 80)
	part := func(fields, body string) string { return "--b1\n" + fields + "\n" + body + "\n" }
	return map[string]string{
		"no MIME":   "From: a@example.org\nSubject: x\n\nGrüße \n.\nFrom here\n=20\n",
		"one part":  "From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>" + long + "</p>\n",
		"latin":     "From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nGr\xfc\xdfe\t\n\n\n",
		"long":      "From: a@example.org\nSubject: x\n\n" + strings.Repeat("x", 5000) + "\n" + strings.Repeat("y z ", 400) + "\n",
		"large":     "From: a@example.org\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + strings.Repeat("Größe und Maß, "+long+"\n", 100),
		"multipart": "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\nContent-Transfer-Encoding: 8bit\n\nvor allem für niemand\n" + part("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "Grüße\n-- \nich") + part("Content-Type: application/x-y; name=a.bin\nContent-Transfer-Encoding: binary\n", "\xff\x01\xfe") + part("Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n", "From: b@example.org\nSubject: y\n\ninnen für") + "--b1--\nnachher für niemand\n",
		"nested": "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\n" + part("Content-Type: multipart/alternative; boundary=b2\n", "--b2\nContent-Type: text/plain; charset=utf-8\n\nnur für\n--b2\nContent-Type: text/html; charset=utf-8\n\n<b>"+long+"</b>\n--b2--") +
			part("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n", "halb =C3=BC und halb ü =\nweiter") + "--b1--\n",
	}
}

// TestConvertedIsRead: what the conversion to 7 bits makes of a message is, decoded by the
// readers of others, what it was.
func TestConvertedIsRead(t *testing.T) {
	for _, r := range []reportReader{
		{"python3", func(t *testing.T, path string) string {
			return output(t, t.TempDir(), "", "python3", "-c", pythonParts, path)
		}},
		{"mshow", func(t *testing.T, path string) string {
			shown := output(t, t.TempDir(), "", "mshow", "-h", "subject", path)
			return strings.ReplaceAll(shown, "\r", "")
		}},
		{"doveadm", readDovecot},
	} {
		t.Run(r.name, func(t *testing.T) {
			need(t, r.name)
			for name, text := range eightBit() {
				was, is := filepath.Join(t.TempDir(), "was"), filepath.Join(t.TempDir(), "is")
				for path, text := range map[string]string{was: text, is: inSevenBits(t, text)} {
					if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, got := r.read(t, was), r.read(t, is)
				if r.name == "mshow" {
					want, got = withoutLabels(want), withoutLabels(got)
				}
				if got != want || len(got) < 8 {
					t.Errorf("%s: read\n%.600q\nwant\n%.600q", name, got, want)
				}
			}
		})
	}
}

// inSevenBits converts a message with LF line ends.
func inSevenBits(t *testing.T, text string) string {
	t.Helper()
	wire := strings.ReplaceAll(text, "\n", "\r\n")
	plan, err := sevenbit.Scan(strings.NewReader(wire), sevenbit.Options{Seven: true, Fold: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(plan.Apply(strings.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.SplitAfter(b, []byte("\r\n")) {
		if len(line) > sevenbit.MaxLine+2 || bytes.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("not converted: %.100q", line)
		}
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// readDovecot returns the parts of a message as Dovecot decodes them (RFC 3516).
func readDovecot(t *testing.T, path string) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if u.Uid == "0" { // it reads no mail as root
		if u, err = user.Lookup("mail"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "dovecot.conf")
	for name, text := range map[string]string{
		"dovecot.conf": "mail_location = maildir:" + dir + "/box\nmail_uid = " + u.Uid + "\nmail_gid = " + u.Gid +
			"\nfirst_valid_uid = 1\nbase_dir = " + dir + "/run\nlog_path = " + dir + "/log\nssl = no\n",
		"box/cur/1.P1.host:2,": string(text), "box/new/.keep": "", "box/tmp/.keep": "",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	own(t, dir, u)
	t.Setenv("USER", u.Username)
	fields := "binary.1"
	switch {
	case strings.Contains(string(text), "multipart/alternative"):
		fields = "binary.1.1 binary.1.2 binary.2"
	case strings.Contains(string(text), "multipart/"):
		fields = "binary.1 binary.2 binary.3.1"
	}
	return strings.ReplaceAll(output(t, dir, "", "doveadm", "-c", conf, "fetch", fields, "all"), "\r", "")
}

// own gives a directory to a user.
func own(t *testing.T, dir string, u *user.User) {
	t.Helper()
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if os.Getuid() != 0 {
		return
	}
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err == nil {
			err = os.Chown(path, uid, gid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withoutLabels removes the lines in which mshow tells about parts, and those of the
// header of a message inside that belong to its encoding.
func withoutLabels(shown string) string {
	var kept []string
	for line := range strings.Lines(shown) {
		lower := strings.ToLower(line)
		if !strings.Contains(line, "--- ") && !strings.HasPrefix(lower, "mime-") && !strings.HasPrefix(lower, "content-") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
