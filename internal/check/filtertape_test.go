package check

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/explain"
	"paperpath/internal/milter/miltertest"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// What other people's filters found is found again, and they are not asked.
func TestFilterTape(t *testing.T) {
	for name, found := range map[string]Finding{
		"pass":    {Result: "pass", Methods: []authres.Method{{Name: "x", Result: "pass", Properties: []authres.Property{{Name: "policy.y", Value: "z\xff"}}}}},
		"fail":    {Fails: true, Reason: "bad \x1b word", Err: status.Refuse("5.7.1", "no")},
		"trouble": {Err: status.Temp("4.7.1", "away", io.ErrUnexpectedEOF)},
		"tag":     {Fails: true, Row: "hops", Answer: control.CheckTag},
		"changed": {Changed: &Change{Body: spool.BytesBody([]byte("From: c@d.example\nX: y\n\nchanged\n")), Envelope: to("b@example.net")}},
	} {
		asked := 0
		rows := func() []row {
			return []row{asks("from", phaseFilters, func(_ context.Context, _ *Case, q Query) Finding {
				asked++
				q.Trail.Add("step", "one", "there")
				return found
			})}
		}
		run := func(tape *FilterTape) (string, Verdict) {
			k := checkerOf(settings(t), rows)
			k.Filters = tape
			var trail explain.Trail
			v := k.Message(t.Context(), stranger(), &trail)
			var out bytes.Buffer
			trail.Write(&out, false)
			return out.String(), v
		}
		tape := NewFilterTape()
		want, v := run(tape)
		files := map[string][]byte{}
		data, err := tape.Write(func(name string, b spool.Body) {
			files[name], _ = io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadFilterTape(data, func(name string) ([]byte, error) { return files[name], nil })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, w := run(again)
		if got != want || asked != 1 || v.Action != w.Action || v.Body.Size() != w.Body.Size() || !strings.Contains(got, "step: one (there)\n") {
			t.Errorf("%s: asked %d times\n%s\nwant\n%s", name, asked, got, want)
		}
		if got, _ := run(again); !strings.Contains(got, "the record has no answer of this filter") {
			t.Errorf("%s: an answer was found twice:\n%s", name, got)
		}
	}
}

// A replay speaks to no milter, neither for what MAIL says nor for the message; a message
// that one changed is kept though the session is over.
func TestFilterTapeOfMilters(t *testing.T) {
	for name, m := range map[string]*miltertest.Server{
		"changed": {Answers: map[byte][]byte{'E': pks(pk('h', "X-One\x001\x00"), pk('b', strings.Repeat("new\r\n", 1<<19)), pk('c'))}},
		"refused": {Answers: map[byte][]byte{'M': pk('y', "550 5.7.9 no\x00")}},
		"away":    {HangUp: 'M'},
		"tagged":  {HangUp: 'E'},
	} {
		m.Start(t)
		rows := "one: milter:unix:SOCK time=1s\n"
		if name == "tagged" {
			rows = "one: away=tag milter:unix:SOCK time=1s\n"
		}
		run := func(tape *FilterTape) (string, Verdict) {
			k, _ := filtering(t, rows, m)
			k.Filters = tape
			s := from("alice@example.net", inbox)
			s.Body = spool.BytesBody([]byte(fromAlice))
			var trail explain.Trail
			v := k.Message(t.Context(), s, &trail)
			var out bytes.Buffer
			if err := trail.Write(&out, false); err != nil {
				t.Fatal(err)
			}
			return out.String(), v
		}
		tape := NewFilterTape()
		want, v := run(tape)
		files := map[string][]byte{}
		data, err := tape.Write(func(name string, b spool.Body) { files[name] = []byte(textOf(t, b)) })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen := connects(m) // the end of a session is told without waiting
		again, err := ReadFilterTape(data, func(name string) ([]byte, error) { return files[name], nil })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, w := run(again)
		if got != want || v.Action != w.Action || seen == 0 || connects(m) != seen {
			t.Errorf("%s: %d sessions, then %d\n%s\nwant\n%s", name, seen, connects(m), got, want)
		}
		if v.Changed != w.Changed || v.Changed && w.Body.Size() != v.Body.Size() {
			t.Errorf("%s: changed %v, then %v", name, v.Changed, w.Changed)
		}
	}
}

// connects is how many sessions have begun at a milter.
func connects(m *miltertest.Server) (n int) {
	for _, command := range m.Saw() {
		if strings.HasPrefix(command, "C") {
			n++
		}
	}
	return n
}
