package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// FilterTape has what other people's filters found: a recording of it, or what is replayed
// in their place.
type FilterTape struct {
	replay bool

	mu    sync.Mutex
	found []filterFinding
	err   error // why a changed message could not be kept
}

// filterFinding is a Finding as it is written down.
type filterFinding struct {
	Check   string
	Result  string              `json:",omitempty"`
	Reason  string              `json:",omitempty"`
	Fails   bool                `json:",omitempty"`
	Row     string              `json:",omitempty"`
	Answer  control.CheckAction `json:",omitempty"`
	Error   *filterError        `json:",omitempty"`
	Methods []authres.Method    `json:",omitempty"`
	Steps   []filterStep        `json:",omitempty"`
	Changed *filterChange       `json:",omitempty"`

	body spool.Body
}

type filterStep struct{ Decision, Value, Source string }

// filterError is an error as the verdict uses it.
type filterError struct {
	Exit, Reply    int    `json:",omitempty"`
	Enhanced, Text string `json:",omitempty"`
	Cause          string `json:",omitempty"` // what strangers may not read
}

// filterChange is a Change; the message is in a file.
type filterChange struct {
	Message  string
	Envelope spool.Envelope
}

// maxFilterFindings bounds those of one message.
const maxFilterFindings = 1000

// NewFilterTape returns an empty tape, to record on.
func NewFilterTape() *FilterTape { return &FilterTape{} }

// around is ask, recorded or replayed. A nil tape is neither.
func (t *FilterTape) around(c Check, ask askFunc) askFunc {
	switch {
	case t == nil:
		return ask
	case t.replay:
		return func(_ context.Context, _ *Case, q Query) Finding { return t.next(c.Name(), q) }
	}
	return func(ctx context.Context, m *Case, q Query) Finding {
		f := ask(ctx, m, q)
		t.add(c.Name(), f, q)
		return f
	}
}

func (t *FilterTape) add(name string, f Finding, q Query) {
	n := filterFinding{Check: name, Result: f.Result, Reason: f.Reason, Fails: f.Fails, Row: f.Row, Answer: f.Answer, Methods: f.Methods}
	if q.Trail != nil {
		for _, s := range q.Trail.Steps {
			n.Steps = append(n.Steps, filterStep{s.Decision, s.Value, s.Source})
		}
	}
	if f.Err != nil {
		n.Error = &filterError{Exit: status.Exit(f.Err)}
		var e *status.Error
		if errors.As(f.Err, &e) {
			n.Error.Reply, n.Error.Enhanced, n.Error.Text = e.Reply, e.Enhanced, e.Text
		}
		if why := status.Cause(f.Err); why != nil {
			n.Error.Cause = why.Error()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.Changed != nil {
		// A milter's scratch file is gone when the session ends.
		text, err := io.ReadAll(io.NewSectionReader(f.Changed.Body, 0, f.Changed.Body.Size()))
		t.err = errors.Join(t.err, err)
		n.body = spool.BytesBody(text)
		n.Changed = &filterChange{Message: fmt.Sprintf("message.%d", len(t.found)), Envelope: f.Changed.Envelope}
	}
	t.found = append(t.found, n)
}

// next returns the next finding of a check.
func (t *FilterTape) next(name string, q Query) Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, n := range t.found {
		if n.Check == name {
			t.found = append(t.found[:i:i], t.found[i+1:]...)
			return n.finding(q)
		}
	}
	return Finding{Err: status.Temp("4.3.0", "the record has no answer of this filter", nil)}
}

func (n filterFinding) finding(q Query) Finding {
	f := Finding{Result: n.Result, Reason: n.Reason, Fails: n.Fails, Row: n.Row, Answer: n.Answer, Methods: n.Methods}
	for _, s := range n.Steps {
		q.Trail.Add(s.Decision, s.Value, s.Source)
	}
	if e := n.Error; e != nil {
		f.Err = &status.Error{Exit: e.Exit, Reply: e.Reply, Enhanced: e.Enhanced, Text: e.Text}
		if e.Cause != "" {
			f.Err.(*status.Error).Err = errors.New(e.Cause)
		}
	}
	if n.Changed != nil {
		f.Changed = &Change{Body: n.body, Envelope: n.Changed.Envelope}
	}
	return f
}

// Write returns the tape as JSON, a finding a line, and calls file with each message that a
// filter changed.
func (t *FilterTape) Write(file func(name string, b spool.Body)) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return nil, t.err
	}
	var b bytes.Buffer
	for _, n := range t.found {
		line, err := json.Marshal(n)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
		if n.Changed != nil {
			file(n.Changed.Message, n.body)
		}
	}
	return b.Bytes(), nil
}

// ReadFilterTape reads what Write wrote; file reads a message that it names.
func ReadFilterTape(data []byte, file func(name string) ([]byte, error)) (*FilterTape, error) {
	t := &FilterTape{replay: true}
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var n filterFinding
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		if n.Changed != nil {
			if !strings.HasPrefix(n.Changed.Message, "message.") || strings.ContainsAny(n.Changed.Message, "/\x00") {
				return nil, fmt.Errorf("%.60q is not a message of the record", n.Changed.Message)
			}
			text, err := file(n.Changed.Message)
			if err != nil {
				return nil, err
			}
			n.body = spool.BytesBody(text)
		}
		if t.found = append(t.found, n); len(t.found) > maxFilterFindings {
			return nil, fmt.Errorf("more than %d findings", maxFilterFindings)
		}
	}
}
