package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/maildir"
)

func (p *fixture) mda() *MDA {
	return &MDA{Control: p.control, Log: p.settler.Log, Full: p.stage.Full, Now: p.settler.Now, Home: p.home, Answers: p.settler,
		Spool: func() (*spool.Spool, error) { return p.sp, nil }}
}

// stored returns the one message in alice's mailbox, checked against its name.
func (p *fixture) stored() string {
	p.t.Helper()
	d, err := maildir.Open(filepath.Join(p.home, "mail/example.net/alice/Maildir"))
	p.check(err)
	defer d.Close()
	list, err := d.List()
	p.check(err)
	if len(list) != 1 || list[0].Sub != "new" {
		p.t.Fatalf("the mailbox has %+v", list)
	}
	data, err := os.ReadFile(filepath.Join(d.Path(), "new", list[0].Name))
	p.check(err)
	size, wire := int64(len(data)), int64(len(data)+bytes.Count(data, []byte("\n")))
	if list[0].Size != size || list[0].WireSize != wire {
		p.t.Errorf("%s has %d octets, %d on the wire", list[0].Name, size, wire)
	}
	p.want(alices)
	return string(data)
}

func TestMDATakesAnyBytes(t *testing.T) {
	const own = "Delivered-To: alice@example.net\n"
	long := strings.Repeat("x", 3*lineBuffer)
	tests := []struct{ about, in, from, body string }{
		{"plain", "Subject: x\n\nhello\n", "", "Subject: x\n\nhello\n"},
		{"CRLF", "Subject: x\r\n\r\nhello\r\n", "", "Subject: x\n\nhello\n"},
		{"no end", "Subject: x\n\nhello", "", "Subject: x\n\nhello\n"},
		{"stray CR and NUL stay", "Subject: x\n\na\rb\x00c\r\r\nd\xff\n", "", "Subject: x\n\na\rb\x00c\r\nd\xff\n"},
		{"ends with CR", "Subject: x\n\na\r", "", "Subject: x\n\na\r\n"},
		{"Return-Path", "Return-Path: <c@x.example>\nSubject: x\n\n", "c@x.example", "Subject: x\n\n"},
		{"Return-Path with CRLF", "Return-Path: <c@x.example>\r\nSubject: x\r\n\r\n", "c@x.example", "Subject: x\n\n"},
		{"null Return-Path", "return-path : <>\nSubject: x\n\n", "", "Subject: x\n\n"},
		{"bare Return-Path", "Return-Path: c@x.example\nSubject: x\n\n", "c@x.example", "Subject: x\n\n"},
		{"Return-Path of an entry", "Return-Path: <c@x.example> RET=HDRS\nSubject: x\n\n", "c@x.example", "Subject: x\n\n"},
		{"odd Return-Path stays", "Return-Path: x y\nSubject: x\n\n", "", "Return-Path: x y\nSubject: x\n\n"},
		{"folded Return-Path stays", "Return-Path: <c@x.example>\n  (x)\nSubject: x\n\n", "",
			"Return-Path: <c@x.example>\n  (x)\nSubject: x\n\n"},
		{"second Return-Path stays", "Return-Path: <c@x.example>\nReturn-Path: <d@x.example>\n\n", "c@x.example",
			"Return-Path: <d@x.example>\n\n"},
		{"a later Return-Path is no envelope", "Subject: x\nReturn-Path: <c@x.example>\n\n", "",
			"Subject: x\nReturn-Path: <c@x.example>\n\n"},
		{"our Delivered-To is the envelope", "Delivered-To: ALICE@example.net\nReturn-Path: <c@x.example>\nSubject: x\n\n",
			"c@x.example", "Subject: x\n\n"},
		{"another Delivered-To stays", "Return-Path: <c@x.example>\nX-Original-To: t@example.net\nDelivered-To: t@example.net\n\n",
			"c@x.example", "X-Original-To: t@example.net\nDelivered-To: t@example.net\n\n"},
		{"a later Delivered-To is no loop", "Subject: x\n" + own + "\n", "", "Subject: x\n" + own + "\n"},
		{"mbox", "From c@x.example Mon Nov 23\nReturn-Path: <c@x.example>\nSubject: x\n\n", "c@x.example",
			"X-Mailbox-Line: From c@x.example Mon Nov 23\nSubject: x\n\n"},
		{"a run of mbox lines", "From a Mon\n>From b Tue\n>From c Wed\nSubject: x\n\n", "",
			"X-Mailbox-Line: From a Mon\nX-Mailbox-Line: >From b Tue\nX-Mailbox-Line: >From c Wed\nSubject: x\n\n"},
		{"RFC 976 alone", ">From c@x.example Mon remote from x\r\nReturn-Path: <c@x.example>\r\nSubject: x\r\n\r\n>From y\r\n", "c@x.example",
			"X-Mailbox-Line: >From c@x.example Mon remote from x\nSubject: x\n\n>From y\n"},
		{"RFC 976 between the fields of another system", "Return-Path: <c@x.example>\nDelivered-To: t@example.net\n>From b Tue\nSubject: x\n\n", "c@x.example",
			"Delivered-To: t@example.net\nX-Mailbox-Line: >From b Tue\nSubject: x\n\n"},
		{"mbox lines and text", "From a Mon\n>From b\ntext\n", "", "X-Mailbox-Line: From a Mon\nX-Mailbox-Line: >From b\n\ntext\n"},
		{"a name beyond 998 octets", "X" + long[:998] + ": y\nSubject: x\n\n", "", "\nX" + long[:998] + ": y\nSubject: x\n\n"},
		{"a From field with a blank", "From : c@x.example\n\n", "", "From : c@x.example\n\n"},
		{"mbox below the envelope", "Return-Path: <c@x.example>\nFrom c@x.example Mon\nSubject: x\n\n", "c@x.example",
			"X-Mailbox-Line: From c@x.example Mon\nSubject: x\n\n"},
		{"no header", "just text\n", "", "\njust text\n"},
		{"starts with a blank", " folds\n", "", "\n folds\n"},
		{"text below the envelope", "Return-Path: <c@x.example>\nfolds\n", "c@x.example", "\nfolds\n"},
		{"empty header", "\nbody\n", "", "\nbody\n"},
		{"only an envelope", "Return-Path: <c@x.example>", "", "Return-Path: <c@x.example>\n"},
		{"mbox line beyond the buffer", "From " + long + "\r\n>From b\nSubject: x\n\n", "", "X-Mailbox-Line: From " + long + "\nX-Mailbox-Line: >From b\nSubject: x\n\n"},
		{"long first line", long + "\nx\n", "", "\n" + long + "\nx\n"},
		{"long line, CR at the cut", "A: " + long[:lineBuffer-4] + "\r\n\r\nx\r\n", "", "A: " + long[:lineBuffer-4] + "\n\nx\n"},
		{"CR in the middle at the cut", "A: " + long[:lineBuffer-4] + "\rx\n\n", "", "A: " + long[:lineBuffer-4] + "\rx\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			p := newFixture(t)
			p.check(p.mda().Deliver(context.Background(), "alice@example.net", nil, strings.NewReader(tt.in)))
			want := "Return-Path: <" + tt.from + ">\n" + own + tt.body
			if got := p.stored(); got != want {
				t.Errorf("stored %.300q, want %.300q", got, want)
			}
		})
	}
}

func TestMDAFrom(t *testing.T) {
	p := newFixture(t)
	from := addr.Address{Local: "d", Domain: "x.example"}
	in := strings.NewReader("Return-Path: <c@x.example>\nSubject: x\n\n")
	p.check(p.mda().Deliver(context.Background(), "alice+l", &from, in))
	want := "Return-Path: <d@x.example>\nDelivered-To: alice+l@example.net\nSubject: x\n\n"
	if got := p.stored(); got != want {
		t.Errorf("stored %q", got)
	}
	if !strings.Contains(p.log.String(), "event=delivered") {
		t.Errorf("log %s", p.log.String())
	}
}

// Every refusal and every trouble leaves nothing behind.
func TestMDARefusals(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("Subject: x\n\nhalf"), failing{})
	hops := strings.Repeat("Received: by x\n", 101)
	for _, tt := range []struct {
		about, to string
		in        io.Reader
		exit      int
	}{
		{"unknown", "nobody@example.net", strings.NewReader("x\n"), status.NoMailbox},
		{"not ours", "alice@x.example", strings.NewReader("x\n"), status.NoMailbox},
		{"a list", "team@example.net", strings.NewReader("x\n"), status.NoMailbox},
		{"no address", "a b@example.net", strings.NewReader("x\n"), status.Usage},
		{"no input", "alice@example.net", strings.NewReader(""), status.Refused},
		{"input breaks off", "alice@example.net", broken, status.TempFail},
		{"input fails at once", "alice@example.net", failing{}, status.TempFail},
		{"loop", "alice@example.net", strings.NewReader(hops + "\nx\n"), status.Refused},
		{"too large", "alice@example.net", strings.NewReader("Subject: x\n\n" + strings.Repeat("x", 1000)), status.Refused},
	} {
		t.Run(tt.about, func(t *testing.T) {
			p := newFixture(t)
			p.write("aliases", "team: alice, bob\n")
			if tt.about == "too large" {
				p.write("databytes", "1000\n")
			}
			err := p.mda().Deliver(context.Background(), tt.to, nil, tt.in)
			if status.Exit(err) != tt.exit {
				t.Errorf("exit %d: %v", status.Exit(err), err)
			}
			event := "event=trouble key=- op=\"deliver to " + tt.to
			if tt.exit == status.NoMailbox || tt.exit == status.Refused {
				event = "event=failed key=- to="
			}
			if !strings.Contains(p.log.String(), event) {
				t.Errorf("no %s in %s", event, p.log.String())
			}
			p.want()
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no more") }

func TestMDAHopsBelowTheHeaderDoNotCount(t *testing.T) {
	p := newFixture(t)
	in := strings.Repeat("Received: by x\n", 100) + "\n" + strings.Repeat("Received: by x\n", 100)
	p.check(p.mda().Deliver(context.Background(), "alice", nil, strings.NewReader(in)))
	p.stored()
}

// An alias does not come between: the system above has decided.
func TestMDAMailboxBeforeAlias(t *testing.T) {
	p := newFixture(t)
	p.write("aliases", "alice: bob\ninfo: alice\n")
	p.check(p.mda().Deliver(context.Background(), "alice@example.net", nil, strings.NewReader("A: x\n\n")))
	p.want(alices)
	p = newFixture(t)
	p.write("aliases", "info: alice\n")
	p.check(p.mda().Deliver(context.Background(), "info@example.net", nil, strings.NewReader("A: x\n\n")))
	p.want(alices)
	p = newFixture(t)
	p.check(p.mda().Deliver(context.Background(), "postmaster", nil, strings.NewReader("A: x\n\n")))
	p.want(alices)
}

// FuzzLetter holds the MDA's reader to its promise: our two fields stay two,
// and below them no byte is lost.
func FuzzLetter(f *testing.F) {
	for _, seed := range []string{"Subject: x\n\nhello", "Return-Path: <a@b.example>\r\n x", "From a\nFrom b\n", "\r\n\r", "Delivered-To: a@b.example\n\tx\n"} {
		f.Add([]byte(seed))
	}
	to := addr.Address{Local: "a", Domain: "b.example"}
	f.Fuzz(func(t *testing.T, in []byte) {
		l, err := openIncoming(bytes.NewReader(in), to)
		if err != nil {
			if len(in) > 0 {
				t.Fatal(err)
			}
			return
		}
		var out bytes.Buffer
		if err := l.copyTo(&out, limits{octets: 1 << 30, hops: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		got := out.Bytes()
		if len(got) > 0 && (got[len(got)-1] != '\n' || got[0] == ' ' || got[0] == '\t') {
			t.Errorf("%q became %q", in, got)
		}
		bare := func(p []byte) []byte { return bytes.ReplaceAll(p, []byte("X-Mailbox-Line: "), nil) }
		plain := bare(bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n")))
		rest := bytes.TrimPrefix(bare(got), []byte("\n"))
		if !bytes.HasSuffix(append(bytes.TrimSuffix(plain, []byte("\n")), '\n'), lastLine(rest)) {
			t.Errorf("%q became %q", in, got)
		}
	})
}

// lastLine is the last line of p, which is ended.
func lastLine(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	i := bytes.LastIndexByte(p[:len(p)-1], '\n')
	return p[i+1:]
}

func TestParseFrom(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "<>": "", "a@x.example": "a@x.example", "<a@x.example>": "a@x.example",
		`"a b"@x.example`: `"a b"@x.example`, "<a@x.example>x": "!", "<a": "!", "a": "!", "a@x.example\n": "!",
	} {
		a, err := ParseFrom(in)
		got := a.String()
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q is %q (%v)", in, fmt.Sprint(a), err)
		}
	}
}

// TestMDAKeepsReserve: what would touch control/reserve is not stored, and is
// for later.
func TestMDAKeepsReserve(t *testing.T) {
	p := newFixture(t)
	p.check(os.WriteFile(filepath.Join(p.home, "control", "reserve"), []byte("1000000000000000 0\n"), 0o600))
	err := p.mda().Deliver(context.Background(), "alice@example.net", nil, strings.NewReader("Subject: x\n\nx\n"))
	if code, _, _ := status.Reply(err); code != 452 || status.Exit(err) != status.TempFail {
		t.Errorf("the error is %v", err)
	}
	for _, sub := range []string{"tmp", "new"} {
		names, err := os.ReadDir(filepath.Join(p.home, "mail/example.net/alice/Maildir", sub))
		if err != nil || len(names) > 0 {
			t.Errorf("%s holds %v, %v", sub, names, err)
		}
	}
}

// A folder that the caller names is made for what goes there, not for junk.
func TestMDAJunkMakesNoFolder(t *testing.T) {
	p := newFixture(t)
	p.folder(".Junk")
	m := p.mda()
	m.Folder = "Lists"
	text := strings.ReplaceAll(authres.Format("mx.example.net", []authres.Method{{Name: authres.Paperpath, Result: authres.Junk, Reason: "spf"}}),
		"\n ", " ") + "Subject: x\n\nx\n"
	p.check(m.Deliver(t.Context(), "alice@example.net", nil, strings.NewReader(text)))
	if got := p.places(); got != "folder 1" {
		t.Errorf("%s, want it in .Junk", got)
	}
	lists := filepath.Join(p.home, "mail/example.net/alice/Maildir/.Lists")
	if _, err := os.Stat(lists); err == nil {
		t.Error("junk has made the folder .Lists")
	}
	p.check(m.Deliver(t.Context(), "alice@example.net", nil, strings.NewReader("Subject: x\n\nx\n")))
	if _, err := os.Stat(lists); err != nil {
		t.Error(err)
	}
}
