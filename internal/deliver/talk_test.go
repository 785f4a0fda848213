package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/rules"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// process is a process of another user that says something of its own.
type process func(conn net.Conn, in *json.Decoder)

func (f process) Start(_, _ int, _ string, _ *os.File) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		in := json.NewDecoder(theirs)
		var o order
		if in.Decode(&o) == nil {
			f(theirs, in)
		}
	}()
	return ours, nil
}

// says is a process that says one thing and then reads.
func says(text string) process {
	return func(conn net.Conn, _ *json.Decoder) {
		go io.Copy(io.Discard, conn)
		io.WriteString(conn, text)
	}
}

// A process of another user is believed what concerns the user's own mail, and nothing more.
func TestHostileProcess(t *testing.T) {
	many := `{"Done":{"Forwards":["` + strings.Repeat(`a@x.example","`, maxForward) + `b@x.example"]}}`
	for _, tt := range []struct {
		about string
		says  string
		want  string
	}{
		{"nothing", "", "deferred 1"}, {"half a word", `{"Done":{`, "deferred 1"}, {"no words", "GET / HTTP/1.0\r\n\r\n", "deferred 1"},
		{"done", `{"Done":{"Stored":true}}`, ""}, {"forwards", `{"Done":{"Forwards":["carol@y.example"]}}`, "route 1"},
		{"no address", `{"Done":{"Forwards":["a b\nRCPT TO:<x>"]}}`, "deferred 1"}, {"too many addresses", many, "deferred 1"},
		{"an answer that was not counted", `{"Done":{"Stored":true,"Answer":"eA=="}}`, "deferred 1"},
		{"without end", strings.Repeat(`{"Stored":"x"}`, maxWords+1), "deferred 1"},
		{"a word without end", `{"Stored":"` + strings.Repeat("x", 2*maxSaid), "deferred 1"},
		{"another message", `{"Done":{"Taken":"/x"}}`, "held 1"},
		{"refused", `{"Failed":{"Exit":65,"Reply":550,"Enhanced":"5.7.1","Text":"no"}}`, "route 1"},
		{"not now", `{"Failed":{"Exit":75,"Reason":"x"}}`, "deferred 1"},
		{"an exit status of its own", `{"Failed":{"Exit":0,"Reply":250,"Enhanced":"2.0.0"}}`, "deferred 1"},
		{"a code of its own", `{"Failed":{"Exit":65,"Reply":550,"Enhanced":"5.7.1\r\n250 x"}}`, "deferred 1"},
	} {
		p := newFixture(t)
		p.write("users", fmt.Sprintf("alice@example.net::%d:%d::/home/alice::\n", 61055, 61055))
		p.stage.Owners = says(tt.says)
		p.accept(spool.InboxDeliver, "alice@example.net")
		p.stageRun(spool.InboxDeliver, p.stage.Handle)
		if got := p.places(); got != tt.want {
			t.Errorf("%s: %s, want %s\n%s", tt.about, got, tt.want, p.log.String())
		}
	}
	p := newFixture(t)
	p.write("users", fmt.Sprintf("alice@example.net::0:0::/home/alice::\nbob@example.net::%d:0::/home/bob::\n", 61055))
	p.stage.Owners = says(`{"Done":{"Stored":true}}`)
	if os.Geteuid() != 0 {
		p.accept(spool.InboxDeliver, "alice@example.net")
	}
	p.accept(spool.InboxDeliver, "bob@example.net")
	p.stageRun(spool.InboxDeliver, p.stage.Handle)
	p.logged("event=deferred .*belongs to root")
	if got := p.places(); !strings.HasPrefix(got, "deferred") {
		t.Errorf("root's: %s", got)
	}
}

// A process that says nothing does not hold an attempt forever, and one that is stopped is told.
func TestSilentProcess(t *testing.T) {
	told := make(chan bool, 1)
	p := newFixture(t)
	p.stage.Owners = process(func(_ net.Conn, in *json.Decoder) { told <- in.Decode(&heard{}) != nil })
	from, _ := addr.Parse("x@x.example")
	m := &mail{user: &control.User{Address: "alice@example.net", UID: 61055, GID: 61055}, from: from, now: time.Now, log: p.stage.Log}
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := p.stage.Owners.Start(0, 0, "", nil)
	p.check(err)
	talk := &talk{m: m, conn: conn}
	over := make(chan error)
	go func() {
		_, err := talk.run(ctx, order{})
		over <- err
	}()
	cancel()
	conn.SetReadDeadline(time.Now())
	if err := <-over; err == nil || !strings.Contains(err.Error(), "took too long") && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	conn.Close()
	if !<-told {
		t.Error("it was not told")
	}
}

// A process that asks and never reads what it is answered cannot keep us from stopping.
func TestProcessThatDoesNotRead(t *testing.T) {
	p := newFixture(t)
	m := &mail{user: &control.User{Address: "alice@example.net"}, now: time.Now, log: p.stage.Log,
		about: &mdaFacts{MDA: &MDA{Control: p.stage.Control}}}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	talk := &talk{m: m, conn: ours}
	over := make(chan error, 1)
	go func() {
		_, err := talk.run(context.Background(), order{})
		over <- err
	}()
	in := json.NewDecoder(theirs)
	p.check(in.Decode(&order{}))
	_, err := io.WriteString(theirs, `{"Ask":"Delimiters"}`)
	p.check(err)
	talk.wait(context.Background(), 50*time.Millisecond)
	select {
	case err := <-over:
		if err == nil || !strings.Contains(err.Error(), "took too long") {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for ever")
	}
}

// A process that goes on talking does not put off our stop.
func TestTalkAfterStop(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	talk := &talk{conn: ours}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	talk.wait(ctx, quietTime)
	talk.last = talk.last.Add(-2 * stopTime) // it has talked for so long
	begin := time.Now()
	talk.wait(ctx, quietTime)
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) > stopTime/2 {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

// A home in a directory of somebody who is neither root nor its owner says nothing about who that
// is: they could have linked anybody's there.
func TestHomeThatOthersReplace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	p := newFixture(t)
	top, err := os.MkdirTemp("", "homes")
	p.check(err)
	defer os.RemoveAll(top)
	home := filepath.Join(top, "alice")
	p.check(os.Mkdir(home, 0o755))
	p.check(os.Chown(home, 61055, 61055))
	u := &control.User{Address: "alice@example.net", Home: home, UID: -1, GID: -1}
	if uid, gid, _, err := ownerOf(p.home, u); uid != 61055 || gid != 61055 || err != nil {
		t.Errorf("below root's: %d %d %v", uid, gid, err)
	}
	p.check(os.Chown(top, 61056, 61056))
	if uid, _, _, err := ownerOf(p.home, u); !status.IsTemporary(err) {
		t.Errorf("below another user's: %d %v", uid, err)
	}
	u.UID = 61055
	if uid, _, _, err := ownerOf(p.home, u); uid != 61055 || err != nil {
		t.Errorf("the row says it: %d %v", uid, err)
	}
}

// What goes out as the answer of a user is one, whatever their process makes of it.
func TestIsAnswer(t *testing.T) {
	a := away{v: &rules.Vacation{Text: "I am away\n"}, h: &message.Header{}, host: "mx.example.net",
		from: "alice@example.net", to: "x@x.example", key: "k", date: "Thu, 1 Jan 2026 00:00:00 +0000"}
	text := string(a.compose())
	for _, tt := range []struct {
		about, old, now string
		want            bool
	}{
		{"ours", "", "", true}, {"of another user", "alice@", "bob@", false}, {"to others", "<x@x", "<y@x", false},
		{"two authors", "Subject:", "from: <bob@example.net>\nSubject:", false}, {"a copy", "Subject:", "Bcc: <y@y.example>\nSubject:", false},
		{"a sender", "Subject:", "Sender: <bob@example.net>\nSubject:", false}, {"by hand", "auto-replied", "no", false},
		{"no header", "From:", "hello\n\nFrom:", false}, {"a stray CR in a field", "Subject: ", "Subject: x\rFrom: <bob@example.net>", false}, {"one in the text", "away", "a\rway", true}, {"a NUL", "away", "a\x00way", false},
		{"two subjects", "Subject:", "Subject: x\nSubject:", false},
	} {
		if got := isAnswer([]byte(strings.Replace(text, tt.old, tt.now, 1)), "alice@example.net", "x@x.example"); got != tt.want {
			t.Errorf("%s: %v", tt.about, got)
		}
	}
}

// Errors keep on their way what they mean, and no more.
func TestFailure(t *testing.T) {
	refused := &status.Error{Exit: status.Refused, Reply: 552, Enhanced: "5.2.2", Text: "full"}
	for _, tt := range []struct {
		err       error
		temporary bool
		has       string
	}{
		{refused, false, "full"}, {fmt.Errorf("x: %w", refused), false, "full"}, {status.Temp("4.2.2", "full now", errors.New("why")), true, "why"},
		{errors.New("disk"), true, "disk"}, {&status.Error{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1", Text: "none"}, false, "none"},
		{status.UsageError("x"), true, "x"},
	} {
		text, err := json.Marshal(failureOf(tt.err))
		var f failure
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		if got := f.err(); err != nil || status.IsTemporary(got) != tt.temporary || !strings.Contains(got.Error(), tt.has) {
			t.Errorf("%v became %v, %v", tt.err, got, err)
		}
	}
}
