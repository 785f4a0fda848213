package relay

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/params"
	"paperpath/internal/smtpc"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// maxRecipients is how many recipients every host must accept in one transaction
// (RFC 5321 4.5.3.1.8).
const maxRecipients = 100

func fail(failed map[int]*failure, list []int, f *failure) {
	for _, i := range list {
		failed[i] = f
	}
}

// transaction is one message to some recipients.
type transaction struct {
	*session
	m      *Message
	text   *rendering // as the host gets it
	failed map[int]*failure
	over   *failure // the session can do nothing more
	fits   int      // recipients that the host takes in a transaction; 0: it did not say

	batch []int // the recipients that the host gets
	sent  *smtpc.Message
}

// begin returns the transaction for the recipients that the host can serve, nil if it
// can serve none of them; the others have failed.
func (t *transaction) begin(batch []int) *smtpc.Message {
	if batch = t.render(batch); len(batch) > 0 {
		batch = t.suited(batch)
	}
	if len(batch) == 0 {
		return nil
	}
	m := &smtpc.Message{Mail: t.mail(batch), Text: t.text.open, Size: t.text.octets}
	for _, i := range batch {
		m.Rcpt = append(m.Rcpt, t.rcpt(t.m.To[i]))
	}
	t.batch, t.sent = batch, m
	return m
}

// conclude evaluates the host's replies. It returns the recipients that are still
// undecided.
func (t *transaction) conclude(res *smtpc.Result) (later []int) {
	if res.Mail.Class() >= 4 {
		t.over = t.refusal("MAIL "+t.sent.Mail, res.Mail)
		return t.batch
	}
	if errors.Is(res.Err, smtpc.ErrImpossible) || errors.Is(res.Err, smtpc.ErrEarly) {
		t.over = t.lost(res) // the answers before may belong to other commands, too
		return t.batch
	}
	accepted, later := t.recipients(t.batch, t.sent, res)
	if res.Err != nil {
		t.over = t.lost(res)
	}
	switch {
	case len(accepted) == 0:
		return later
	case !res.Begun && res.Err != nil:
		return slices.Concat(accepted, later)
	}
	if f := t.lacking(res); f != nil {
		fail(t.failed, accepted, f)
		return later
	}
	if !t.offers("DSN") {
		t.m.noteNoDSN(accepted, answer{t.host.name, res.Final.Text})
	}
	by := t.remote()
	by.Signed = t.text.signed
	t.m.accepted(accepted, by, res.Final.Text)
	return later
}

// recipients separates the recipients that were accepted from those that need another
// transaction: those that were too many for the host (RFC 5321 4.5.3.1.10), and those
// it did not answer.
func (t *transaction) recipients(batch []int, m *smtpc.Message, res *smtpc.Result) (accepted, later []int) {
	for n, i := range batch {
		switch {
		case n >= len(res.Rcpt) || res.Rcpt[n].Code == 421:
			later = append(later, i)
		case res.Rcpt[n].Class() == 2:
			accepted = append(accepted, i)
		case len(accepted) > 0 && tooMany(res.Rcpt[n]):
			later, t.fits = append(later, i), len(accepted)
		default:
			t.failed[i] = t.refusal("RCPT "+m.Rcpt[n], res.Rcpt[n])
		}
	}
	return accepted, later
}

// tooMany reports whether a reply to RCPT means that there are too many recipients: 452,
// or 552 as before RFC 5321 (4.5.3.1.10), or the status of RFC 3463 3.6 with any 4xx, as
// OpenSMTPD has it.
func tooMany(r smtpc.Reply) bool {
	e := r.Enhanced()
	switch {
	case r.Code == 452 || r.Code == 552:
		return strings.HasSuffix(e, ".0.0") || strings.HasSuffix(e, ".5.3")
	default:
		return r.Class() == 4 && strings.HasSuffix(e, ".5.3")
	}
}

// lacking returns why the accepted recipients did not get the text, nil if they did.
// Before its end is out another host may be tried; after that only a refusal says that
// the message was not accepted.
func (t *transaction) lacking(res *smtpc.Result) *failure {
	switch {
	case res.Final.Class() == 2:
		return nil
	case res.Final.Code != 0:
		return t.refusal(t.end(), res.Final)
	case res.Data.Class() >= 4:
		return t.refusal("DATA", res.Data)
	case res.Ours != nil:
		return &failure{host: t.host, ours: true, err: status.Temp("4.3.0", "cannot read the message", res.Ours)}
	case res.Words.Class() >= 4:
		return t.refusal("message text", res.Words)
	}
	f := t.lost(res)
	f.elsewhere = !res.Sent
	return f
}

// end names the end of a text.
func (t *transaction) end() string {
	if t.offers("CHUNKING") {
		return "BDAT LAST"
	}
	return "final dot"
}

// refusal returns the failure that a reply means. If the host refused only for now,
// another may do better.
func (t *transaction) refusal(command string, r smtpc.Reply) *failure {
	f := t.session.failed(&smtpc.Error{Command: command, Reply: r})
	f.elsewhere = status.IsTemporary(f.err)
	return f
}

// lost returns the failure of a session that has ended; another host may do better.
func (t *transaction) lost(res *smtpc.Result) *failure {
	if res.Sent && res.Final.Code == 0 { // it may have the message
		f := t.session.failed(&smtpc.Error{Command: res.Command, Err: res.Err})
		f.elsewhere = false
		return f
	}
	if res.Words.Code != 0 {
		return t.refusal(res.Command, res.Words)
	}
	f := t.session.failed(&smtpc.Error{Command: res.Command, Err: res.Err})
	f.elsewhere = res.Ours == nil
	return f
}

// render makes the text as the host gets it, and fails all recipients if there is none.
func (t *transaction) render(batch []int) []int {
	var err error
	if t.text, err = t.m.as(t.m.formFor(t.offers)); err == nil {
		return batch
	}
	fail(t.failed, batch, formless(t.host, err))
	return nil
}

// suited fails what the host cannot accept anyway and returns the rest: it fails a
// message larger than the host's limit (RFC 1870 6.1), a message for verified TLS alone
// (RFC 8689), and an address that needs SMTPUTF8 (RFC 6531 3.2).
func (t *transaction) suited(batch []int) (list []int) {
	if most := t.smtp.MaxSize(); most > 0 && t.text.octets > most {
		fail(t.failed, batch, t.unsuited(552, "5.3.4",
			fmt.Sprintf("the message has %d octets, the host accepts at most %d", t.text.octets, most)))
		return nil
	}
	if t.m.requireTLS() {
		if why := t.bound(); why != "" {
			fail(t.failed, batch, t.unsuited(550, "5.7.30", "REQUIRETLS: "+why))
			return nil
		}
	}
	utf8 := t.offers("SMTPUTF8")
	for _, i := range batch {
		if utf8 || !t.m.needsUTF8() && !needsUTF8(t.m.reversePath()) && !needsUTF8(t.m.To[i].Addr) {
			list = append(list, i)
			continue
		}
		t.failed[i] = t.unsuited(553, "5.6.7", "the host does not offer SMTPUTF8, which an address or the header requires")
	}
	return list
}

func (t *transaction) unsuited(code int, enhanced, why string) *failure {
	return unsuited(t.host, code, enhanced, why)
}

// path returns an address as it goes over the wire: its domain in A-labels, so that
// only a local part beyond ASCII needs SMTPUTF8.
func path(address string) string {
	a, err := addr.Parse(address)
	if err != nil || !a.NeedsUTF8() {
		return address
	}
	if name, err := dns.ASCII(a.Domain); err == nil {
		a.Domain = name
	}
	return a.String()
}

func needsUTF8(address string) bool {
	for _, b := range []byte(path(address)) {
		if b >= 0x80 {
			return true
		}
	}
	return false
}

// mail returns what follows MAIL: the reverse path, and what RFC 3461 5.2 requires to
// be passed on if the host offers DSN.
func (t *transaction) mail(batch []int) string {
	words := []string{"FROM:<" + path(t.m.reversePath()) + ">"}
	utf8 := t.m.needsUTF8() || needsUTF8(t.m.reversePath())
	for _, i := range batch {
		utf8 = utf8 || needsUTF8(t.m.To[i].Addr)
	}
	add := func(offer, word string, is bool) {
		if is && t.offers(offer) {
			words = append(words, word)
		}
	}
	add("8BITMIME", "BODY=8BITMIME", t.m.shape.eightBit || t.m.shape.utf8Header)
	add("SIZE", "SIZE="+strconv.FormatInt(t.text.octets, 10), true)
	add("SMTPUTF8", "SMTPUTF8", utf8)
	add("REQUIRETLS", "REQUIRETLS", t.m.requireTLS())
	ret := params.Get(t.m.From.Params, "RET")
	add("DSN", "RET="+ret, ret == "FULL" || ret == "HDRS")
	id := params.Get(t.m.From.Params, "ENVID")
	add("DSN", "ENVID="+id, params.IsXtext(id))
	return strings.Join(words, " ")
}

// rcpt returns what follows RCPT.
func (t *transaction) rcpt(to spool.Recipient) string {
	words := []string{"TO:<" + path(to.Addr) + ">"}
	if !t.offers("DSN") {
		return words[0]
	}
	if notify := params.Notify(to.Params); len(notify) > 0 {
		words = append(words, "NOTIFY="+strings.Join(notify, ","))
	}
	if original, _ := params.HandedOn(to.Params); original != "" {
		words = append(words, "ORCPT="+original)
	}
	return strings.Join(words, " ")
}
