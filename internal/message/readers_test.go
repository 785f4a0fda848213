package message

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// A reader that comes back shows the next message and nothing of the last one; headers that
// were read side by side are whole after others were.
func TestBuffered(t *testing.T) {
	r := Buffered(strings.NewReader("the secret of the first message"))
	if _, err := r.Peek(10); err != nil {
		t.Fatal(err)
	}
	Done(r)
	r = Buffered(strings.NewReader("x"))
	if all, err := io.ReadAll(r); string(all) != "x" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	Done(r)
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			text := fmt.Sprintf("A%d: %s\nB: %d\n\n", n, strings.Repeat("x", n*10), n)
			h, err := Read(strings.NewReader(text), 1<<20, 100)
			for range 10 {
				Read(strings.NewReader("C: "+strings.Repeat("y", 1000)+"\n"), 1<<20, 100)
			}
			if err != nil || len(h.Fields) != 2 || h.Fields[0].Name != fmt.Sprintf("A%d", n) ||
				h.Fields[0].Value != strings.Repeat("x", n*10) || h.Value("b") != fmt.Sprint(n) {
				t.Errorf("%d: %+v, %v", n, h, err)
			}
		})
	}
	all.Wait()
}

func TestMayHave(t *testing.T) {
	long := strings.Repeat("X: "+strings.Repeat("x", 60)+"\n", ReaderSize/60)
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"nothing":        {"", false},
		"no such field":  {"To: a\n\nDelivered-To: in the body\n", false},
		"no body":        {"Subject: delivered-t\n", false},
		"first":          {"Delivered-To: a\n\n", true},
		"another case":   {"To: a\ndeliVered-tO: a\n\nx\n", true},
		"folded":         {"To: a\nDelivered-To\n : a\n\nx\n", true},
		"last octets":    {"X: y\nDelivered-To", true},
		"only mentioned": {"Subject: Delivered-To\n\n", true},
		"beyond":         {long + "Delivered-To: a\n\n", true},
		"too long":       {long, true},
	} {
		if got, err := MayHave(strings.NewReader(tt.text), "Delivered-To"); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if h, err := Read(strings.NewReader(tt.text), 1<<20, 1000); err != nil || h.Has("Delivered-To") && !tt.want {
			t.Errorf("%s: Read finds it, or %v", name, err)
		}
	}
}
