package pop3

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A dialogue is a file in testdata/dialogues, with these kinds of lines:
//
//	C: command          what the client sends, CRLF added
//	R: bytes            the same without CRLF
//	S: reply            what the server sends; a * at the end stands for anything
//	: mail PATH BYTES   a file in the Maildir, made before
//	: dir|link|fifo PATH, : file PATH (below the home), : lock, : notls
//	: network           a connection on which clear-text passwords are refused
//	: login [N]         USER and PASS of alice, who has N messages
//	: want [PATH...]    what is in new/ and cur/ at the end
//	! action            the same actions, between what is above and below;
//	                    and remove PATH, rename PATH PATH
//
// \n \r \xHH are bytes, %20x% is x twenty times. The greeting is implied.
//
// Each is played with whole flights, one command at a time, one byte at a time, and
// with flights cut in two at ten places.
type dialogue struct {
	setup, want []string
	checkWant   bool
	flights     []flight
}

// flight is what the client sends before an action.
type flight struct {
	sent    [][]byte // one a line
	replies []string
	expect  []int // how many replies there must be after each of sent
	action  string
}

func (f flight) all() []byte { return bytes.Join(f.sent, nil) }

func readDialogue(t *testing.T, path string) dialogue {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := dialogue{flights: make([]flight, 1)}
	d.flights[0].replies = []string{"+OK mx.example.net Paperpath POP3 ready"}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		d.addLine(t, line)
	}
	return d
}

func (d *dialogue) addLine(t *testing.T, line string) {
	kind, rest, _ := strings.Cut(line, " ")
	f := &d.flights[len(d.flights)-1]
	switch kind {
	case "#":
	case "C:":
		f.send(expand(rest) + "\r\n")
	case "R:":
		f.send(expand(rest))
	case "S:":
		f.reply(expand(rest))
	case "!":
		f.action = rest
		d.flights = append(d.flights, flight{})
	case ":":
		d.directive(f, rest)
	default:
		t.Fatalf("dialogue line %q", line)
	}
}

func (d *dialogue) directive(f *flight, rest string) {
	verb, arg, _ := strings.Cut(rest, " ")
	switch verb {
	case "login":
		f.send("USER alice\r\n")
		f.reply("+OK send PASS")
		f.send("PASS secret\r\n")
		f.reply(fmt.Sprintf("+OK %s messages", cmpOr(arg, "0")))
	case "want":
		d.want, d.checkWant = strings.Fields(expand(arg)), true
	default:
		d.setup = append(d.setup, rest)
	}
}

func cmpOr(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func (f *flight) send(s string) {
	f.sent = append(f.sent, []byte(s))
	f.expect = append(f.expect, len(f.replies))
}

func (f *flight) reply(s string) {
	f.replies = append(f.replies, s)
	if n := len(f.expect); n > 0 {
		f.expect[n-1] = len(f.replies)
	}
}

var repeat = regexp.MustCompile(`%(\d+)(.)%`)

func expand(s string) string {
	s = repeat.ReplaceAllStringFunc(s, func(m string) string {
		part := repeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[1])
		return strings.Repeat(part[2], n)
	})
	return regexp.MustCompile(`\\(n|r|x[0-9a-f]{2})`).ReplaceAllStringFunc(s, func(m string) string {
		out, _ := strconv.Unquote(`"` + m + `"`)
		return out
	})
}

// pieces cuts a flight into writes.
type pieces func(f flight) [][]byte

func whole(f flight) [][]byte { return [][]byte{f.all()} }
func byByte(f flight) [][]byte {
	all := f.all()
	return slices.Collect(slices.Chunk(all, 1+len(all)/8000))
}
func cutAt(i int) pieces {
	return func(f flight) [][]byte {
		all := f.all()
		i := min(i, len(all))
		return [][]byte{all[:i], all[i:]}
	}
}

// play plays the dialogue. With steps, the client waits for the reply to each line.
func (d dialogue) play(t *testing.T, cut pieces, steps bool) {
	t.Helper()
	h := newHost(t, d.setup)
	c, done := h.start(context.Background())
	expected := 0
	for _, f := range d.flights {
		for i, piece := range d.writes(f, cut, steps) {
			if len(piece) > 0 {
				c.Write(piece) // fails if the server has hung up; its replies say why
			}
			if steps {
				c.await(expected + f.expect[i])
			}
		}
		expected += len(f.replies)
		if f.action != "" {
			c.await(expected)
			h.do(f.action)
		}
	}
	c.await(expected)
	c.Close()
	compare(t, d, c.rest())
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := h.names(); d.checkWant && !slices.Equal(got, sorted(d.want)) {
		t.Errorf("mailbox holds %q, want %q", got, d.want)
	}
}

func (d dialogue) writes(f flight, cut pieces, steps bool) [][]byte {
	if steps {
		return f.sent
	}
	return cut(f)
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func compare(t *testing.T, d dialogue, got []string) {
	t.Helper()
	var want []string
	for _, f := range d.flights {
		want = append(want, f.replies...)
	}
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			t.Fatalf("no line %d, want %.200q", i+1, want[i])
		case i >= len(want):
			t.Fatalf("line %d is %.200q, want nothing", i+1, got[i])
		case !matches(got[i], want[i]):
			t.Fatalf("line %d is %.200q, want %.200q", i+1, got[i], want[i])
		}
	}
}

func matches(got, want string) bool {
	if prefix, open := strings.CutSuffix(want, "*"); open {
		return strings.HasPrefix(got, prefix)
	}
	return got == want
}

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) < 120 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			d := readDialogue(t, path)
			t.Run("steps", func(t *testing.T) { d.play(t, nil, true) })
			t.Run("whole", func(t *testing.T) { d.play(t, whole, false) })
			t.Run("bytes", func(t *testing.T) { d.play(t, byByte, false) })
			t.Run("cut", func(t *testing.T) { d.cutEverywhere(t) })
		})
	}
}

// cutEverywhere plays the dialogue with its flights cut in two, at places all over
// them.
func (d dialogue) cutEverywhere(t *testing.T) {
	longest := 0
	for _, f := range d.flights {
		longest = max(longest, len(f.all()))
	}
	stride := 1 + longest/10
	if testing.Short() {
		stride = 1 + longest/5
	}
	for i := 1; i < longest; i += stride {
		d.play(t, cutAt(i), false)
	}
}
