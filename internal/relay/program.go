package relay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/callout"
	"paperpath/internal/control"
	"paperpath/internal/maillog"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// Limits of a program that takes mail.
const (
	programTime   = 15 * time.Minute
	programMemory = 1 << 30 // of each of its processes
	programOutput = 1 << 20
)

// tryProgram hands the message to a program: once for each recipient, or for as many of
// them as the row says. Its exit status is the answer for all recipients of a call.
func (a *attempt) tryProgram(ctx context.Context, to control.RouteTarget) {
	if a.finished(ctx) {
		return
	}
	p := program{attempt: a, target: to, host: host{name: "program:" + to.Path, routed: true}}
	inside, err := a.m.inside()
	if err != nil {
		a.failAll(&failure{host: p.host, ours: true, err: status.Temp("4.3.0", "cannot read the message", err)})
		return
	}
	p.inside = inside
	failed := map[int]*failure{}
	for todo := a.left; len(todo) > 0; {
		if ctx.Err() != nil {
			fail(failed, todo, p.trouble("stopped between two calls"))
			break
		}
		n := min(len(todo), max(a.route.Recipients, 1))
		f := p.call(ctx, todo[:n])
		if f != nil {
			fail(failed, todo[:n], f)
		}
		if todo = todo[n:]; f != nil && f.ours { // it would be the same for the others
			fail(failed, todo, f)
			break
		}
	}
	a.noteAll(failed)
}

// program is a program that takes mail.
type program struct {
	*attempt
	target control.RouteTarget
	host   host
	inside *Message
}

// trouble is the failure of a call that has no exit status.
func (p *program) trouble(why string) *failure {
	return &failure{host: p.host, ours: true, err: status.Ours("4.3.0", "", p.host.name+": "+why, nil)}
}

// call calls the program for some recipients. nil: it has taken the message.
func (p *program) call(ctx context.Context, batch []int) *failure {
	c := callout.Call{Path: p.target.Path, Args: p.target.Args, Env: p.environment(batch), Dir: "/",
		Input: p.inside.Content, Time: programTime, Grace: p.Times.Grace, Memory: programMemory, Output: programOutput}
	if p.route.Time > 0 {
		c.Time = p.route.Time
	}
	r, err := c.Run(ctx)
	said := strings.Join(strings.Fields(visible.ASCII(r.Output)), " ")
	if err != nil {
		f := p.trouble(join(err.Error(), said))
		p.Log.Trouble(p.m.Key, "program of "+p.route.Where+", mail is deferred", f.err)
		return f
	}
	p.reach.reached(p.name)
	if r.Stays {
		p.Log.Trouble(p.m.Key, "program of "+p.route.Where, fmt.Errorf(
			"%s has ended with %d and left a process that keeps its output open", p.target.Path, r.Exit))
	}
	text := join(fmt.Sprintf("exit status %d", r.Exit), said)
	enhanced, done := callout.Answer(r.Exit)
	switch {
	case done:
		p.m.noteNoDSN(batch, answer{})
		p.m.accepted(batch, maillog.Remote{Host: p.host.name}, text)
		return nil
	case enhanced[0] == '5':
		return &failure{host: p.host, err: &status.Error{Exit: status.Unavailable, Reply: 550, Enhanced: enhanced,
			Text: p.host.name + ": " + text}}
	}
	return &failure{host: p.host, err: status.Temp(enhanced, p.host.name+": "+text, nil)}
}

func join(text, more string) string {
	if more == "" {
		return text
	}
	return text + ": " + more
}

// environment is all that a program learns beside the message. Addresses are here alone:
// a program that passes them on has to quote them.
func (p *program) environment(batch []int) []string {
	var to []string
	for _, i := range batch {
		to = append(to, p.m.To[i].Addr)
	}
	_, domain := addr.Split(to[0])
	return []string{
		"SENDER=" + p.m.From.Addr,
		"RECIPIENT=" + to[0],
		"RECIPIENTS=" + strings.Join(to, "\n"),
		"DOMAIN=" + domain,
		"KEY=" + p.m.Key,
		fmt.Sprint("SIZE=", p.inside.Content.Size()),
	}
}
