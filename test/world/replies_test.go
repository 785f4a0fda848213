package world

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// receivers are the servers with the settings that make them count.
var receivers = []struct {
	domain     string
	run        func(w *world, more string) *server
	fewRcpt    string // at most five recipients a message, further ones later
	fewMails   string // at most three messages a session
	deferLater bool   // the local part later gets a 4xx
}{
	{"postfix.example", (*world).postfix, "smtpd_recipient_limit = 5\n", "", true},
	{"exim.example", (*world).exim, "recipients_max = 5\n", "smtp_accept_max_per_connection = 3\n", true},
	{"opensmtpd.example", (*world).opensmtpd, "smtp limit max-rcpt 5\n", "smtp limit max-mails 3\n", false},
}

// drain runs mailrelay until nothing is left for it, at times that are further and
// further off, and returns how often that was.
func (w *world) drain(most int) int {
	w.t.Helper()
	for round := range most {
		if len(w.home.Glob("spool/relay/*/*,S=*")) == 0 {
			return round
		}
		now := time.Now().Add(time.Duration(round) * 3 * time.Hour).UTC().Format(time.RFC3339)
		if _, err := programs.Must(w.home.Dir, nil, "mailrelay", "run", "--now", now); err != nil {
			w.t.Fatal(err, w.home.Describe())
		}
	}
	if n := len(w.home.Glob("spool/relay/*/*,S=*")); n > 0 {
		w.t.Fatalf("%d entries are still there after %d runs\n%s", n, most, w.home.Describe())
	}
	return most
}

// queue queues n messages and returns their names.
func (w *world) queue(n int, to ...string) {
	w.t.Helper()
	for i := range n {
		w.submit(harness.Letter(fmt.Sprintf("number %d", i), fmt.Sprintf("Subject: %d\n\nhello %d\n", i, i)), to...)
	}
	w.run("mailcheck", "mailroute")
}

// A recipient that is refused among others bounces, one that is deferred waits, and all
// others get the message once, however many messages a session has; so it is where all
// are refused.
func TestRefusedAmongOthers(t *testing.T) {
	const messages = 12
	for _, r := range receivers {
		t.Run(r.domain, func(t *testing.T) {
			w := newWorld(t)
			r.run(w, "")
			to := []string{"a@" + r.domain, "refused@" + r.domain, "b@" + r.domain}
			if r.deferLater {
				to = append(to, "later@"+r.domain)
			}
			w.queue(messages, to...)
			w.queue(messages, "refused@"+r.domain)
			w.run("mailrelay")
			w.reached(2 * messages)
			if n := len(w.home.Events("event=relayed")); n != 2*messages {
				t.Errorf("%d recipients were relayed, not %d", n, 2*messages)
			}
			if n := len(w.home.Events("event=failed", "to=refused@")); n != 2*messages {
				t.Errorf("%d recipients failed, not %d", n, 2*messages)
			}
			waiting := 0
			if r.deferLater {
				waiting = messages
			}
			if n := len(w.home.Events("event=deferred")); n != waiting {
				t.Errorf("%d entries were deferred, not %d", n, waiting)
			}
			w.bounced(2 * messages)
			if t.Failed() {
				t.Log(w.home.Describe())
			}
		})
	}
}

// A message for more recipients than a host takes at a time reaches all of them at once.
func TestTooManyRecipients(t *testing.T) {
	for _, r := range receivers {
		t.Run(r.domain, func(t *testing.T) {
			w := newWorld(t)
			r.run(w, r.fewRcpt)
			var to []string
			for i := range 12 {
				to = append(to, fmt.Sprintf("user%d@%s", i, r.domain))
			}
			w.queue(3, to...)
			w.run("mailrelay")
			w.relayedTo(3 * len(to))
		})
	}
}

// relayedTo asserts that all messages reached so many recipients together, and that
// nothing is left or failed.
func (w *world) relayedTo(n int) {
	w.t.Helper()
	w.reached(n)
	if failed := w.home.Events("event=failed"); len(failed) > 0 {
		w.t.Errorf("failed: %q", failed)
	}
	if left := w.home.Queued(); len(left) > 0 {
		w.t.Errorf("left: %q", left)
	}
	if w.t.Failed() {
		w.t.Log(w.home.Describe())
	}
}

// A host that ends a session after some messages gets the rest over others, without a
// message lost or doubled; long sessions are no trouble for one that counts commands.
func TestManyMessages(t *testing.T) {
	const messages = 200
	for _, r := range receivers {
		t.Run(r.domain, func(t *testing.T) {
			w := newWorld(t)
			r.run(w, r.fewMails)
			w.queue(messages, "user@"+r.domain)
			began := time.Now()
			rounds := w.drain(6)
			w.relayedTo(messages)
			harness.Report("measured: %d messages to %s, %d runs: %.1f s", messages, r.domain, rounds,
				time.Since(began).Seconds())
		})
	}
}

// A server that is stopped in the middle of its work: every message arrives, and none
// twice, except where the connection was lost before the reply to the end of a message.
func TestServerStops(t *testing.T) {
	const messages = 300
	for _, r := range receivers {
		t.Run(r.domain, func(t *testing.T) {
			w := newWorld(t)
			s := r.run(w, "")
			w.queue(messages, "user@"+r.domain)
			w.stopIn(s, 20)
			if relayed := len(w.home.Events("event=relayed")); relayed == messages {
				t.Fatal("all messages were through before the server stopped")
			}
			s.again(w)
			w.drain(6)
			w.arrivedAtLeastOnce(messages)
		})
	}
}

// stopIn stops a server in the middle of a run of mailrelay, when it has taken some
// messages: mailrelay is halted until all processes of the server have ended, so that it
// cannot be through by then. What it has sent, and the replies to that, are on their way.
func (w *world) stopIn(s *server, some int) {
	w.t.Helper()
	cmd := exec.Command(programs.Path("mailrelay"), "run")
	cmd.Env = programs.Env(w.home.Dir)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	err := harness.Wait("the first messages", time.Minute, func() bool {
		return len(w.home.Events("event=relayed")) > some
	})
	if err != nil {
		w.t.Error(err, s.describe())
	}
	cmd.Process.Signal(syscall.SIGSTOP)
	s.stop()
	cmd.Process.Signal(syscall.SIGCONT)
	if err := cmd.Wait(); err != nil {
		w.t.Fatal(err, w.home.Describe())
	}
}

// arrivedAtLeastOnce waits for all messages, and counts those that came twice: one for
// each session that was lost between the end of a message and its reply.
func (w *world) arrivedAtLeastOnce(messages int) {
	w.t.Helper()
	seen, taken := map[string]int{}, map[string]bool{}
	err := harness.Wait("all messages", time.Minute, func() bool {
		clear(seen)
		clear(taken)
		for _, m := range w.sink.Received() {
			if !taken[string(m.Data)] { // else the server has doubled it, as its trace field shows
				seen[harness.ShapeOf(m.Data)]++
			}
			taken[string(m.Data)] = true
		}
		return len(seen) >= messages
	})
	if err != nil {
		w.t.Errorf("%v: %d of %d\n%s", err, len(seen), messages, w.home.Describe())
	}
	twice, most := 0, 0
	for _, n := range seen {
		twice += n - 1
	}
	for _, line := range w.home.Events("event=deferred") {
		if strings.Contains(line, "final dot") || strings.Contains(line, "BDAT LAST") {
			most++
		}
	}
	if twice > most || len(w.home.Events("event=failed")) > 0 {
		w.t.Errorf("%d messages came twice, %d sessions were lost at the end of one\n%s",
			twice, most, w.home.Describe())
	}
}

// A message that a server finds too large while it comes, in the first chunk or in a
// later one, bounces; what follows in the session arrives.
func TestRefusedChunk(t *testing.T) {
	const small = 20
	w := newWorld(t)
	w.postfix("smtpd_discard_ehlo_keywords = size\nmessage_size_limit = 5000000\n")
	for i, octets := range []int{6_000_000, 20_000_000} { // chunks have at most 4 MiB
		line := strings.Repeat("x", 79) + "\n"
		large := harness.Letter(fmt.Sprintf("large %d", i), "\n"+strings.Repeat(line, octets/80))
		w.submit(large, "user@postfix.example")
	}
	w.queue(small, "user@postfix.example")
	w.run("mailrelay")
	w.reached(small)
	if n := len(w.home.Events("event=failed", "status=5.3.4", "552 5.3.4")); n != 2 {
		t.Errorf("%d messages failed with the server's words, not 2\n%s", n, w.home.Describe())
	}
	w.bounced(2)
}

// A server that takes so many messages a minute from a client gets the rest later.
func TestRateLimit(t *testing.T) {
	const messages, allowed = 12, 5
	w := newWorld(t)
	w.postfix(fmt.Sprintf("smtpd_client_event_limit_exceptions =\nsmtpd_client_message_rate_limit = %d\n",
		allowed))
	w.queue(messages, "user@postfix.example")
	w.run("mailrelay")
	w.reached(allowed)
	if n := len(w.home.Glob("spool/relay/cur/*")); n != messages-allowed {
		t.Errorf("%d entries are deferred, not %d\n%s", n, messages-allowed, w.home.Describe())
	}
	if failed := w.home.Events("event=failed"); len(failed) > 0 {
		t.Errorf("failed: %q", failed)
	}
}
