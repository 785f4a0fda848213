package clients

import (
	"strings"
	"testing"

	"paperpath/test/harness"
)

// swaks' exit statuses (swaks(1)).
const (
	swaksTaken    = 0
	swaksClosed   = 6
	swaksHelo     = 22
	swaksMail     = 23
	swaksRcpt     = 24
	swaksMessage  = 26
	swaksAuth     = 28
	swaksTLS      = 29
	swaksXClient  = 33
	swaksNoOption = 0 // for cases in which it stops itself
)

// swaksCase is one run of swaks: the role that it talks to, its exit status,
// and by which protocol (RFC 3848) the message came where it was taken.
type swaksCase struct {
	name, role string
	args       string // separated by blanks
	status     int
	with       string
}

const (
	asBob    = " --auth-user bob@example.net --auth-password CORRECT"
	asNobody = " --auth-user nobody@example.net --auth-password CORRECT"
	wrong    = " --auth-user bob@example.net --auth-password wrong"
)

var swaksCases = []swaksCase{
	{"plain", "mx", "", swaksTaken, "ESMTP"},
	{"helo", "mx", "--protocol SMTP", swaksTaken, "SMTP"},
	{"null reverse path", "mx", "--from <> --h-From bob@example.org", swaksTaken, "ESMTP"},
	{"null reverse path, From: nothing", "mx", "--from <>", swaksMessage, ""},
	{"pipelined", "mx", "--pipeline", swaksTaken, "ESMTP"},
	{"tls", "mx", "--tls", swaksTaken, "ESMTPS"},
	{"tls if there", "mx", "--tls-optional-strict", swaksTaken, "ESMTPS"},
	{"tls and pipelined", "mx", "--tls --pipeline", swaksTaken, "ESMTPS"},
	{"tls 1.2", "mx", "--tls --tls-protocol tlsv1_2", swaksTaken, "ESMTPS"},
	{"tls 1.3", "mx", "--tls --tls-protocol tlsv1_3", swaksTaken, "ESMTPS"},
	{"tls 1.1", "mx", "--tls --tls-protocol tlsv1_1", swaksTLS, ""},
	{"tls 1.0", "mx", "--tls --tls-protocol tlsv1", swaksTLS, ""},
	{"sni of another", "mx", "--tls --tls-sni unknown.example", swaksTaken, "ESMTPS"},
	{"certificate not trusted", "mx", "--tls --tls-verify", swaksTLS, ""},
	{"tls where none is", "mx", "--tls-on-connect", swaksTLS, ""},
	{"login at mx", "mx", "--auth PLAIN" + asBob, swaksAuth, ""},
	{"login at mx where there", "mx", "--auth-optional PLAIN" + asBob, swaksTaken, "ESMTP"},
	{"unknown user", "mx", "--to nobody@example.net", swaksRcpt, ""},
	{"relaying", "mx", "--to far@elsewhere.example", swaksRcpt, ""},
	{"relaying by a route", "mx", "--to @mx.example.net:far@elsewhere.example", swaksRcpt, ""},
	{"relaying by percent", "mx", "--to far%elsewhere.example@example.net", swaksRcpt, ""},
	{"relaying by quotes", "mx", `--to "far@elsewhere.example"@example.net`, swaksRcpt, ""},
	{"one of two", "mx", "--to alice@example.net,nobody@example.net", swaksTaken, "ESMTP"},
	{"bad sender", "mx", "--from no-angle>@example.org", swaksMail, ""},
	{"odd helo", "mx", "--helo odd_\x01name", swaksTaken, "ESMTP"}, // in Received it is "unknown"
	{"quit early", "mx", "--quit-after RCPT", swaksNoOption, ""},
	{"dropped before the dot", "mx", "--drop-after-send DATA", swaksNoOption, ""},
	{"PLAIN", "submission", "--auth PLAIN" + asBob, swaksTaken, "ESMTPA"},
	{"LOGIN", "submission", "--auth LOGIN" + asBob, swaksTaken, "ESMTPA"},
	{"any", "submission", "--auth" + asBob, swaksTaken, "ESMTPA"},
	{"PLAIN by tls", "submission", "--tls --auth PLAIN" + asBob, swaksTaken, "ESMTPSA"},
	{"LOGIN by tls, pipelined", "submission", "--tls --pipeline --auth LOGIN" + asBob, swaksTaken, "ESMTPSA"},
	{"protocol ESMTPSA", "submission", "--protocol ESMTPSA" + asBob, swaksTaken, "ESMTPSA"},
	{"protocol ESMTPA", "submission", "--protocol ESMTPA" + asBob, swaksTaken, "ESMTPA"},
	{"PLAIN, implicit tls", "submissions", "--tls-on-connect --auth PLAIN" + asBob, swaksTaken, "ESMTPSA"},
	{"protocol SSMTPA", "submissions", "--protocol SSMTPA" + asBob, swaksTaken, "ESMTPSA"},
	{"CRAM-MD5 is not there", "submission", "--auth CRAM-MD5" + asBob, swaksAuth, ""},
	{"wrong password by PLAIN", "submission", "--auth PLAIN" + wrong, swaksAuth, ""},
	{"wrong password by LOGIN", "submission", "--auth LOGIN" + wrong, swaksAuth, ""},
	{"user of nobody", "submission", "--auth PLAIN" + asNobody, swaksAuth, ""},
	{"no login", "submission", "", swaksMail, ""},
	{"sender of another", "submission", "--auth PLAIN --from alice@example.net" + asBob, swaksMail, ""},
	{"LMTP", "lmtp", "--protocol LMTP", swaksTaken, "LMTP"},
	{"LMTP by tls", "lmtp", "--protocol LMTP --tls --pipeline", swaksTaken, "LMTPS"},
	{"LMTP, unknown user", "lmtp", "--protocol LMTP --to nobody@example.net", swaksRcpt, ""},
	{"EHLO to LMTP", "lmtp", "--protocol ESMTP", swaksHelo, ""},
	{"LHLO to SMTP", "mx", "--protocol LMTP", swaksHelo, ""},
	{"XCLIENT from a stranger", "mx", "--xclient-addr 192.0.2.7", swaksXClient, ""},
	{"From of another", "submission", "--auth PLAIN --h-From alice@example.net" + asBob, swaksMessage, ""},
}

func TestSwaks(t *testing.T) {
	s := newSite(t, "swaks")
	if err := s.AddLMTP(); err != nil {
		t.Fatal(err)
	}
	s.start()
	n := 0
	for _, c := range swaksCases {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.swaks(c)
			if c.with != "" {
				n++
				got := s.arrived("alice", n)
				s.holds(got, "X-Case: "+c.name, "\n with "+c.with+" id ")
			}
		})
	}
	s.t = t
	s.arrived("alice", n)
}

// swaks runs one case and asserts its exit status.
func (s *site) swaks(c swaksCase) {
	s.t.Helper()
	from := bob
	if c.role == "mx" || c.role == "lmtp" {
		from = "carol@example.org"
	}
	args := []string{"swaks", "--server", s.Addr[c.role], "--from", from, "--to", alice, "--add-header", "X-Case: " + c.name}
	for _, word := range strings.Fields(c.args) {
		args = append(args, strings.ReplaceAll(word, "CORRECT", harness.Password))
	}
	r, err := programs.Run(s.Home.Dir, nil, "/usr/bin/env", args...)
	if err != nil || r.Status != c.status {
		s.t.Errorf("exit status %d, want %d (%v)\n%s%s", r.Status, c.status, err, r.Stdout, r.Stderr)
	}
}

// By the PROXY protocol the client is another, and counts as that.
func TestSwaksProxy(t *testing.T) {
	s := newSite(t, "swaks")
	if err := s.Set("proxyfrom", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("concurrency", "client: 1"); err != nil {
		t.Fatal(err)
	}
	s.start()
	const v1 = "--proxy-family TCP4 --proxy-source 192.0.2.9 --proxy-source-port 4321 --proxy-dest 192.0.2.1 --proxy-dest-port 25"
	for n, c := range []swaksCase{
		{"version 1", "mx", v1, swaksTaken, "ESMTP"},
		{"version 1, IPv6", "mx", strings.NewReplacer("TCP4", "TCP6", "192.0.2.", "2001:db8::").Replace(v1), swaksTaken, "ESMTP"},
		{"version 2", "mx", strings.Replace(v1, "TCP4", "AF_INET", 1) + " --proxy-version 2", swaksTaken, "ESMTP"},
	} {
		s.swaks(c)
		client := "[192.0.2.9]"
		if strings.Contains(c.args, "TCP6") {
			client = "[IPv6:2001:db8::9]"
		}
		s.holds(s.arrived("alice", n+1), "X-Case: "+c.name, client)
	}
	s.swaks(swaksCase{name: "a wrong header", role: "mx", args: "--proxy WRONG", status: swaksClosed})
	if len(s.Events("event=accepted", "client=192.0.2.9")) != 2 {
		t.Error(s.Describe())
	}
}

// By XCLIENT a listed host says for whom it speaks.
func TestSwaksXClient(t *testing.T) {
	s := newSite(t, "swaks")
	if err := s.Set("xclientfrom", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.swaks(swaksCase{name: "told", role: "mx", status: swaksTaken,
		args: "--xclient-addr 192.0.2.7 --xclient-name mail.example.org --xclient-helo told.example.org"})
	s.holds(s.arrived("alice", 1), "X-Case: told", " (mail.example.org [192.0.2.7])")
	s.swaks(swaksCase{name: "by tls", role: "mx", status: swaksTaken,
		args: "--tls --pipeline --xclient-addr IPV6:2001:db8::7 --xclient-before-starttls"})
	s.holds(s.arrived("alice", 2), "X-Case: by tls", "[IPv6:2001:db8::7]", "with ESMTPS id")
	s.swaks(swaksCase{name: "a wrong address", role: "mx", status: swaksXClient, args: "--xclient-addr 1.2.3.4.5"})
}
