package submit

import (
	"bufio"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/explain"
	"paperpath/internal/maillog"
	"paperpath/internal/message"
	"paperpath/internal/program"
	"paperpath/internal/route"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Options are what the sendmail face was told.
type Options struct {
	Recipients []string // operands
	FromHeader bool     // -t: the recipients stand in the header
	Sender     string   // -f: the reverse path
	SenderSet  bool
	FullName   string // -F
	IgnoreDots bool   // -i
	Verbose    bool   // -v: print the key
}

// local is a submission by a local user.
type local struct {
	f      *program.Frame
	o      Options
	user   string // login name of the caller
	domain string // of addresses without one
	from   addr.Address
}

// Message accepts the message on standard input into check/. A nil error says
// that it is durable there.
func Message(f *program.Frame, o Options) error {
	l := local{f: f, o: o, user: callerName()}
	err := l.message()
	switch status.Exit(err) {
	case status.Refused, status.NotAllowed:
		f.Log.Refused(l.from.String(), strings.Join(o.Recipients, " "), err.Error(), l.client())
	}
	return err
}

func (l *local) client() maillog.Client {
	return maillog.Client{Addr: "stdin", UID: strconv.Itoa(os.Getuid())}
}

func (l *local) message() error {
	sp, err := l.f.Spool()
	if err != nil {
		return err
	}
	if l.domain, err = route.FirstDomain(l.f.Control); err != nil {
		return err
	}
	if err := l.sender(); err != nil {
		return err
	}
	to, err := l.addresses(l.o.Recipients)
	if err != nil {
		return err
	}
	if len(to) == 0 && !l.o.FromHeader {
		return status.UsageError("no recipients (name them, or use -t)")
	}
	buf := sp.Buffer()
	defer buf.Close()
	if err := l.read(buf); err != nil {
		return err
	}
	return l.accept(sp, buf, to)
}

// callerName is the login name of the caller; his uid where it has none.
func callerName() string {
	uid := strconv.Itoa(os.Getuid())
	if u, err := user.LookupId(uid); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid" + uid
}

// sender finds the reverse path: -f, or the caller at our domain.
func (l *local) sender() error {
	if !l.o.SenderSet {
		l.from = addr.Address{Local: l.user, Domain: l.domain}
	} else if s := strings.TrimSpace(l.o.Sender); s != "" && s != "<>" {
		list, err := addr.ParseList(s)
		if err != nil || len(list) != 1 {
			return status.UsageError("reverse path %q is no address", l.o.Sender)
		}
		l.from = l.qualified(list[0])
	}
	return check.Sender(l.f.Control, "", l.user, l.from, nil, nil)
}

func (l *local) qualified(a addr.Address) addr.Address {
	if a.Domain == "" {
		a.Domain = l.domain
	}
	return a
}

// addresses reads operands: each is an address or a list of them.
func (l *local) addresses(words []string) ([]addr.Address, error) {
	var all []addr.Address
	for _, word := range words {
		list, err := addr.ParseList(word)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("%q holds no address", word)
		}
		if err != nil {
			return nil, status.UsageError("recipient %v", err)
		}
		for _, a := range list {
			all = append(all, l.qualified(a))
		}
	}
	return all, nil
}

// read takes standard input.
func (l *local) read(buf *spool.Buffer) error {
	limit, err := l.f.Control.Databytes()
	if err != nil {
		return err
	}
	in := intake{r: bufio.NewReaderSize(l.f.Stdin, 64<<10), w: buf, limit: limit, dotEnds: !l.o.IgnoreDots}
	if err := in.copy(); err != nil {
		return err
	}
	if buf.Size() == 0 {
		return status.Refuse("5.6.0", "no message on standard input")
	}
	return nil
}

// accept completes the message and stores it.
func (l *local) accept(sp *spool.Spool, buf *spool.Buffer, to []addr.Address) error {
	host, err := l.f.Control.Hostname()
	if err != nil {
		return err
	}
	c := composer{host: host, now: l.f.Clock.Now()}
	h, err := c.header(l.f.Control, buf)
	if err != nil {
		return err
	}
	c.drop = append(private(h), check.Forged(h, host)...)
	if l.o.FromHeader {
		listed, err := l.listed(h)
		if err != nil {
			return err
		}
		to = append(to, listed...)
	}
	if len(to) == 0 {
		return status.UsageError("no recipients in To, Cc or Bcc")
	}
	c.drop = inOrder(c.drop)
	c.from(h, l.author(), l.o.FullName)
	c.complete(h)
	if err := l.authors(h); err != nil {
		return err
	}
	return l.store(sp, to, host, h, c.body(buf))
}

// listed are the recipients in the header.
func (l *local) listed(h *message.Header) ([]addr.Address, error) {
	var all []addr.Address
	for _, f := range h.Fields {
		switch addr.Fold(f.Name) {
		case "to", "cc", "bcc":
			list, err := addr.ParseList(f.Value)
			if err != nil {
				return nil, status.Refuse("5.1.3", fmt.Sprintf("%s: %v", f.Name, err))
			}
			for _, a := range list {
				all = append(all, l.qualified(a))
			}
		}
	}
	return all, nil
}

// author is who stands in a From field that is added: the sender, or with a
// null reverse path the caller.
func (l *local) author() addr.Address {
	if l.from.IsNull() {
		return addr.Address{Local: l.user, Domain: l.domain}
	}
	return l.from
}

// authors holds a From field against what the caller may use.
func (l *local) authors(h *message.Header) error {
	list, err := addr.ParseList(h.Value("From"))
	if err != nil {
		return nil // mailcheck's matter: the sendmail face takes what cron writes
	}
	for _, a := range list {
		if err := check.Sender(l.f.Control, "", l.user, l.qualified(a), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

func (l *local) store(sp *spool.Spool, to []addr.Address, host string, h *message.Header, body spool.Body) error {
	env := spool.Envelope{From: spool.Path{Addr: l.from.String()}}
	seen := map[string]bool{}
	for _, a := range to {
		if !seen[a.Key()] {
			seen[a.Key()] = true
			env.To = append(env.To, spool.Recipient{Addr: a.String()})
		}
	}
	most, err := l.f.Control.Limit("recipients", 1000)
	if err != nil {
		return err
	}
	if int64(len(env.To)) > most {
		return status.Refuse("5.5.3", fmt.Sprintf("more than %d recipients", most))
	}
	trace := spool.Trace{By: host, With: spool.WithLocal}
	key, err := sp.Accept(spool.Check, env, nil, trace, body)
	if err != nil {
		return err
	}
	l.f.Log.Accepted(string(key), string(spool.Check), env.From.Addr, addresses(env), body.Size(), trace.With,
		h.Value("Message-ID"), l.client())
	if l.o.Verbose {
		fmt.Fprintf(l.f.Stderr, "%s: accepted as %s\n", l.f.Name, key)
	}
	return nil
}

// Explain says what would become of recipients, and whether the submitter may
// use the reverse path from.
func Explain(f *program.Frame, from, login string, recipients []string, asJSON bool) error {
	if len(recipients) == 0 {
		return status.UsageError("no address to explain")
	}
	l := local{f: f, o: Options{Sender: from, SenderSet: from != ""}, user: callerName()}
	if login != "" {
		l.user = ""
	}
	var err error
	if l.domain, err = route.FirstDomain(f.Control); err != nil {
		return err
	}
	to, err := l.addresses(recipients)
	if err != nil {
		return err
	}
	sender := addr.Address{Local: l.user, Domain: l.domain}
	if login != "" || from != "" {
		name := from
		if name == "" {
			name = login
		}
		list, err := addr.ParseList(name)
		if err != nil || len(list) != 1 {
			return status.UsageError("reverse path %q is no address", name)
		}
		sender = l.qualified(list[0])
	}
	var worst error
	for _, a := range to {
		var t explain.Trail
		err := check.Sender(f.Control, login, l.user, sender, resolver(f.Control), &t)
		if err == nil {
			_, err = route.Resolve(f.Control, a, &t)
		}
		t.End("accept " + a.String())
		if err != nil {
			t.End(err.Error())
			worst = &status.Error{Exit: status.Exit(err)}
		}
		if err := t.Write(f.Stdout, asJSON); err != nil {
			return err
		}
	}
	return worst
}
