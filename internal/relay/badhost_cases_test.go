package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"paperpath/internal/spool"
)

// badCase is a bad host, and what becomes of the three recipients of an entry: T taken,
// D deferred, B bounced.
type badCase struct {
	name   string
	how    manners
	host   *badHost
	want   string
	reason string // what a deferral or bounce must say
	rule   string // of control/tls-policy
}

// Where in a session, and what a client asks there.
var badPlaces = []struct{ at, usual, command string }{
	{"", "220 peer.example ESMTP\r\n", "greeting"},
	{"EHLO", "250 8BITMIME\r\n", "EHLO mx.example.net"},
	{"MAIL", "250 2.0.0 ok\r\n", "MAIL FROM:<alice@example.net>"},
	{"RCPT 1", "250 2.1.5 ok\r\n", "RCPT TO:<r1@"},
	{"RCPT 2", "250 2.1.5 ok\r\n", "RCPT TO:<r2@"},
	{"RCPT 3", "250 2.1.5 ok\r\n", "RCPT TO:<r3@"},
	{"DATA", "354 go on\r\n", "DATA"},
	{".", "250 2.0.0 taken as 4711\r\n", "(final dot|BDAT LAST)"},
	{"QUIT", "221 bye\r\n", "QUIT"},
}

// outcome is what a refusal of a class at a place means for the recipients.
func outcome(at string, class byte) string {
	letter := map[byte]string{'2': "T", '4': "D", '5': "B"}[class]
	switch {
	case at == "QUIT" || class == '2':
		return "TTT"
	case (at == "" || at == "EHLO") && class == '5':
		return "DDD" // it refuses us, not the message
	case strings.HasPrefix(at, "RCPT "):
		i := at[5] - '1'
		return "TTT"[:i] + letter + "TTT"[i+1:]
	}
	return strings.Repeat(letter, 3)
}

// end is what becomes of all if the session ends at a place.
func end(at string) string {
	if at == "QUIT" {
		return "TTT"
	}
	return "DDD"
}

// troubles are all that a host does at one place.
func troubles(at, usual, command string) (list []badCase) {
	cutOff := func(name, say string) {
		list = append(list, badCase{name: at + " " + name, how: manners{trouble: trouble{at, say, closes}, cut: true}, want: end(at),
			reason: command + ".*: it closed the connection"})
	}
	add := func(name, say, then, want, reason string) {
		list = append(list, badCase{name: at + " " + name, how: manners{trouble: trouble{at, say, then}}, want: want, reason: reason})
	}
	code := usual[:3]
	add("late", "", slow, "TTT", "")
	add("never", "", silent, end(at), command+".*: no answer in time")
	add("closes", "", closes, end(at), command+".*: it closed the connection")
	add("resets", "", resets, end(at), "")
	for _, class := range []byte{'4', '5'} {
		want := outcome(at, class)
		one := fmt.Sprintf("%c54 %c.3.0 no", class, class)
		add(one[:3], one+"\r\n", "", want, command+".*: "+one)
		many := fmt.Sprintf("%c54-%c.3.0 no\r\n%c54-\r\n%c54 %c.3.0 more\r\n", class, class, class, class, class)
		add(one[:3]+" in three lines", many, "", want, "no .*"+one[:3]+" ..3.0 more")
		add(one[:3]+" without a text", one[:3]+"\r\n", "", want, command+".*: "+one[:3])
		for cut := range one + "\r" {
			cutOff(fmt.Sprintf("%s cut at %d", one[:3], cut), (one + "\r\n")[:cut])
		}
	}
	add("421 and closes", "421 4.3.2 bye\r\n", closes, end(at), "421 4.3.2 bye")
	add("421 and stays", "421 4.3.2 bye\r\n", "", end(at), "421 4.3.2 bye")
	for cut := range len(usual) {
		cutOff(fmt.Sprintf("cut at %d", cut), usual[:cut])
	}
	add("in three lines", code+"-one\r\n"+code+"-\r\n"+code+" two\r\n", "", "TTT", "")
	add("100,000 lines", strings.Repeat(code+"-x\r\n", 100000)+code+" x\r\n", "", end(at), command+".*: its reply is longer than 65536 octets")
	add("an endless line", code+" "+strings.Repeat("x", 100000), silent, end(at), command+".*: a line of its reply is longer")
	add("ends in LF", strings.ReplaceAll(usual, "\r\n", "\n"), "", "TTT", "")
	add("garbage", "\x00\xff\x1b[2J\r\n", "", end(at), command+`.*: its answer is not SMTP: "\\x00\\xff\\x1b\[2J"`)
	add("a blank line", "\r\n"+usual, "", end(at), command+`.*: its answer is not SMTP: ""`)
	add("two codes", code+"-x\r\n251 y\r\n", "", end(at), command+".*: its answer is not SMTP")
	add("199", "199 x\r\n", "", end(at), command+".*: its answer is not SMTP")
	add("600", "600 x\r\n", "", end(at), command+".*: its answer is not SMTP")
	if at != "" && at != "QUIT" { // the greeting, and what follows QUIT, wait for nobody
		add("221", "221 bye\r\n", "", end(at), `an answer that this command cannot have: .?"221 bye`)
	}
	if at != "." && at != "QUIT" {
		add("two replies", usual+usual, "", "DDD", "")
	}
	if at != "." && at != "QUIT" && at != "RCPT 3" { // behind the last one it would be an answer to DATA
		add("a reply and a refusal", usual+"554 5.3.0 no\r\n", "", "DDD", "")
	}
	if at != "DATA" && at != "QUIT" {
		add("354", "354 go on\r\n", "", end(at), "")
	} else if at == "DATA" {
		add("250", "250 ok\r\n", "", "DDD", "DATA: an answer that this command cannot have")
	}
	return list
}

// badCases are all of it, pipelined and not, with DATA and with BDAT.
func badCases() (list []badCase) {
	for _, pipelining := range []bool{false, true} {
		for _, chunking := range []bool{false, true} {
			for _, place := range badPlaces {
				if place.at == "DATA" && chunking {
					continue
				}
				// The greeting comes before it is known what the host offers; QUIT comes
				// alone, when all is done.
				if (place.at == "" || place.at == "QUIT") && (pipelining || chunking) {
					continue
				}
				for _, c := range troubles(place.at, place.usual, place.command) {
					if pipelining != chunking && c.how.cut {
						continue // two of the four ways are enough
					}
					if pipelining && chunking && strings.Contains(c.name, " repl") && place.at != "" && place.at != "EHLO" {
						continue // whether the one too many is there in time is a matter of chance
					}
					c.how.pipelining, c.how.chunking = pipelining, chunking
					c.name = fmt.Sprintf("pipelining %v, chunking %v: %s", pipelining, chunking, c.name)
					list = append(list, c)
				}
			}
		}
	}
	return list
}

// badTLS is TLS that breaks at each step, for a host that may have the message in the
// clear, and for one that may not.
func badTLS(conf *tls.Config) (list []badCase) {
	var steps []manners
	refusals := map[int]string{} // of EHLO in TLS: the session is refused then, not TLS
	at := func(say, then string) { steps = append(steps, manners{trouble: trouble{"STARTTLS", say, then}}) }
	at("454 4.7.0 not now\r\n", "")
	at("554 5.7.0 no\r\n", "")
	at("502 what\r\n", "")
	at("421 4.7.0 bye\r\n", closes)
	at("354 go on\r\n", "")
	at("\xff\r\n", "")
	at("220 go ahead\r\nhello\r\n", "")
	at("220 go ahead\r\n", silent)
	at("", silent)
	at("", resets)
	for cut := range len("220 go ahead\r\n") + 1 {
		at("220 go ahead\r\n"[:cut], closes)
	}
	for cut := 1; cut < 700; cut += 29 {
		steps = append(steps, manners{cutTLS: cut, trouble: trouble{at: "nowhere"}})
	}
	for _, inside := range troubles("EHLO in TLS", "250 8BITMIME\r\n", "") {
		if inside.want == "TTT" {
			continue
		}
		if say := inside.how.say; say != "" && (say[0] == '4' || say[0] == '5') && strings.HasSuffix(say, "\n") {
			refusals[len(steps)] = inside.reason
		}
		if strings.Contains(inside.name, " repl") {
			refusals[len(steps)] = "it answers before it is asked"
		}
		steps = append(steps, inside.how)
	}
	for i, h := range steps {
		h.tls, h.pipelining = conf, true
		name := fmt.Sprintf("TLS %d: %s %q %s, cut at %d", i, h.at, h.say[:min(len(h.say), 30)], h.then, h.cutTLS)
		if reason := refusals[i]; reason != "" {
			list = append(list, badCase{name: name, how: h, want: "DDD", reason: reason},
				badCase{name: name + ", encrypt", how: h, want: "DDD", rule: "encrypt", reason: reason})
			continue
		}
		list = append(list, badCase{name: name, how: h, want: "TTT"})
		list = append(list, badCase{name: name + ", encrypt", how: h, want: "DDD", rule: "encrypt", reason: "the TLS rule is encrypt"})
	}
	return list
}

// inMemory keeps the files of a test in memory: thousands are synced, and no crash comes.
func inMemory(t *testing.T) {
	t.Helper()
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

// TestBadHosts: whatever a host does, at whatever place, exactly those recipients are done
// whose message it has accepted, those bounce that it has refused, and the others wait
// with the reason.
func TestBadHosts(t *testing.T) {
	inMemory(t)
	cases := append(badCases(), badTLS(serverTLS(t))...)
	var quick, patient []badCase
	for _, c := range cases {
		if c.how.then == silent {
			patient = append(patient, c)
		} else {
			quick = append(quick, c)
		}
	}
	t.Logf("%d cases, %d of them silent", len(cases), len(patient))
	t.Run("answers", func(t *testing.T) { playBad(t, quick, time.Minute) })
	t.Run("silent", func(t *testing.T) { playBad(t, patient, 2*time.Second) })
}

// playBad sends an entry to each host, all in one run, and looks at the spool then.
func playBad(t *testing.T, cases []badCase, limit time.Duration) {
	s := newStage(t)
	b := newBadHosts(t)
	s.queueBad(cases, func(i int, h *badHost) (address string) {
		b.hosts[fmt.Sprint(i+1)] = h
		return fmt.Sprintf("192.0.2.1:%d", i+1)
	})
	s.Dial = b.dial
	for _, d := range []*time.Duration{&s.Times.Greeting, &s.Times.Hello, &s.Times.Handshake, &s.Times.Mail, &s.Times.Rcpt, &s.Times.Data,
		&s.Times.Block, &s.Times.Answer, &s.Times.Connect} {
		*d = limit
	}
	s.Times.Quit = 100 * time.Millisecond
	r := &spool.Runner{Spool: s.spool, Inbox: spool.InboxRelay, Handle: s.Handle, Lane: s.Lane, Workers: func() int { return 200 }, Retry: s.Control.Retry}
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.checkBad(cases)
}

// queueBad queues an entry for each host, which is started by at.
func (s *stage) queueBad(cases []badCase, at func(i int, h *badHost) (address string)) {
	s.t.Helper()
	var routes, rules strings.Builder
	var accepting sync.WaitGroup
	for i := range cases {
		c := &cases[i]
		c.host = &badHost{manners: c.how, accepted: map[string]bool{}, refused: map[string]bool{}, taken: map[string]bool{}}
		domain := fmt.Sprintf("c%d.example", i)
		fmt.Fprintf(&routes, "%s: %s\n", domain, at(i, c.host))
		if c.rule != "" {
			fmt.Fprintf(&rules, "%s: %s\n", domain, c.rule)
		}
		accepting.Go(func() { s.accept("r1@"+domain, "r2@"+domain, "r3@"+domain) })
	}
	accepting.Wait()
	s.set("routes", strings.TrimSpace(routes.String()))
	if rules.Len() > 0 {
		s.set("tls-policy", strings.TrimSpace(rules.String()))
	}
	s.set("limits", "bounces: 1000000")
}

// checkBad looks at what a run has left of the cases.
func (s *stage) checkBad(cases []badCase) {
	s.t.Helper()
	left := s.left()
	for i := range cases {
		cases[i].check(s.t, i, left)
	}
}

// left is what a run has left in the spool, by domain.
type left struct {
	entries map[string]string // deferred
	reasons map[string]string
	bounces map[string]string
}

var domainOf = regexp.MustCompile(`c\d+\.example`)

func (s *stage) left() left {
	s.t.Helper()
	l := left{entries: map[string]string{}, reasons: map[string]string{}, bounces: map[string]string{}}
	byKey := map[string]string{} // domains
	read := func(dir string, each func(key, text string)) {
		list, err := filepath.Glob(filepath.Join(s.home, "spool", dir, "*"))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, path := range list {
			text, err := os.ReadFile(path)
			if err != nil {
				s.t.Fatal(err)
			}
			key, _, _ := strings.Cut(filepath.Base(path), ",")
			each(key, string(text))
		}
	}
	for _, dir := range []string{"relay/new", "relay/cur", "hold/new", "hold/cur"} {
		read(dir, func(key, text string) {
			domain := domainOf.FindString(text)
			byKey[key] = domain
			if l.entries[domain] += text; dir != "relay/cur" {
				s.t.Errorf("an entry in %s: %s", dir, text)
			}
		})
	}
	read("relay/reason", func(key, text string) { l.reasons[byKey[key]] += text })
	read("route/new", func(_, text string) { l.bounces[domainOf.FindString(text)] += text })
	return l
}

// check compares a case with what is left of it, and with what its host knows.
func (c *badCase) check(t *testing.T, i int, l left) {
	domain := fmt.Sprintf("c%d.example", i)
	h := c.host
	h.mu.Lock()
	defer h.mu.Unlock()
	got := ""
	for n := 1; n <= 3; n++ {
		address := fmt.Sprintf("r%d@%s", n, domain)
		state := "T"
		switch {
		case strings.Contains(l.bounces[domain], "Final-Recipient: rfc822; "+address+"\n"):
			state = "B"
		case strings.Contains(l.entries[domain], "\nDelivered-To: "+address+"\n"):
			state = "D"
		}
		got += state
		if state == "T" && !h.taken[address] || state == "B" && !h.refused[address] && h.at != "MAIL" {
			t.Errorf("%s: %s is %s, but accepted %v, taken %v, refused %v", c.name, address, state, h.accepted[address], h.taken[address], h.refused[address])
		}
	}
	text := strings.Join(strings.Fields(l.reasons[domain]+l.bounces[domain]), " ") // a bounce is folded
	reason := c.reason
	if _, words, ok := strings.Cut(reason, ".*: "); ok && !strings.Contains(got, "D") {
		reason = words // a bounce has what the host said, not what it was asked
	}
	if got != c.want {
		t.Errorf("%s: %s, want %s\n%s", c.name, got, c.want, text)
	} else if got != "TTT" && !regexp.MustCompile(reason).MatchString(text) {
		t.Errorf("%s: %s\nhas not %s", c.name, text, reason)
	}
	if strings.Contains(got, "D") != (l.reasons[domain] != "") {
		t.Errorf("%s: %s with the reason %q", c.name, got, l.reasons[domain])
	}
	if c.rule != "" && h.clear > 0 {
		t.Errorf("%s: it got %d messages in the clear", c.name, h.clear)
	}
}
