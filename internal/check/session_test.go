package check

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// fake is a check of a test, under the name of a real one.
type fake struct {
	name string
	ask  askFunc
	soon func(*Case) Finding // at MAIL
	rcpt func(spool.Recipient) Finding
	over *[]string // what ended
}

func (f fake) Name() string                                      { return f.name }
func (f fake) Ask(ctx context.Context, m *Case, q Query) Finding { return f.ask(ctx, m, q) }
func (f fake) Mail(_ context.Context, m *Case, _ Query) Finding  { return f.soon(m) }
func (f fake) Rcpt(_ context.Context, _ *Case, to spool.Recipient, _ Query) Finding {
	return f.rcpt(to)
}
func (f fake) Reset() { *f.over = append(*f.over, "reset") }
func (f fake) Close() { *f.over = append(*f.over, "close") }

// only is a fake that is asked about whole messages alone.
type only struct{ Check }

func asks(name string, p phase, ask askFunc) row {
	return row{make: func() Check { return only{fake{name: name, ask: ask}} }, phase: p}
}

func fakeRow(name string, p phase, f Finding) row {
	return asks(name, p, func(context.Context, *Case, Query) Finding { return f })
}

// stranger is a message of a host that is not ours.
func stranger() Subject {
	s := peer
	s.Client = netip.MustParseAddr("192.0.2.7")
	s.Body = spool.BytesBody([]byte("From: a@b.example\n\nx\n"))
	return s
}

// Every check has a row in control/checks, and every row a check.
func TestEveryCheckHasARow(t *testing.T) {
	s, err := settings(t).Checks()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range rows() {
		name := r.make().Name()
		if row := s.Row(name); row.Err != nil || seen[name] {
			t.Errorf("%s: %+v", name, row)
		}
		seen[name] = true
	}
}

// The worst action decides, whichever check it is of, and the first of two that are equal.
func TestTheWorstActionDecides(t *testing.T) {
	c := settings(t, "checks", "from: tag\nhops: hold\nloop: refuse\nsender: discard\nsize: refuse\n")
	fails := func(name string, p phase) row {
		return fakeRow(name, p, Finding{Fails: true, Reason: "of " + name})
	}
	for _, x := range []struct {
		rows         []row
		want, reason string
	}{
		{nil, "accept", ""},
		{[]row{fails("from", phaseFormat)}, "tag", "from: of from"},
		{[]row{fails("from", phaseFormat), fails("hops", phaseFormat)}, "hold", "hops: of hops"},
		{[]row{fails("hops", phasePolicy), fails("from", phaseFilters)}, "hold", "hops: of hops"},
		{[]row{fails("loop", phaseIdentity), fails("sender", phaseIdentity)}, "discard", "sender: of sender"},
		{[]row{fails("loop", phaseFormat), fails("sender", phaseFormat)}, "refuse", "loop: of loop"},   // the first ends it
		{[]row{fails("loop", phaseIdentity), fails("sender", phasePolicy)}, "refuse", "loop: of loop"}, // and its phase
		{[]row{fails("loop", phasePolicy), fails("size", phasePolicy)}, "refuse", "loop: of loop"},
		{[]row{fakeRow("from", phasePolicy, Finding{Fails: true, Row: "hops", Reason: "x"})}, "hold", "from: x"},
	} {
		v := checkerOf(c, func() []row { return x.rows }).Message(context.Background(), stranger(), nil)
		if string(v.Action) != x.want || v.Reason() != x.reason {
			t.Errorf("%s %q, want %s %q", v.Action, v.Reason(), x.want, x.reason)
		}
	}
}

// A row says answer: what others want is done.
func TestAnswers(t *testing.T) {
	s := &Session{Checker: checkerOf(settings(t), nil)}
	for answer, want := range map[control.CheckAction]control.CheckAction{
		control.CheckJunk: control.CheckJunk, control.CheckDiscard: control.CheckDiscard, "": control.CheckAccept} {
		f := Found{Name: "x", Finding: Finding{Fails: true, Answer: answer}}
		s.weigh(&f, control.CheckRow{Action: control.CheckAnswer})
		if f.Action != want {
			t.Errorf("%q: %s", answer, f.Action)
		}
		if s.weigh(&f, control.CheckRow{Action: control.CheckTag}); f.Action != control.CheckTag {
			t.Errorf("%q: %s", answer, f.Action)
		}
	}
}

// A panic in a check is trouble of that check: its row says what happens, and an event has
// the stack.
func TestAPanicIsTrouble(t *testing.T) {
	for setting, want := range map[string]string{"from: refuse": "defer", "from: refuse temporary=accept": "accept", "from: off": "accept"} {
		var events bytes.Buffer
		k := checkerOf(settings(t, "checks", setting+"\n"), func() []row {
			return []row{asks("from", phaseIdentity, func(context.Context, *Case, Query) Finding { panic("odd") }),
				fakeRow("hops", phaseIdentity, Finding{})}
		})
		k.Log = maillog.To(&events, "mailcheck", time.Now)
		v := k.Message(context.Background(), stranger(), nil)
		k.Record(k.Log, "k", v, maillog.Client{})
		if string(v.Action) != want || IsVerdict(v.Err) {
			t.Errorf("%s: %s %v", setting, v.Action, v.Err)
		}
		if off := strings.HasSuffix(setting, "off"); strings.Contains(events.String(), "panic: odd") == off ||
			strings.Contains(events.String(), "stack=") == off || !strings.Contains(events.String(), "hops=pass") {
			t.Errorf("%s: %s", setting, events.String())
		}
	}
}

// Checks of identity run at the same time, and each ends with its own time.
func TestChecksRunSideBySide(t *testing.T) {
	var waiting atomic.Int32
	meet := make(chan struct{})
	slow := func(ctx context.Context, _ *Case, q Query) Finding {
		if waiting.Add(1) == 3 {
			close(meet)
		}
		select {
		case <-meet:
		case <-ctx.Done():
			return Finding{Err: ctx.Err()}
		}
		if q.Row.Time == time.Second { // this one never gets its answer
			<-ctx.Done()
			return Finding{Err: ctx.Err()}
		}
		return Finding{}
	}
	c := settings(t, "checks", "from: refuse temporary=tag time=1s\n")
	v := checkerOf(c, func() []row {
		return []row{asks("hops", phaseIdentity, slow), asks("from", phaseIdentity, slow), asks("loop", phaseIdentity, slow)}
	}).Message(context.Background(), stranger(), nil)
	if v.Action != control.CheckTag || v.Check != "from" || !strings.Contains(v.Reason(), "deadline") {
		t.Errorf("%s by %q: %s", v.Action, v.Check, v.Reason())
	}
	var names []string
	for _, f := range v.Found {
		names = append(names, f.Name+" "+f.Result)
	}
	if want := []string{"hops pass", "from temperror", "loop pass"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

// About mail of our own submitters, and of this machine, nobody asks the DNS.
func TestOnlyStrangersAreAsked(t *testing.T) {
	trusted, loopback, nowhere := stranger(), stranger(), stranger()
	trusted.Trusted = true
	loopback.Client = netip.MustParseAddr("::1")
	nowhere.Client = netip.Addr{}
	login := user
	login.Client = stranger().Client
	for i, s := range []Subject{stranger(), trusted, loopback, nowhere, login, inbox} {
		asked := false
		r := asks("from", phaseIdentity, func(context.Context, *Case, Query) Finding { asked = true; return Finding{} })
		r.strangers = true
		s.Body = spool.BytesBody([]byte("From: alice@example.net\n\n"))
		checkerOf(settings(t), func() []row { return []row{r} }).Message(context.Background(), s, nil)
		if asked != (i == 0) {
			t.Errorf("%d: asked %v", i, asked)
		}
	}
}

// A session asks at MAIL and RCPT, where what is refused needs no message, and tells its
// checks when transactions and the session end.
func TestSession(t *testing.T) {
	var over []string
	mail, rcpt := Finding{}, Finding{}
	k := checkerOf(settings(t, "checks", "from: refuse temporary=accept\nhops: defer\nloop: hold\n"), func() []row {
		return []row{{make: func() Check {
			return fake{name: "from", over: &over,
				ask:  func(context.Context, *Case, Query) Finding { return Finding{} },
				soon: func(m *Case) Finding { return mail },
				rcpt: func(to spool.Recipient) Finding { return rcpt }}
		}}}
	})
	s, ctx := k.Session(), context.Background()
	no := Finding{Fails: true, Reason: "not you"}
	mail = no
	if err := s.Mail(ctx, stranger()); err == nil || !IsVerdict(err) || status.IsTemporary(err) || err.Error() != "from: not you" {
		t.Errorf("MAIL: %v", err)
	}
	mail = Finding{Fails: true, Row: "hops", Reason: "later"}
	if err := s.Mail(ctx, stranger()); !status.IsTemporary(err) || !IsVerdict(err) {
		t.Errorf("MAIL: %v", err)
	}
	mail = Finding{}
	if err := s.Mail(ctx, stranger()); err != nil {
		t.Error(err)
	}
	rcpt = no
	if err := s.Rcpt(ctx, spool.Recipient{Addr: "a@example.net"}); err == nil {
		t.Error("RCPT is accepted")
	}
	rcpt = Finding{}
	if err := s.Rcpt(ctx, spool.Recipient{Addr: "b@example.net"}); err != nil || len(s.at.Envelope.To) != 2 {
		t.Errorf("RCPT: %v, %v", err, s.at.Envelope.To) // one of them is the subject's own
	}
	if v := s.Message(ctx, stranger(), nil); v.Action != control.CheckAccept {
		t.Errorf("the message: %v", v)
	}
	mail = Finding{Err: errNoAnswer} // trouble that is accepted is not forgotten
	if err := s.Mail(ctx, stranger()); err != nil {
		t.Error(err)
	}
	if v := s.Message(ctx, stranger(), nil); v.Action != control.CheckAccept || v.Found[0].Result != "temperror" {
		t.Errorf("the message: %+v", v)
	}
	mail = Finding{Fails: true, Row: "loop", Reason: "odd"} // no reply, but it counts
	if err := s.Mail(ctx, stranger()); err != nil {
		t.Error(err)
	}
	if v := s.Message(ctx, stranger(), nil); v.Action != control.CheckHold || v.Reason() != "from: odd" {
		t.Errorf("the message: %v", v)
	}
	mail = no // and so it does for a message without a session
	if v := k.Message(ctx, stranger(), nil); v.Action != control.CheckRefuse || v.Reason() != "from: not you" || !IsVerdict(v.Err) {
		t.Errorf("the message: %v", v)
	}
	over = nil
	s.Close()
	if !slices.Equal(over, []string{"reset", "close"}) {
		t.Errorf("the end: %q", over)
	}
}

// Filters see the message without forged results, and what they make of it goes on; what
// is held is as it came.
func TestFiltersChangeTheMessage(t *testing.T) {
	const forged = "Authentication-Results: mx.example.net; spf=pass\n"
	var saw string
	text := func(b spool.Body) string {
		p, _ := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		return string(p)
	}
	for _, x := range []struct {
		hold bool
		want string
		to   int
	}{{false, "X: y\nFrom: a@b.example\n\nx\n", 2}, {true, "From: a@b.example\n\nx\n", 1}} {
		k := checkerOf(settings(t, "checks", "hops: hold\n"), func() []row {
			return []row{
				asks("from", phasePolicy, func(_ context.Context, m *Case, _ Query) Finding { saw = text(m.Body); return Finding{} }),
				asks("loop", phaseFilters, func(_ context.Context, m *Case, _ Query) Finding {
					env := m.Envelope
					env.To = append(slices.Clone(env.To), spool.Recipient{Addr: "c@d.example"})
					return Finding{Changed: &Change{Body: spool.BytesBody([]byte("X: y\n" + text(m.Body))), Envelope: env}}
				}),
				fakeRow("hops", phaseFilters, Finding{Fails: x.hold}),
			}
		})
		s := stranger()
		s.Body = spool.BytesBody([]byte(forged + "From: a@b.example\n\nx\n"))
		v := k.Message(context.Background(), s, nil)
		if got := text(v.Body); got != x.want || len(v.Envelope.To) != x.to || v.Changed == x.hold {
			t.Errorf("hold %v: %q to %v, changed %v", x.hold, got, v.Envelope.To, v.Changed)
		}
		if !strings.HasPrefix(saw, forged) {
			t.Errorf("the checks saw %q", saw)
		}
	}
}

// What a check asks the DNS is in its explanation.
func TestExplainHasTheAnswersOfTheDNS(t *testing.T) {
	var trail explain.Trail
	k := checkerOf(settings(t), func() []row {
		return []row{asks("from", phaseIdentity, func(ctx context.Context, m *Case, q Query) Finding {
			q.Trail.Add("domain", "b.example", "From")
			_, err := q.DNS.TXT(ctx, "b.example")
			q.DNS.PTR(ctx, m.Client)
			return Finding{Result: "none", Reason: "no record", Err: err}
		})}
	})
	k.DNS = texts{"b.example": {"v=spf1 -all", "other"}}
	k.Message(context.Background(), stranger(), &trail)
	var out strings.Builder
	trail.Write(&out, false)
	const want = "domain: b.example (From)\ndns: v=spf1 -all | other (TXT b.example)\ndns: no answer (PTR 192.0.2.7)\n" +
		"check from: none: no record (default)\n=> pass\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

// texts is the DNS of a test: TXT records.
type texts map[string][]string

func (z texts) TXT(_ context.Context, name string) ([]string, error) { return z[name], nil }
func (texts) A(context.Context, string) ([]netip.Addr, error)        { return nil, errNoAnswer }
func (texts) PTR(context.Context, netip.Addr) ([]string, error)      { return nil, errNoAnswer }
func (texts) MX(context.Context, string) ([]dns.MX, error)           { return nil, errNoAnswer }
func (texts) Addrs(context.Context, string) ([]netip.Addr, error)    { return nil, errNoAnswer }

var errNoAnswer = errors.New("no answer")

// Questions that are asked at a time are explained in one order, whichever answer comes
// first.
func TestExplainHasOneOrder(t *testing.T) {
	for range 10 {
		n := &noted{Resolver: texts{}, together: asksTogether("dkim", &Case{})}
		var all sync.WaitGroup
		for _, name := range []string{"c.example", "a.example", "b.example"} {
			all.Go(func() { n.TXT(t.Context(), name) })
		}
		all.Wait()
		var trail explain.Trail
		n.addTo(&trail)
		got := ""
		for _, s := range trail.Steps {
			got += s.Source + " "
		}
		if got != "TXT a.example TXT b.example TXT c.example " {
			t.Error(got)
		}
	}
}
