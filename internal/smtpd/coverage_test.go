package smtpd

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every verb is said in every state: testdata/state-STATE-VERB.dialogue.
func TestEveryVerbInEveryState(t *testing.T) {
	states := strings.Fields("greeting helo hello mail refused rcpt sent chunk tls lmtp lmtprcpt")
	verbs := strings.Fields("helo ehlo lhlo mail rcpt data bdat auth starttls xclient quit rset noop vrfy help expn turn what http")
	for _, state := range states {
		for _, verb := range verbs {
			if _, err := os.Stat("testdata/state-" + state + "-" + verb + ".dialogue"); err != nil {
				t.Error(err)
			}
		}
	}
	for _, cmd := range commands() {
		if !slices.Contains(verbs, strings.ToLower(cmd.verb)) {
			t.Errorf("no dialogues with %s", cmd.verb)
		}
	}
	// Those that are refused as another one is stand for all of their kind.
	kin := strings.Fields("TURN ETRN SEND SOML SAML GET POST HEAD PUT DELETE OPTIONS PATCH CONNECT TRACE LHLO EHLO HELO")
	text, err := os.ReadFile("command.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^\tcase ".*:$`).FindAllString(string(text), -1) {
		for _, m := range regexp.MustCompile(`"([A-Z]+)"`).FindAllStringSubmatch(line, -1) {
			if !slices.Contains(verbs, strings.ToLower(m[1])) && !slices.Contains(kin, m[1]) {
				t.Errorf("no dialogues with %s", m[1])
			}
		}
	}
}

// sources are the engine's files.
func sources(t *testing.T) (list []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}

// elsewhere are the replies that no dialogue can bring about, and the tests that
// do.
var elsewhere = map[string]string{
	"220 2.0.0": "TestStartTLS",
	"421 4.3.2": "TestShutdown",
	"421 4.4.2": "TestTimeouts",
	"451 4.3.5": "TestUnavailable",
	"554 5.7.1": "TestUnavailable",
	"421 4.3.0": "TestPanics",
}

// Every reply that stands in the code stands in a dialogue too.
func TestEveryReplyIsHeld(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil {
		t.Fatal(err)
	}
	var held strings.Builder
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		held.Write(text)
	}
	reply := regexp.MustCompile(`\b([2345]\d\d), "([245]\.\d+\.\d+)?"|(c\.end)\("(4\.\d+\.\d+)"`)
	for _, file := range sources(t) {
		for _, m := range reply.FindAllStringSubmatch(file, -1) {
			want := m[1] + " " + m[2]
			if m[3] != "" {
				want = "421 " + m[4]
			}
			line := regexp.MustCompile(`(?m)^S: ` + regexp.QuoteMeta(want[:3]) + `[ -]` + regexp.QuoteMeta(strings.TrimSpace(want[3:])))
			if found := line.MatchString(held.String()); found == (elsewhere[want] != "") {
				t.Errorf("a dialogue has the reply %s: %v", want, found)
			}
		}
	}
}

// The page about the dialogues names what is there.
func TestDefectsAreHeld(t *testing.T) {
	page, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	code := ""
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code += string(text)
	}
	rows := 0
	for _, row := range strings.Split(string(page), "\n") {
		cell := strings.Split(row, "|")
		if len(cell) != 4 || !regexp.MustCompile(`[a-z]`).MatchString(cell[2]) {
			continue
		}
		rows++
		for _, word := range strings.Fields(cell[2]) {
			name, dialogue := strings.CutPrefix(word, "`")
			if _, err := os.Stat("testdata/" + strings.Trim(name, "`") + ".dialogue"); dialogue && err != nil {
				t.Error(err)
			}
			if !dialogue && word != "held" && word != "by" && !strings.Contains(code, "func "+word+"(") {
				t.Errorf("no test %s", word)
			}
		}
	}
	if rows < 40 {
		t.Errorf("%d rows", rows)
	}
}

// mailsubmit(8) names every extension that the answer to EHLO can offer.
func TestPageNamesEveryExtension(t *testing.T) {
	page, err := os.ReadFile("../../man/mailsubmit.8")
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(&script{}, Config{TLS: new(tls.Config), Auth: true, AuthInClear: true, XClient: true}, nil)
	c.session = &fake{}
	clear := c.extensions()
	c.tls = new(tls.ConnectionState)
	for _, line := range append(clear, c.extensions()...) {
		name, _, _ := strings.Cut(line, " ")
		if !regexp.MustCompile(`\b` + name + `\b`).Match(page) {
			t.Errorf("mailsubmit(8) does not name %s", name)
		}
	}
}

// HELP names the commands that a session has, and no others.
func TestHelp(t *testing.T) {
	for want, cfg := range map[string]Config{
		"EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH":         {},
		"EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH XCLIENT": {XClient: true},
		"LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH":              {LMTP: true},
	} {
		conn := pieces("HELP\r\n", 0)
		Serve(t.Context(), conn, cfg, func(*Conn) Session { return &fake{} })
		if out := conn.out.String(); !strings.HasSuffix(out, "214-2.0.0 "+want+"\r\n214 2.0.0 see RFC 5321\r\n") {
			t.Errorf("%q", out)
		}
	}
}
