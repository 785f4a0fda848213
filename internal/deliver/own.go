package deliver

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/params"
	"paperpath/internal/route"
	"paperpath/internal/rules"
	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/visible"
	"paperpath/maildir"
)

// plan is what becomes of a message by the rules of its recipient.
type plan struct {
	store    bool           // into the mailbox
	copies   []string       // other Maildirs
	forwards []addr.Address // to others
	from     *addr.Address  // the reverse path of what is forwarded; nil: unchanged
	verp     bool           // each forward has its own, made of from
	ran      bool           // a program has it, or a file
}

// usual is the plan for a user without rules.
var usual = plan{store: true}

// own carries out the rules of one user for one message.
type own struct {
	user     *control.User
	to       addr.Address // the recipient
	from     addr.Address // the reverse path
	key      string
	message  text                 // what programs and files get
	programs func() (bool, error) // whether users may run programs
	ready    func(p plan) error   // makes sure that what is to be stored has a place
	log      ranLog
	begin    func() // is called before a program runs; nil: not wanted
	now      func() time.Time

	group      int                  // whose users share the user's home; 0: none
	delimiters string               // control/delimiters
	passed     func() (bool, error) // whether the message was forwarded from here before
}

// plan does what rules say, but for what the spool has to do. Instructions are done in turn;
// one that fails ends it, and nothing is stored or forwarded. Without rules the message is
// stored, and so it is where it was forwarded from here before.
func (o *own) plan(ctx context.Context, r *rules.Rules) (p plan, err error) {
	if r == nil {
		return usual, nil
	}
	if passed, err := o.passed(); passed || err != nil {
		return usual, err // to break a loop (RFC 9228)
	}
	if err := o.foresee(r); err != nil {
		return p, err
	}
	for _, step := range r.Steps {
		more, err := o.do(ctx, &p, step, r)
		if err != nil {
			return plan{}, err
		}
		if !more {
			break
		}
	}
	o.returnPath(&p, r)
	return p, nil
}

// foresee finds what is wrong with the instructions before a program runs or a file grows: it
// would again at each attempt.
func (o *own) foresee(r *rules.Rules) error {
	var p plan
	for _, step := range r.Steps {
		var err error
		switch {
		case r.ForwardOnly && step.Kind != rules.Forward:
			err = temporary(step.Where, errors.New("the file is for forwarding only: it has +list, or may be executed"))
		case step.Kind == rules.Mbox:
			if _, err = o.path(step); err == nil {
				err = notAsRoot(step)
			}
		case step.Kind == rules.Program:
			err = mayRun(o.programs, step)
		default:
			_, err = o.do(context.Background(), &p, step, r) // changes p alone
		}
		if err != nil {
			return err
		}
	}
	return o.ready(p)
}

// do does one instruction. more says that those after it count.
func (o *own) do(ctx context.Context, p *plan, step rules.Step, r *rules.Rules) (more bool, err error) {
	switch step.Kind {
	case rules.Store:
		return true, o.keep(p, step)
	case rules.Maildir:
		return true, o.maildir(p, step)
	case rules.Forward:
		return true, o.forward(p, step)
	case rules.Mbox:
		p.ran = true
		return true, o.mbox(step)
	}
	p.ran = true
	return o.program(ctx, step, r)
}

// temporary is the error of an instruction that cannot be done as it is: only the user can
// mend it, and until then the message waits.
func temporary(where string, err error) error {
	return status.Temp("4.7.0", "the user's own rules cannot be used", fmt.Errorf("%s: %w", where, err))
}

// keep stores in the mailbox: the name behind a backslash has to be the user's own.
func (o *own) keep(p *plan, step rules.Step) error {
	if step.Text == "" {
		p.store = true
		return nil
	}
	a, err := o.address(step.Text)
	if err != nil {
		return temporary(step.Where, err)
	}
	if !o.isOwn(a) {
		return o.forward(p, rules.Step{Kind: rules.Forward, Text: step.Text, Where: step.Where})
	}
	p.store = true
	return nil
}

// address parses an address; one without a domain is in the user's.
func (o *own) address(text string) (addr.Address, error) {
	if !strings.Contains(text, "@") {
		_, domain := addr.Split(o.user.Address)
		text += "@" + domain
	}
	a, err := addr.Parse(strings.Trim(text, " \t"))
	if err != nil && strings.Contains(text, "<") {
		var list []addr.Address
		if list, err = addr.ParseForeign(text); err == nil && len(list) == 1 {
			return list[0], nil
		}
	}
	return a, err
}

// isOwn reports whether an address is the user's: a rule cannot forward to where it is.
func (o *own) isOwn(a addr.Address) bool {
	for _, form := range a.Names(o.delimiters) {
		if addr.FoldAddress(form.String()) == addr.FoldAddress(o.user.Address) {
			return true
		}
	}
	return false
}

func (o *own) forward(p *plan, step rules.Step) error {
	a, err := o.address(step.Text)
	if err != nil {
		return temporary(step.Where, fmt.Errorf("%s: %w", visible.Line(step.Text), err))
	}
	if o.isOwn(a) {
		return o.toOwn(p, a)
	}
	if !slices.Contains(p.forwards, a) {
		p.forwards = append(p.forwards, a)
	}
	return nil
}

// toOwn stores what the user forwards to themselves: sent through the queue it would come
// back as a loop. Another extension is its folder, if it is one.
func (o *own) toOwn(p *plan, a addr.Address) error {
	ext := addr.Fold(extension(o.user, a))
	if ext == addr.Fold(extension(o.user, o.to)) || !o.user.Folders || !isFolder(ext) {
		p.store = true
		return nil
	}
	path, err := folderIn(o.user.Maildir(), ext)
	if err == nil && !slices.Contains(p.copies, path) {
		p.copies = append(p.copies, path)
	}
	return err
}

// maildir has the spool store a copy: below the home alone.
func (o *own) maildir(p *plan, step rules.Step) error {
	path, err := o.path(step)
	if err == nil && path == o.user.Maildir() {
		p.store = true
	} else if err == nil && !slices.Contains(p.copies, path) {
		p.copies = append(p.copies, path)
	}
	return err
}

// path is that of a file or a Maildir of the user, who may name nothing outside their home.
func (o *own) path(step rules.Step) (string, error) {
	path := step.Text
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.user.Home, path)
	}
	if slices.Contains(strings.Split(step.Text, "/"), "..") || !strings.HasPrefix(filepath.Clean(path), o.user.Home+"/") {
		return "", temporary(step.Where, fmt.Errorf("%s is not in the user's home", visible.Line(step.Text)))
	}
	return filepath.Clean(path), nil
}

// returnPath is that of a list, if the user has a file ending in -owner (dot-qmail(5)).
func (o *own) returnPath(p *plan, r *rules.Rules) {
	if !r.List || len(p.forwards) == 0 || o.from.IsNull() {
		return
	}
	if owner := o.ownerSuffix(); owner != "" {
		p.from = &addr.Address{Local: o.to.Local + owner, Domain: o.to.Domain}
		p.verp = r.VERP
	}
}

// ownerSuffix is what the address of an owner has behind the recipient. Where that has no
// extension, it must be one: elsewhere nobody would get the failures.
func (o *own) ownerSuffix() string {
	if extension(o.user, o.to) != "" || strings.Contains(o.delimiters, "-") {
		return "-owner"
	}
	if o.delimiters == "" {
		return ""
	}
	return o.delimiters[:1] + "owner"
}

// extension is what follows the user's name in a recipient, "" for nothing.
func extension(u *control.User, to addr.Address) string {
	local, _ := addr.Split(u.Address)
	if len(to.Local) > len(local) && addr.Fold(to.Local[:len(local)]) == addr.Fold(local) {
		return to.Local[len(local)+1:]
	}
	return ""
}

// sending is what is forwarded with one reverse path.
type sending struct {
	from string
	to   []addr.Address
}

// sendings are the forwards by their reverse paths, from being that of the message. With VERP
// each recipient has one, in which "=" stands for the "@" of their address; one that a host may
// find too long (RFC 5321 4.5.3.1.1) stays that of the owner.
func (p plan) sendings(from string) (list []sending) {
	if p.from != nil {
		from = p.from.String()
	}
	if !p.verp {
		return []sending{{from, p.forwards}}
	}
	for _, a := range p.forwards {
		s := sending{from, []addr.Address{a}}
		own := addr.Address{Local: p.from.Local + "-" + a.Local + "=" + a.Domain, Domain: p.from.Domain}
		if len(own.Local) <= addr.SafeLocal {
			s.from = own.String()
		}
		list = append(list, s)
	}
	return list
}

// children are the entries that forward a message: one for all that have the same reverse path,
// since mailroute sends each where it belongs. They name the recipient, by which the message is
// known if it returns.
func (p plan) children(e *spool.Entry) []spool.Child {
	if len(p.forwards) == 0 {
		return nil
	}
	r := e.Envelope.To[0]
	c := spool.Child{Inbox: spool.InboxRoute, From: e.Envelope.From, Passed: []string{r.Addr}}
	if r.Params == "" {
		c.Original = r.Addr
	}
	var list []spool.Child
	for _, s := range p.sendings(e.Envelope.From.Addr) {
		c.To = p.recipients(r, s.to)
		if p.from != nil {
			c.From = spool.Path{Addr: s.from}
		}
		list = append(list, c)
	}
	return list
}

// recipients are those who get what came for r.
func (p plan) recipients(r spool.Recipient, list []addr.Address) (all []spool.Recipient) {
	for _, a := range list {
		to := route.Successor(r, a)
		if p.from != nil { // whether reports are wanted is no business of the sender behind a list (RFC 3461 5.2.7.3)
			to.Params = params.Without(to.Params, "NOTIFY", "ORCPT")
		}
		all = append(all, to)
	}
	return all
}

// counted is how often the quota of u counts the message.
func (p plan) counted(u *control.User) (n int64) {
	if p.store {
		n++
	}
	for _, path := range p.copies {
		if folder, is := strings.CutPrefix(path, u.Maildir()+"/"); is && maildir.Counts(folder) {
			n++
		}
	}
	return n
}

// rest are the Maildirs that get a copy: all but the one that the entry itself goes into.
func (p plan) rest() []string {
	if p.store || len(p.copies) == 0 {
		return p.copies
	}
	return p.copies[:len(p.copies)-1]
}
