package check

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/dmarc"
	"paperpath/internal/dns"
	"paperpath/internal/explain"
	"paperpath/internal/message"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// fromCheck requires exactly one From field (RFC 5322 3.6): with two, one program checks
// the first and another shows the second.
type fromCheck struct{}

// Name implements Check.
func (fromCheck) Name() string { return "from" }

// Ask implements Check.
func (fromCheck) Ask(_ context.Context, m *Case, q Query) Finding {
	return failed(checkFrom(m, q.Trail))
}

func checkFrom(m *Case, t *explain.Trail) error {
	f := m.fromOf()
	t.Add("From fields", strconv.Itoa(f.Fields), "")
	switch {
	case f.Fields == 0:
		return badFrom("no From field (RFC 5322 3.6)")
	case f.Fields > 1:
		return badFrom(fmt.Sprintf("%d From fields instead of one (RFC 5322 3.6)", f.Fields))
	}
	for i := range len(f.Value) {
		if c := f.Value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return badFrom("From contains a control character")
		}
	}
	if m.submitted() {
		return nil // senderCheck reads it
	}
	return checkAuthor(m, f, t)
}

// fromOf reads From once for all checks that want to know.
func (m *Case) fromOf() *dmarc.From {
	if m.from == nil {
		m.from = dmarc.ReadFrom(m.Header)
	}
	return m.from
}

// checkAuthor requires that From of a message from another host names one author, or
// several with a Sender for the one who sent it (RFC 5322 3.6.2). Without an address,
// or with two that hide each other, DMARC has no domain to check and mail readers show
// people something wrong, so such mail is refused everywhere (RFC 7489 6.6.1). A group
// without members (RFC 6854) contains no address. Words without a domain are parts of
// a name with a comma.
func checkAuthor(m *Case, f *dmarc.From, t *explain.Trail) error {
	if isSystem(m, f.Value) {
		t.Add("authors", "a mail system", "From")
		return nil
	}
	if f.Err != nil {
		return badFrom(visible.ASCII("invalid From (RFC 5322 3.6.2): " + f.Err.Error()))
	}
	list := f.List
	if noDomain := func(a addr.Address) bool { return a.Domain == "" }; slices.ContainsFunc(list, noDomain) {
		list = slices.DeleteFunc(slices.Clone(list), noDomain)
	}
	t.Add("authors", strconv.Itoa(len(list)), "From")
	switch {
	case len(list) == 0:
		return badFrom("no valid address in From (RFC 5322 3.6.2)")
	case len(list) > 1 && !hasSender(m.Header):
		return badFrom("several addresses in From without a Sender (RFC 5322 3.6.2)")
	case slices.ContainsFunc(list, isNowhere):
		return badFrom("an address in From whose domain cannot exist (RFC 5890 2.3.2.1)")
	}
	return nil
}

// isNowhere reports whether no DNS can have the domain of an address. Such a one is no
// honest author's: with a character that nobody sees it looks like another domain, whose
// policy is then not asked for.
func isNowhere(a addr.Address) bool {
	_, err := dns.ASCII(a.Domain)
	_, literal := addr.Literal(a.Domain)
	return err != nil && !literal
}

// isSystem reports whether From only says that a mail system is the author: `<>`, or
// MAILER-DAEMON or postmaster without a domain. Some systems write that in reports,
// which have the null reverse path (RFC 5321 6.1).
func isSystem(m *Case, from string) bool {
	if m.Envelope.From.Addr != "" || len(m.Envelope.To) == 0 { // a filter may not know the envelope
		return false
	}
	list, err := addr.ParseList(from)
	return from == "<>" || err == nil && len(list) == 1 && list[0].Domain == "" &&
		(strings.EqualFold(list[0].Local, "mailer-daemon") || strings.EqualFold(list[0].Local, "postmaster"))
}

// hasSender reports whether one Sender field names one sender.
func hasSender(h *message.Header) bool {
	fields := h.All("Sender")
	if len(fields) != 1 {
		return false
	}
	list, err := addr.ParseForeign(fields[0].Value)
	return err == nil && len(list) == 1 && list[0].Domain != ""
}

// badFrom refuses a message for its From, with the code that other servers use.
func badFrom(text string) error {
	e := status.Refuse("5.6.0", text)
	e.Reply = 550
	return e
}
