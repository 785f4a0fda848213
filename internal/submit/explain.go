package submit

import (
	"cmp"
	"os"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/check"
	"paperpath/internal/explain"
	"paperpath/internal/home"
	"paperpath/internal/route"
	"paperpath/internal/sendmail"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// Explain finds what would happen to recipients, and whether the submitter may use the
// reverse path from. say prints that of one recipient, with the error that decides it if there is
// one, and returns the exit status as an error, or its own.
func Explain(h *home.Home, from, login string, words []string,
	say func(t *explain.Trail, err error) (said, failed error)) error {
	if len(words) == 0 {
		return status.UsageError("no address to explain")
	}
	who := localUser{uid: os.Getuid()} // before root is given up
	if err := h.GiveUpRoot(); err != nil {
		return err
	}
	domain, err := ourDomain(h.Control)
	if err != nil {
		return err
	}
	to, err := sendmail.Recipients(words)
	if err != nil {
		return err
	}
	submitter, sender := who.submitter(), addr.Address{Local: who.name(), Domain: domain}
	if login != "" {
		if login, _, err = auth.AddressOf(h.Control, login); err != nil { // as servers read it
			return err
		}
		submitter = check.Submitter{Login: login}
	}
	if name := cmp.Or(from, login); name != "" {
		if sender, err = sendmail.ReversePath(name, domain); err != nil {
			return err
		}
	}
	var worst error
	for _, a := range to {
		a = sendmail.Qualified(a, domain)
		var t explain.Trail
		err := check.Sender(h.Control, submitter, sender, resolver(h.Control), &t)
		path := spool.Path{Addr: sender.String()}
		if err == nil {
			path, err = rewrittenPath(h.Control, path, &t)
		}
		if err == nil {
			_, err = route.Resolve(h.Control, path.Addr, a, &t)
		}
		t.End("accept " + a.String())
		if err != nil {
			t.End(err.Error())
		}
		said, failed := say(&t, err)
		if failed != nil {
			return failed
		}
		worst = status.Worse(worst, said)
	}
	return worst
}
