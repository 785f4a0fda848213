package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A dialogue is a file testdata/NAME.dialogue, a line each:
//
//	# comment
//	: setting value   of Config: auth, clear, scram, size, recipients, errors, junk, logins, lmtp, normalise;
//	                  tls: all of it inside TLS; starttls: that is offered
//	C: command        what the client sends, CRLF added
//	R: bytes          the same without CRLF
//	S: reply          what the server sends; a * at the end stands for anything
//	M: from to... | text    a message that is accepted, in order
//	X:                the server ends the session before the client does
//	E:                the whole answer to EHLO or LHLO
//
// \n \r \0 \\ \xHH are octets, %20x% is x twenty times. Greeting and EHLO are
// implied unless the first line is ": raw". The client ends the session behind
// its last line. What EHLO is answered stands in ehlo-answer.dialogue alone: E:, the
// implied answer and the other tests take it from there.
//
// Each is held with everything sent at once, one octet at a time, and cut in
// two at every octet; the outcome must be the same.
type dialogue struct {
	cfg     Config
	sent    []byte
	replies []string
	mail    []string
	ends    bool
	tls     bool
	trust   *tls.Config // of the client, inside TLS
}

func readDialogue(t *testing.T, path string) dialogue {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := dialogue{cfg: Config{Hostname: "mx.test", MaxSize: 1000}}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] == ": raw" {
		lines = lines[1:]
	} else {
		d.sent = []byte("EHLO c.test\r\n")
		d.replies = []string{"220 mx.test ESMTP", helloAnswer}
	}
	for _, line := range lines {
		if err := d.add(line); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
	}
	answer := ehloAnswer(t, d.cfg, d.offered()...)
	for i := 0; i < len(d.replies); i++ {
		if d.replies[i] == helloAnswer {
			d.replies = slices.Replace(d.replies, i, i+1, answer...)
		}
	}
	return d
}

// helloAnswer stands in a dialogue for all lines of the answer to EHLO.
const helloAnswer = "E:"

// offered are the extensions that only some sessions have, as this one has them.
func (d *dialogue) offered() (list []string) {
	if d.tls {
		list = append(list, "REQUIRETLS")
	}
	if d.cfg.TLS != nil {
		list = append(list, "STARTTLS")
	}
	switch {
	case d.cfg.AuthInClear && d.cfg.SASL.Scram:
		list = append(list, "AUTH PLAIN LOGIN SCRAM-SHA-256")
	case d.cfg.AuthInClear:
		list = append(list, "AUTH PLAIN LOGIN")
	}
	return list
}

// ehloAnswer is the answer to EHLO of a server with this cfg: the extensions of
// testdata/ehlo-answer.dialogue that every session has, then more.
func ehloAnswer(t *testing.T, cfg Config, more ...string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/ehlo-answer.dialogue")
	if err != nil {
		t.Fatal(err)
	}
	list := []string{cfg.Hostname}
	for _, m := range regexp.MustCompile(`(?m)^S: 250[- ](.*)$`).FindAllStringSubmatch(string(text), -1)[1:] {
		switch name, _, _ := strings.Cut(m[1], " "); name {
		case "AUTH":
		case "SIZE":
			list = append(list, fmt.Sprintf("SIZE %d", cfg.MaxSize))
		case "LIMITS":
			list = append(list, fmt.Sprintf("LIMITS RCPTMAX=%d", cfg.withDefaults().MaxRecipients))
		default:
			list = append(list, m[1])
		}
	}
	list = append(list, more...)
	for i, line := range list {
		list[i] = "250-" + line
		if i == len(list)-1 {
			list[i] = "250 " + line
		}
	}
	return list
}

func (d *dialogue) add(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "#", "":
	case "C:":
		d.sent = append(append(d.sent, expand(rest)...), "\r\n"...)
	case "R:":
		d.sent = append(d.sent, expand(rest)...)
	case "S:":
		d.replies = append(d.replies, expand(rest))
	case "M:":
		d.mail = append(d.mail, expand(rest))
	case "X:":
		d.ends = true
	case helloAnswer:
		d.replies = append(d.replies, helloAnswer)
	case ":":
		return d.setting(rest)
	default:
		return fmt.Errorf("unknown kind")
	}
	return nil
}

func (d *dialogue) setting(s string) error {
	name, value, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(value)
	switch name {
	case "auth":
		d.cfg.Auth = true
		return nil
	case "scram":
		d.cfg.SASL.Scram = true
		return nil
	case "clear":
		d.cfg.AuthInClear = true
		return nil
	case "lmtp":
		d.cfg.LMTP = true
		d.sent = []byte("LHLO c.test\r\n")
		d.replies[0] = "220 mx.test LMTP"
		return nil
	case "normalise":
		d.cfg.Normalise = true
		return nil
	case "tls":
		d.tls = true
		return nil
	case "starttls":
		d.cfg.TLS = new(tls.Config) // for no handshake that works
		return nil
	case "size":
		d.cfg.MaxSize = int64(n)
	case "recipients":
		d.cfg.MaxRecipients = n
	case "errors":
		d.cfg.MaxErrors = n
	case "junk":
		d.cfg.MaxJunk = n
	case "logins":
		d.cfg.MaxLogins = n
	default:
		return fmt.Errorf("unknown setting")
	}
	return err
}

var repeat = regexp.MustCompile(`%(\d+)([^%]+)%`)

func expand(s string) string {
	s = repeat.ReplaceAllStringFunc(s, func(m string) string {
		part := repeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[1])
		return strings.Repeat(part[2], n)
	})
	return regexp.MustCompile(`\\(n|r|0|\\|x[0-9a-f]{2})`).ReplaceAllStringFunc(s, func(m string) string {
		if m == `\0` {
			return "\x00"
		}
		out, _ := strconv.Unquote(`"` + m + `"`)
		return out
	})
}

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	server, trust := keys(t)
	for _, path := range files {
		d := readDialogue(t, path)
		if d.tls {
			d.cfg.TLS, d.cfg.Implicit, d.trust = server, true, trust
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".dialogue"), func(t *testing.T) {
			t.Parallel()
			if !d.hold(t, "at once", d.sent) || !d.hold(t, "one octet at a time", octets(d.sent)...) {
				return
			}
			step := 1 + len(d.sent)/60 // every octet was cut off alone before
			for i := 1; i < len(d.sent); i += step {
				if !d.hold(t, fmt.Sprintf("cut at %d", i), d.sent[:i], d.sent[i:]) {
					return
				}
			}
		})
	}
}

func octets(b []byte) (list [][]byte) {
	for i := range b {
		list = append(list, b[i:i+1])
	}
	return list
}

// hold runs the dialogue with the client's octets in these pieces.
func (d *dialogue) hold(t *testing.T, how string, pieces ...[]byte) bool {
	t.Helper()
	sess := &fake{}
	out, ended := d.run(t, sess, pieces)
	got := strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n")
	if diff := cmp.Diff(d.replies, matched(d.replies, got)); diff != "" {
		t.Errorf("%s: replies (-want +got):\n%s", how, diff)
	}
	if diff := cmp.Diff(d.mail, sess.mail); diff != "" {
		t.Errorf("%s: mail (-want +got):\n%s", how, diff)
	}
	if d.ends == ended {
		t.Errorf("%s: the server ended the session: %v", how, !ended)
	}
	if sess.open {
		t.Errorf("%s: the transaction was not reset", how)
	}
	if strings.Contains(strings.ReplaceAll(out, "\r\n", ""), "\n") {
		t.Errorf("%s: bare LF in a reply", how)
	}
	return !t.Failed()
}

// run returns what the server says, and whether the client was the one to end it.
func (d *dialogue) run(t *testing.T, sess *fake, pieces [][]byte) (out string, ended bool) {
	t.Helper()
	open := func(c *Conn) Session { sess.conn = c; return sess }
	if !d.tls {
		conn := &script{pieces: pieces}
		Serve(context.Background(), conn, d.cfg, open)
		return conn.out.String(), conn.ended
	}
	near, far := net.Pipe()
	served := make(chan error)
	go func() { served <- Serve(context.Background(), far, d.cfg, open) }()
	client := tls.Client(near, d.trust)
	go func() {
		for _, p := range pieces {
			if _, err := client.Write(p); err != nil {
				return // the server has ended the session
			}
		}
		client.CloseWrite()
	}()
	text, _ := io.ReadAll(client)
	near.Close()
	err := <-served
	return string(text), err != nil && strings.HasPrefix(err.Error(), "the client closed")
}

// matched replaces each reply that fits its pattern by the pattern.
func matched(want, got []string) []string {
	out := append([]string(nil), got...)
	for i := range min(len(want), len(got)) {
		if p, ok := strings.CutSuffix(want[i], "*"); ok && strings.HasPrefix(got[i], p) {
			out[i] = want[i]
		}
	}
	return out
}
