package route

import (
	"bytes"
	std "cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/maillog"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
)

// path is a home with a spool, the route stage and a clock that a test sets.
type path struct {
	t     *testing.T
	home  string
	sp    *spool.Spool
	stage *Stage
	log   bytes.Buffer
	time  time.Time
	text  string // of the messages
}

func newPath(t *testing.T, aliases string) *path {
	t.Helper()
	dir, c := home(t, map[string]string{"hostname": "mx.example.net\n", "domains": domains, "users": users, "aliases": aliases})
	p := &path{t: t, home: dir, time: time.Now()}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := spool.Init(dir); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return p.time }
	log := maillog.To(&p.log, "test", now)
	sp, err := spool.Open(dir, spool.Options{Now: now, Hostname: "mx.example.net", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	settler := &settle.Settler{Control: c, Log: log, Now: now, Home: dir}
	p.sp, p.stage = sp, &Stage{Control: c, Settle: settler.Settle, Now: now, Log: log}
	return p
}

// accept puts a message into route/. A recipient may have parameters after a blank.
func (p *path) accept(from, with string, to ...string) spool.Key {
	p.t.Helper()
	env := spool.Envelope{From: spool.Path{Addr: from}}
	for _, word := range to {
		a, params, _ := strings.Cut(word, " ")
		env.To = append(env.To, spool.Recipient{Addr: a, Params: params})
	}
	k, err := p.sp.Accept(spool.InboxRoute, env, nil, spool.Trace{By: "mx.example.net", With: with},
		spool.BytesBody([]byte(std.Or(p.text, "From: "+from+"\nSubject: x\n\nhello\n"))))
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func (p *path) runner(in spool.Inbox, h spool.Handler) *spool.Runner {
	return &spool.Runner{Spool: p.sp, Inbox: in, Handle: h, Retry: p.stage.Control.Retry}
}

func (p *path) run() {
	p.t.Helper()
	if err := p.runner(spool.InboxRoute, p.stage.Handle).Run(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}

// heads returns what each entry has above its Received, as one line, with the directory
// that it is in. Done recipients are in brackets.
func (p *path) heads() []string {
	p.t.Helper()
	list := []string{}
	for _, in := range spool.Inboxes() {
		entries, err := p.sp.List(in)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, l := range entries {
			if l.State == "foreign" || l.State == "torn" {
				p.t.Errorf("%s/%s: %s", in, l.Name, l.LastReason)
			}
			line := string(in) + " " + l.State + " <" + l.Envelope.From.Addr + ">"
			for _, r := range l.Envelope.To {
				word := strings.TrimSpace(r.Addr + " " + r.Params)
				if r.Done {
					word = "[" + word + "]"
				}
				line += " " + word
			}
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

func (p *path) want(want ...string) {
	p.t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(append([]string{}, want...), p.heads()); diff != "" {
		p.t.Errorf("spool (-want +got):\n%s\n%s", diff, p.log.String())
	}
	for _, in := range spool.Inboxes() {
		if left, _ := os.ReadDir(filepath.Join(p.home, "spool", string(in), "tmp")); len(left) > 0 {
			p.t.Errorf("left in %s/tmp: %v", in, left)
		}
	}
}

const sender = "alice@example.net"

// deep are aliases that are nested too deeply.
var deep = func() string {
	text := "a: d0\n"
	for n := range maxDepth + 1 {
		text += fmt.Sprintf("d%d: d%d\n", n, n+1)
	}
	return text
}()

func TestStage(t *testing.T) {
	tests := []struct {
		about, aliases string
		to, want       []string
	}{
		{"one mailbox", "", []string{"bob@example.net"}, []string{"deliver new <alice@example.net> bob@example.net"}},
		{"the bytes of an address stay", "", []string{"BOB+x@Example.net"}, []string{"deliver new <alice@example.net> BOB+x@Example.net"}},
		{"other hosts only", "", []string{"a@x.example", "b@y.example"}, []string{"relay new <alice@example.net> a@x.example b@y.example"}},
		{"split", "", []string{"bob@example.net", "a@x.example", "carol@example.net", "b@y.example"}, []string{
			"deliver new <alice@example.net> bob@example.net", "deliver new <alice@example.net> carol@example.net",
			"relay new <alice@example.net> a@x.example b@y.example"}},
		{"two mailboxes", "", []string{"bob@example.net", "alice@example.net"}, []string{
			"deliver new <alice@example.net> alice@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"alias of one", "info: bob", []string{"info@example.net"}, []string{"deliver new <alice@example.net> bob@example.net"}},
		{"alias to other hosts", "all: a@x.example, b@y.example", []string{"all@example.net", "B@y.example"},
			[]string{"relay new <alice@example.net> a@x.example b@y.example"}},
		{"duplicates", "team: bob, carol", []string{"team@example.net", "BOB@example.net"}, []string{
			"deliver new <alice@example.net> bob@example.net", "deliver new <alice@example.net> carol@example.net"}},
		{"extensions of one mailbox", "", []string{"bob+a@example.net", "bob+b@example.net", "BOB@example.net", "alice+a@example.net"}, []string{
			"deliver new <alice@example.net> bob+a@example.net", "deliver new <alice@example.net> alice+a@example.net"}},
		{"an extension with a row of its own", "", []string{"carol@example.net", "carol+x@example.net", "carol+y@example.net"}, []string{
			"deliver new <alice@example.net> carol@example.net", "deliver new <alice@example.net> carol+x@example.net"}},
		{"extensions, no report wanted", "", []string{"bob+a@example.net NOTIFY=NEVER", "bob+b@example.net NOTIFY=NEVER", "bob+c@example.net"}, []string{
			"deliver new <alice@example.net> bob+a@example.net NOTIFY=NEVER", "deliver new <alice@example.net> bob+c@example.net"}},
		{"extensions, a report about each", "", []string{"bob+a@example.net NOTIFY=SUCCESS", "bob+b@example.net NOTIFY=SUCCESS"}, []string{
			"deliver new <alice@example.net> bob+a@example.net NOTIFY=SUCCESS", "deliver new <alice@example.net> bob+b@example.net NOTIFY=SUCCESS"}},
		{"one address, two wishes", "", []string{"bob@example.net NOTIFY=NEVER", "bob@example.net NOTIFY=FAILURE", "bob@example.net NOTIFY=NEVER"}, []string{
			"deliver new <alice@example.net> bob@example.net NOTIFY=NEVER", "deliver new <alice@example.net> bob@example.net NOTIFY=FAILURE"}},
		{"duplicates become one mailbox", "", []string{"bob@example.net", "Bob@example.net"},
			[]string{"deliver new <alice@example.net> bob@example.net"}},
		{"parameters go along", "info: bob, a@x.example", []string{"info@example.net NOTIFY=NEVER", "carol@example.net NOTIFY=FAILURE"}, []string{
			"deliver new <alice@example.net> bob@example.net NOTIFY=NEVER ORCPT=rfc822;info@example.net RCPT=info@example.net",
			"deliver new <alice@example.net> carol@example.net NOTIFY=FAILURE",
			"relay new <alice@example.net> a@x.example NOTIFY=NEVER ORCPT=rfc822;info@example.net RCPT=info@example.net"}},
		{"ORCPT stays", "info: bob", []string{"info+x=1@example.net NOTIFY=FAILURE ORCPT=rfc822;old@x.example"},
			[]string{"deliver new <alice@example.net> bob@example.net NOTIFY=FAILURE ORCPT=rfc822;old@x.example RCPT=info+2Bx+3D1@example.net"}},
		{"ORCPT is xtext", "info: bob", []string{"info+x=1@example.net NOTIFY=FAILURE"},
			[]string{"deliver new <alice@example.net> bob@example.net NOTIFY=FAILURE ORCPT=rfc822;info+2Bx+3D1@example.net RCPT=info+2Bx+3D1@example.net"}},
		{"the first recipient stays", "info: bob", []string{"info@example.net ORCPT=rfc822;old@x.example RCPT=first@example.net"},
			[]string{"deliver new <alice@example.net> bob@example.net ORCPT=rfc822;old@x.example RCPT=first@example.net"}},
		{"postmaster without a domain", "", []string{"postmaster"}, []string{"deliver new <alice@example.net> alice@example.net"}},
		{"unknown", "", []string{"nobody@example.net"}, []string{"deliver new <> alice@example.net"}},
		{"unknown beside others", "", []string{"bob@example.net", "nobody@example.net", "a@x.example"}, []string{
			"deliver new <> alice@example.net", "deliver new <alice@example.net> bob@example.net",
			"relay new <alice@example.net> a@x.example"}},
		{"unknown, no report wanted", "", []string{"nobody@example.net NOTIFY=NEVER"}, []string{}},
		{"a dead name in an alias", "team: bob, nobody", []string{"team@example.net"}, []string{
			"deliver new <alice@example.net> nobody@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"tables that are too deep wait", deep, []string{"a@example.net", "bob@example.net"}, []string{
			"deliver new <alice@example.net> bob@example.net",
			"route deferred <alice@example.net> a@example.net [bob@example.net]"}},

		{"an alias that leads to itself", "a: a, bob", []string{"a@example.net"}, []string{
			"deliver new <alice@example.net> a@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"between others", "a: bob, a, alice", []string{"a@example.net"}, []string{
			"deliver new <alice@example.net> a@example.net", "deliver new <alice@example.net> bob@example.net",
			"deliver new <alice@example.net> alice@example.net"}},
		{"in full", "a@example.net: a@example.net, bob@example.net", []string{"a@example.net"}, []string{
			"deliver new <alice@example.net> a@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"with an extension", "a: a+x, bob", []string{"a@example.net"}, []string{
			"deliver new <alice@example.net> a+x@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"and to another host", "a: a, x@x.example", []string{"a@example.net"}, []string{
			"deliver new <alice@example.net> a@example.net", "relay new <alice@example.net> x@x.example"}},
		{"by way of another", "a: b\nb: a, bob", []string{"a@example.net", "b@example.net"}, []string{
			"deliver new <alice@example.net> a@example.net", "deliver new <alice@example.net> b@example.net",
			"deliver new <alice@example.net> bob@example.net"}},
		{"and nowhere else", "a: b\nb: a", []string{"a@example.net"}, []string{"deliver new <> alice@example.net"}},
		{"mail for root", "", []string{"root@example.net"}, []string{"deliver new <alice@example.net> alice@example.net"}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			p := newPath(t, tt.aliases+"\n")
			p.accept(sender, spool.WithLocal, tt.to...)
			p.run()
			p.want(tt.want...)
		})
	}
}

// Recipients that could not be looked up wait; the others have gone on and are not sent
// again.
func TestTheTablesMend(t *testing.T) {
	p := newPath(t, deep)
	p.accept(sender, spool.WithLocal, "a@example.net", "bob@example.net", "x@x.example")
	p.run()
	waits := "route deferred <alice@example.net> a@example.net [bob@example.net] [x@x.example]"
	p.want(waits, "deliver new <alice@example.net> bob@example.net", "relay new <alice@example.net> x@x.example")
	// Both have left their inboxes before the next attempt.
	p.empty(spool.InboxDeliver)
	p.empty(spool.InboxRelay)
	p.time = p.time.Add(time.Hour)
	p.run()
	p.want(waits)
	write(t, p.home, "aliases", "a: carol@example.net\n")
	p.time = p.time.Add(24 * time.Hour)
	p.run()
	p.want("deliver new <alice@example.net> carol@example.net")
}

func (p *path) empty(in spool.Inbox) {
	p.t.Helper()
	err := p.runner(in, func(context.Context, *spool.Entry) spool.Outcome { return spool.DropBecause("test") }).Run(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
}

// The SMTP session found the address; for a day we believe it.
func TestAcceptedAtRCPTIsTemporaryForADay(t *testing.T) {
	p := newPath(t, "")
	p.accept(sender, "ESMTPSA", "nobody@example.net")
	p.run()
	p.want("route deferred <alice@example.net> nobody@example.net")
	p.time = p.time.Add(23 * time.Hour)
	p.run()
	warning, bounce := "deliver new <> alice@example.net", "deliver new <> alice@example.net"
	p.want(warning, "route deferred <alice@example.net> nobody@example.net")
	p.time = p.time.Add(5 * time.Hour) // the longest step is 4 hours
	p.run()
	p.want(warning, bounce)
}

func TestAStrangerGetsNoBounce(t *testing.T) {
	p := newPath(t, "")
	p.accept("x@x.example", "ESMTP", "nobody@example.net", "bob@example.net")
	p.time = p.time.Add(25 * time.Hour)
	p.run()
	p.want("deliver new <x@x.example> bob@example.net", "hold held <x@x.example> nobody@example.net [bob@example.net]")
}

// Settings that cannot be read are our own fault.
func TestBrokenSettingsWait(t *testing.T) {
	for _, file := range []string{"users", "domains", "aliases", "retry"} {
		p := newPath(t, "")
		write(t, p.home, file, "a b c\x01\n")
		p.accept(sender, spool.WithLocal, "nobody@example.net")
		p.run()
		p.want("route deferred <alice@example.net> nobody@example.net")
	}
}

// A recipient that has a child must not be sent twice, whatever becomes of the others.
func TestPlacedIsDoneWhateverSettleSays(t *testing.T) {
	p := newPath(t, "")
	p.stage.Settle = func(*spool.Entry, []settle.Result) spool.Outcome {
		return spool.DeferUntil(p.time.Add(time.Hour), "trouble")
	}
	p.accept(sender, spool.WithLocal, "nobody@example.net", "bob@example.net")
	p.run()
	p.want("deliver new <alice@example.net> bob@example.net", "route deferred <alice@example.net> nobody@example.net [bob@example.net]")
}

func TestARecipientThatIsNoAddress(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users})
	e := &spool.Entry{Envelope: spool.Envelope{To: []spool.Recipient{{Addr: "a b@example.net"}}}}
	d := Decide(c, e, time.Now(), nil)
	if len(d.Failed) != 1 || !strings.Contains(d.Failed[0].Err.Error(), "not a valid address") {
		t.Errorf("%+v", d)
	}
}

// handle lets another handler look at what is in route/.
func (p *path) handle(h spool.Handler) {
	p.t.Helper()
	if err := p.runner(spool.InboxRoute, h).Run(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}

// A name that a message has passed is not expanded again, no matter who hands the
// message in. Its mailbox may get the message again, unless a mail system brings it
// back.
func TestPassed(t *testing.T) {
	const (
		aliases  = "bob: bob, far@x.example\na: a2\na2: far@x.example, alice\nteam: bob, alice\n"
		received = "Received: from a by b; now\n"
	)
	tests := []struct {
		about, with, trail string
		to, want           []string
	}{
		{"a peer's", "ESMTP", "Delivered-To: bob@example.net\n", []string{"bob@example.net", "alice@example.net"},
			[]string{"deliver new <f@y.example> alice@example.net", "hold held <f@y.example> bob@example.net [alice@example.net]"}},
		{"a peer's, with an extension", "ESMTP", "DELIVERED-to: <BOB@example.net> NOTIFY=NEVER\n", []string{"bob+x@example.net"},
			[]string{"hold held <f@y.example> bob+x@example.net"}},
		{"a peer's, reached with another extension", "ESMTP", "Delivered-To: bob+y@example.net\n", []string{"bob@example.net"},
			[]string{"deliver new <f@y.example> bob@example.net"}},
		{"a peer's, in an alias", "ESMTP", "Delivered-To: bob@example.net\n", []string{"team@example.net"},
			[]string{"deliver new <f@y.example> alice@example.net", "deliver new <f@y.example> bob@example.net"}},
		{"sent again from a mailbox", "ESMTPA", "Delivered-To: bob@example.net\n" + received, []string{"bob@example.net"},
			[]string{"deliver new <f@y.example> bob@example.net"}},
		{"brought back by a program", spool.WithLocal, received + "Delivered-To: bob@example.net\n", []string{"bob@example.net NOTIFY=NEVER"}, nil},
		{"an alias without a mailbox", spool.WithLocal, "Delivered-To: a@example.net\n", []string{"a@example.net NOTIFY=NEVER"}, nil},
		{"the second of two", spool.WithLocal, "Delivered-To: a2@example.net\n", []string{"a@example.net"},
			[]string{"deliver new <> f@y.example"}},
		{"another domain's", "ESMTP", "Delivered-To: bob@example.com\n", []string{"bob@example.net"},
			[]string{"deliver new <f@y.example> bob@example.net", "relay new <f@y.example> far@x.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			p := newPath(t, aliases)
			p.text = tt.trail + "From: f@y.example\n\nhello\n"
			p.accept("f@y.example", tt.with, tt.to...)
			p.run()
			if tt.about == "the second of two" { // the report goes to another host
				tt.want = []string{"relay new <> f@y.example"}
			}
			p.want(tt.want...)
		})
	}
}

// A child's Delivered-To names the alias, and a message that goes to one host through
// two aliases is one message that names both.
func TestTrace(t *testing.T) {
	p := newPath(t, "one: far@x.example, near@x.example, four, bob\ntwo: three\nthree: far@x.example\nfour: next@x.example\n")
	p.accept(sender, spool.WithLocal, "one@example.net", "two+x@example.net", "other@x.example")
	p.run()
	p.want("relay new <alice@example.net> far@x.example", "relay new <alice@example.net> near@x.example next@x.example",
		"relay new <alice@example.net> other@x.example", "deliver new <alice@example.net> bob@example.net")
	for name, data := range p.files() {
		head, content, _ := strings.Cut(string(data), "\nReceived: ")
		_, content, _ = strings.Cut(content, "\n with ")
		_, content, _ = strings.Cut(content, "\n")
		want := "From: "
		switch {
		case strings.Contains(head, "far@"):
			want = "Delivered-To: one@example.net\nDelivered-To: three@example.net\nDelivered-To: two@example.net\nFrom: "
		case strings.Contains(head, "near@"):
			want = "Delivered-To: four@example.net\nDelivered-To: one@example.net\nFrom: "
		}
		if !strings.HasPrefix(content, want) {
			t.Errorf("%s: below our Received stands\n%s", name, content)
		}
		if info, err := os.Stat(filepath.Join(p.home, "spool", name)); err != nil ||
			!strings.HasSuffix(name, fmt.Sprintf(",S=%d,W=%d", info.Size(), len(data)+bytes.Count(data, []byte("\n")))) {
			t.Errorf("%s has other sizes: %v", name, err)
		}
	}
}

// 250 extensions of one user are one copy.
func TestManyExtensions(t *testing.T) {
	p := newPath(t, "")
	var to []string
	for n := range 250 {
		to = append(to, fmt.Sprintf("bob+%d@example.net", n))
	}
	p.accept(sender, spool.WithLocal, to...)
	p.run()
	p.want("deliver new <alice@example.net> bob+0@example.net")
}
