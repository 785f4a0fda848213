package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"paperpath/internal/callout"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Limits of what a program that filters says.
const (
	filterFields = 64 << 10 // bytes of standard output
	filterErrors = 64 << 10 // of standard error
	filterGrace  = time.Second
	mostFields   = 100
)

// programFilter asks a program about the message: it reads it on standard input, with our
// results and our Received on top, and answers by its exit status. On standard output it
// may have header fields for the message, or the reason.
type programFilter struct {
	control.Filter
	log *maillog.Log
}

// Name implements Check.
func (*programFilter) Name() string { return filtersName }

// Ask implements Check.
func (p *programFilter) Ask(ctx context.Context, m *Case, q Query) Finding {
	if !concerns(p.Filter, m) {
		return Finding{Result: "none", Reason: p.Filter.Name + ": only for mail that is " + string(p.For)}
	}
	r, err := p.call(m).Run(ctx)
	said := firstLine(r.Answer + "\n" + r.Output)
	q.Trail.Add("filter "+p.Filter.Name, fmt.Sprintf("exit status %d %s", r.Exit, said), p.Where)
	var found Finding
	if err == nil {
		found, err = p.answer(m, r, said)
	}
	if err != nil {
		if said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		p.log.Trouble(m.Key, "filter "+p.Filter.Name, err)
		return away(p.Filter, m, err)
	}
	if r.Stays {
		p.log.Trouble(m.Key, "filter "+p.Filter.Name, errors.New("it has left a process that keeps its output open"))
	}
	found.Reason = strings.TrimSuffix(p.Filter.Name+": "+found.Reason, ": ")
	return found
}

// answer says what an exit status means. The error is that it means nothing.
func (p *programFilter) answer(m *Case, r callout.Result, said string) (Finding, error) {
	reply := said
	if reply == "" {
		reply = "refused by a mail filter"
	}
	switch r.Exit {
	case 0:
		fields, err := filterHeader(r.Answer)
		if err != nil || fields == "" {
			return Finding{}, err
		}
		change, err := m.insert(fields)
		return Finding{Changed: change}, err
	case status.Refused:
		e := status.Refuse("5.7.1", reply)
		e.Reply = 550
		return Finding{Fails: true, Answer: control.CheckRefuse, Reason: said, Err: e}, nil
	case status.TempFail:
		return Finding{Fails: true, Result: "defer", Answer: control.CheckDefer, Reason: said,
			Err: status.Temp("4.7.1", reply, nil)}, nil
	case filterHold:
		return Finding{Fails: true, Result: "hold", Answer: control.CheckHold, Reason: said}, nil
	}
	return Finding{}, fmt.Errorf("exit status %d", r.Exit)
}

// filterHold is the exit status of a program that wants a person to look at the message.
const filterHold = 99

// call is the call of the program. Addresses are in the environment alone: no program
// parses that.
func (p *programFilter) call(m *Case) callout.Call {
	var whole message.Pieces
	whole.Text(strings.Join(m.results, "") + m.Received)
	whole.Stretch(m.Body, 0, m.Body.Size())
	var to []string
	for _, r := range m.Envelope.To {
		to = append(to, r.Addr)
	}
	login := m.Login
	if login == "" {
		login = m.LocalUser
	}
	first, _, _ := strings.Cut(strings.Join(to, "\n"), "\n")
	env := []string{"FILTER=" + p.Filter.Name, "SENDER=" + m.Envelope.From.Addr, "RECIPIENT=" + first,
		"RECIPIENTS=" + strings.Join(to, "\n"), "HELO=" + m.Helo, "LOGIN=" + login, "PROTOCOL=" + m.With,
		"KEY=" + m.Key, fmt.Sprint("SIZE=", whole.Size())}
	if m.Client.IsValid() {
		env = append(env, "CLIENT="+m.Client.String())
	}
	for i, v := range env {
		env[i] = strings.ReplaceAll(v, "\x00", "")
	}
	return callout.Call{Path: p.Path, Args: p.Args, Env: env, Dir: "/", Input: io.NewSectionReader(&whole, 0, whole.Size()),
		Time: p.Time, Grace: filterGrace, Memory: p.Memory, Answer: filterFields, Output: filterErrors}
}

// mayNotAdd reports whether a filter may not add a field: one that is ours or the spool's, and one of
// which a second would make the message another one for some readers.
func mayNotAdd(name string) bool {
	for _, n := range append(once[:], "From", "Sender", "Return-Path", "Delivered-To", "Delivered_To", "Received") {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return strings.HasPrefix(strings.ToLower(name), "resent-")
}

// filterHeader reads the header fields that a program wants to add.
func filterHeader(text string) (string, error) {
	text = strings.Trim(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if text == "" {
		return "", nil
	}
	text += "\n"
	h, err := message.Read(strings.NewReader(text), filterFields, mostFields)
	switch {
	case err != nil:
		return "", fmt.Errorf("its output: %w", err)
	case h.Junk > 0 || h.Blank || h.CR || h.NUL || len(h.Fields) == 0 || h.Fields[0].Start != 0:
		return "", errors.New("its output is not made of header fields")
	}
	for _, f := range h.Fields {
		if mayNotAdd(f.Name) {
			return "", fmt.Errorf("it may not add the field %s", visible.ASCII(f.Name))
		}
	}
	for line := range strings.Lines(text) {
		if bare := strings.TrimSuffix(line, "\n"); len(bare) > maxLine || strings.Trim(bare, " \t") == "" ||
			strings.ContainsFunc(bare, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
			return "", errors.New("a line of its output is too long, blank or not ASCII")
		}
		if !strings.ContainsRune(" \t", rune(line[0])) && !namesField(line) {
			return "", errors.New("a field of its output has no name before a colon")
		}
	}
	return text, nil
}

// namesField reports whether a line begins with the name of a field and a colon at once. A
// blank or a new line between them is obsolete (RFC 5322 4.5), and not read by all.
func namesField(line string) bool {
	name, _, ok := strings.Cut(line, ":")
	return ok && name != "" && !strings.ContainsAny(name, " \t\n")
}

// longestSaid is how much a reply or an event has of what a program says.
const longestSaid = 200

// firstLine is what a program says first.
func firstLine(text string) string {
	text = strings.TrimLeft(text, " \t\r\n")
	line, _, _ := strings.Cut(text, "\n")
	line = strings.TrimRight(visible.ASCII(strings.TrimRight(line, "\r")), " ")
	return line[:min(len(line), longestSaid)]
}
