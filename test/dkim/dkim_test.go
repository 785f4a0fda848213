// Package dkim has what mailrelay signs verified by programs that other people wrote, and
// what they sign verified by internal/dkim.
package dkim

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"paperpath/internal/dkim"
	"paperpath/test/harness"
)

var programs harness.Programs

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &programs)) }

// site is a home with active keys, a host that takes its mail, and the keys as others
// find them.
type site struct {
	*harness.Home
	t    *testing.T
	sink *harness.Sink
	zone map[string]string
	keys string // the file that has the zone
	have map[string]bool
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, zone: map[string]string{}, have: installed()}
	dir := t.TempDir()
	var err error
	if s.Home, err = programs.NewHome(filepath.Join(dir, "home")); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("resolver", "127.0.0.1:9"); err != nil {
		t.Fatal(err)
	}
	s.must("mailctl", "dkim", "activate", harness.Domain)
	if s.sink, err = harness.NewSink("ok"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.sink.Close() })
	s.publish(s.must("mailctl", "dkim", "show", harness.Domain), filepath.Join(dir, "keys"))
	return s
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, err := programs.Must(s.Dir, nil, args[0], args[1:]...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// publish reads the lines of a zone that mailctl printed.
func (s *site) publish(lines, file string) {
	s.t.Helper()
	var text strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^(\S+)\. IN TXT (.*)$`).FindAllStringSubmatch(lines, -1) {
		s.zone[m[1]] = strings.ReplaceAll(strings.Trim(m[2], `"`), `" "`, "")
		text.WriteString(m[1] + " " + s.zone[m[1]] + "\n")
	}
	if len(s.zone) != 2 {
		s.t.Fatalf("mailctl dkim show printed %d records: %s", len(s.zone), lines)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.keys = file
}

// TXT implements dkim.Resolver.
func (s *site) TXT(_ context.Context, name string) ([]string, error) {
	return []string{s.zone[name]}, nil
}

// selector returns the selector of an algorithm.
func (s *site) selector(algorithm string) string {
	for name := range s.zone {
		if selector, _, _ := strings.Cut(name, "._domainkey."); strings.HasSuffix(selector, "-"+algorithm) {
			return selector
		}
	}
	s.t.Fatalf("no key of %s", algorithm)
	return ""
}

// send sends a message and returns it as the host gets it, with CRLF line ends.
func (s *site) send(text string) string {
	s.t.Helper()
	_, err := programs.Must(s.Dir, strings.NewReader(text), "mailrelay", "--from", "alice@"+harness.Domain,
		"--to", "bob@elsewhere.example", "--via", s.sink.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	got := s.sink.Received()
	return strings.ReplaceAll(string(got[len(got)-1].Data), "\n", "\r\n")
}

// messages are texts of all the kinds that are signed.
func messages() map[string]string {
	const from = "From: Alice <alice@example.net>\nTo: bob@elsewhere.example\nSubject: hello\n" +
		"Date: Sat, 28 Nov 2026 12:00:00 +0000\nMessage-ID: <1@example.net>\n"
	return map[string]string{
		"plain":       from + "\nHello Bob,\n\n bye \n\n\n",
		"no body":     from + "\n",
		"8 bits":      from + "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe \n",
		"long lines":  from + "\n" + strings.Repeat("word ", 1000) + "\n" + strings.Repeat("x", 5000) + "\n",
		"folded":      strings.Replace(from, "hello", "=?utf-8?q?h=C3=A9llo?=\n =?utf-8?q?_you?=\n\t and  you ", 1) + "\nx\n",
		"list":        from + "List-Id: <l.example.net>\nList-Unsubscribe: <https://example.net/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n\nx\n",
		"dots":        from + "\n.\n..\n.x\n",
		"blank lines": from + "\n" + strings.Repeat("\n", 10000) + "x\n",
		"10 MiB":      from + "\n" + strings.Repeat(strings.Repeat("0123456789abcdef", 4)+"\n", 10<<20/65),
	}
}

// verifiers are others' programs: each prints the selector and the result of a signature
// on a line. An Ed25519 signature means nothing to two of them.
var verifiers = []struct {
	name    string
	args    func(keys string) []string
	ed25519 bool
}{
	{"Mail::DKIM", func(keys string) []string { return []string{"perl", "testdata/verify.pl", keys} }, false},
	{"dkimpy", func(keys string) []string { return []string{"/usr/bin/python3", "testdata/verify.py", keys} }, true},
}

// TestOthersVerify: what mailrelay signs, others verify, and not if a line is added.
func TestOthersVerify(t *testing.T) {
	s := newSite(t)
	for name, text := range messages() {
		got := s.send(text)
		results, err := dkim.Verifier{DNS: s, Now: time.Now}.Verify(t.Context(), strings.NewReader(got))
		if err != nil || len(results) != 2 || results[0].Status != dkim.Pass || results[1].Status != dkim.Pass {
			t.Errorf("%s: ours: %+v, %v", name, results, err)
		}
		for _, v := range verifiers {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				s.need(t, v.name)
				want := s.selector("rsa") + " pass\n"
				if v.ed25519 {
					want += s.selector("ed25519") + " pass\n"
				}
				if out := say(t, got, v.args(s.keys)...); !strings.HasPrefix(out, want) {
					t.Errorf("it says %q, want %q", out, want)
				}
				if out := say(t, got+"more\r\n", v.args(s.keys)...); strings.Contains(out, " pass\n") {
					t.Errorf("with another line it says %q", out)
				}
			})
		}
		t.Run("opendkim/"+name, func(t *testing.T) { s.opendkim(t, got) })
	}
}

// opendkim has opendkim verify a message. It stops at the first signature that is valid.
func (s *site) opendkim(t *testing.T, text string) {
	s.need(t, "opendkim")
	file, config := filepath.Join(t.TempDir(), "message"), filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(config, []byte("Mode v\nTestPublicKeys "+s.keys+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{{text, "verification (s=" + s.selector("rsa") + ", d=example.net, 2048-bit key"},
		{text + "more\r\n", "failed: signature verification failed"}} {
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("opendkim", "-x", config, "-t", file).CombinedOutput()
		good := strings.Contains(string(out), "succeeded")
		if !strings.Contains(string(out), c.want) || good != (c.text == text) {
			t.Errorf("it says %q, %v, want %q", out, err, c.want)
		}
	}
}

// TestOthersSign: we verify what others sign, in each form.
func TestOthersSign(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(s.Dir, "control", "dkim", harness.Domain)
	rsaKey := filepath.Join(dir, s.selector("rsa")+".pem")
	seed := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(seed, []byte(base64.StdEncoding.EncodeToString(edSeed(t, filepath.Join(dir, s.selector("ed25519")+".pem")))), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range messages() {
		text = strings.ReplaceAll(text, "\n", "\r\n")
		for _, form := range []string{"relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"} {
			for _, by := range []struct {
				signer string
				args   []string
			}{
				{"Mail::DKIM", []string{"perl", "testdata/sign.pl", rsaKey, harness.Domain, s.selector("rsa"), form}},
				{"dkimpy", []string{"/usr/bin/python3", "testdata/sign.py", rsaKey, harness.Domain, s.selector("rsa"), form, "rsa-sha256"}},
				{"dkimpy", []string{"/usr/bin/python3", "testdata/sign.py", seed, harness.Domain, s.selector("ed25519"), form, "ed25519-sha256"}},
			} {
				if name != "folded" && form != "relaxed/simple" {
					continue // they are slow
				}
				t.Run(by.signer+"/"+form+"/"+name, func(t *testing.T) {
					s.need(t, by.signer)
					signed := say(t, text, by.args...)
					for in, want := range map[string]dkim.Status{signed: dkim.Pass, signed + "more\r\n": dkim.Fail} {
						got, err := dkim.Verifier{DNS: s, Now: time.Now}.Verify(t.Context(), strings.NewReader(in))
						if err != nil || len(got) != 1 || got[0].Status != want {
							t.Errorf("%+v, %v, want %s of %.400q", got, err, want, in)
						}
					}
				})
			}
		}
	}
}

// edSeed returns the 32 octets at the end of an Ed25519 key in PKCS#8 (RFC 8410 7).
func edSeed(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	der, err := base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-1], ""))
	if err != nil || len(der) < 32 {
		t.Fatal(err)
	}
	return der[len(der)-32:]
}

// installed returns which programs of others are here.
func installed() map[string]bool {
	have := map[string]bool{}
	for name, probe := range map[string][]string{
		"Mail::DKIM": {"perl", "-MMail::DKIM::Verifier", "-e", "1"},
		"dkimpy":     {"/usr/bin/python3", "-c", "import dkim, nacl"},
		"opendkim":   {"opendkim", "-V"},
	} {
		have[name] = exec.Command(probe[0], probe[1:]...).Run() == nil
	}
	return have
}

// need skips the test if a program of others is not installed.
func (s *site) need(t *testing.T, name string) {
	t.Helper()
	if s.have[name] {
		return
	}
	if harness.Missing(name + " (DKIM)") {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}

// say runs a program with text on its standard input and returns what it prints.
func say(t *testing.T, text string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", args[0], err, errs.String())
	}
	return out.String()
}
