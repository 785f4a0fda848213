package world

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// pythonParts prints the type and the decoded content of each part of a message.
const pythonParts = `
import email, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'))
for p in m.walk():
    print(p.get_content_type())
    if not p.is_multipart():
        print(repr(p.get_payload(decode=True).replace(b'\r\n', b'\n')))
`

// parts returns the parts of a message as Python decodes them.
func (w *world) parts(message []byte) string {
	w.t.Helper()
	path := w.write(filepath.Join(w.dir, "message"), string(message), 0o600)
	defer os.Remove(path)
	out, err := exec.Command("python3", "-c", pythonParts, path).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// Servers without 8BITMIME get every shape of message in 7 bits, and what they hand on is,
// decoded, what was sent. What may not be converted comes back with 5.6.3.
func TestSevenBits(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		missing(t, "python3")
	}
	for domain, run := range map[string]func(*world){
		"postfix.example": func(w *world) { w.postfix("smtpd_discard_ehlo_keywords = 8bitmime, smtputf8\n") },
		"exim.example":    func(w *world) { w.exim("accept_8bitmime = false\n") },
	} {
		t.Run(domain, func(t *testing.T) {
			w := newWorld(t)
			run(w)
			sent := harness.Shapes()
			delete(sent, "no body") // Exim adds a line
			part := func(fields, body string) string { return "--b\n" + fields + "\n" + body + "\n" }
			sent["multipart"] = harness.Letter("multipart", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n"+
				part("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "Grüße")+
				part("Content-Type: application/x\nContent-Transfer-Encoding: binary\n", "\xff\x01\xfe")+
				part("Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n", "Subject: inner\n\nfür\n")+"--b--\n")
			for _, message := range sent {
				w.submit(message, "user@"+domain)
			}
			signed := harness.Letter("signed", "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n"+part("Content-Type: text/plain\n", "für")+"--b--\n")
			w.submit(signed, "user@"+domain)
			w.run("mailcheck", "mailroute", "mailrelay")
			w.reached(len(sent))
			for _, m := range w.sink.Received() {
				shape := harness.ShapeOf(m.Data)
				_, body, _ := bytes.Cut(m.Data, []byte("\n\n"))
				if bytes.ContainsFunc(body, func(r rune) bool { return r >= 0x80 }) {
					t.Errorf("%s: not in 7 bits", shape)
				}
				if got, want := w.parts(m.Data), w.parts(sent[shape]); got != want {
					t.Errorf("%s: parts\n%.300s\nwant\n%.300s", shape, got, want)
				}
			}
			if failed := strings.Join(w.home.Events("event=failed"), "\n"); !strings.Contains(failed, "status=5.6.3") || !strings.Contains(failed, "multipart/signed") {
				t.Errorf("no failure with 5.6.3: %s", failed)
			}
		})
	}
}
