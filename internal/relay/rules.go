package relay

import (
	"fmt"
	"strings"

	"paperpath/internal/control"
	"paperpath/internal/smtpc"
	"paperpath/internal/status"
)

// judge applies the rule of control/reply-rules, or the built-in one, that a failure's
// reply matches. It does so once for each failure, however many recipients share it.
func (a *attempt) judge(f *failure) {
	if f.words.Code == 0 || f.judged {
		return
	}
	f.judged = true
	rule, err := a.Control.ReplyRule(control.RemoteReply{Code: f.words.Code, Enhanced: f.words.Enhanced(),
		Text: f.words.Text, Host: f.host.name, Domain: a.domain})
	switch {
	case err != nil:
		// The rule that cannot be read may say anything but that the message is lost.
		if !control.IsBrokenRow(err) {
			a.Log.Trouble(a.m.Key, "control/reply-rules", err)
		}
		f.temporary()
	case rule != nil && !(f.settings && rule.IsBuiltIn()):
		f.obey(*rule)
		if rule.Action == control.ReplySlow {
			a.slow(a.name, f, rule.For)
		}
	}
}

// obey makes of a failure what a rule says.
func (f *failure) obey(rule control.ReplyRule) {
	f.rule = rule.String()
	switch rule.Action {
	case control.ReplyRetry, control.ReplySlow:
		f.temporary()
		f.elsewhere, f.again, f.slow = true, rule.For, rule.Action == control.ReplySlow
		if rule.Action == control.ReplyRetry && rule.For > 0 {
			f.again = max(rule.For, hint(f.words.Text))
		}
	case control.ReplyBounce:
		f.permanent()
		f.elsewhere = false
	case control.ReplyHold:
		f.permanent()
		f.elsewhere, f.hold = false, true
	case control.ReplyFamily:
		f.elsewhere, f.shuns = true, shunFamily
	case control.ReplyRoute:
		f.elsewhere, f.shuns = true, shunHost
	case control.ReplyStandard:
		f.rule = ""
	}
}

// temporary makes a failure temporary.
func (f *failure) temporary() {
	if !status.IsTemporary(f.err) {
		f.err = status.Temp(ofClass("4", f.err.Enhanced), f.err.Text, f.err.Err)
	}
}

// permanent makes a failure permanent.
func (f *failure) permanent() {
	if status.IsTemporary(f.err) {
		f.err = &status.Error{Exit: status.Unavailable, Enhanced: ofClass("5", f.err.Enhanced),
			Text: f.err.Text}
	}
}

// ofClass returns a status code with another class.
func ofClass(class, enhanced string) string {
	if _, rest, ok := strings.Cut(enhanced, "."); ok {
		return class + "." + rest
	}
	return class + ".0.0"
}

// shun is what a recipient's mail does not go to any more in this attempt.
type shun int

const (
	shunNothing shun = iota
	shunFamily       // addresses of the family of the host that refused
	shunHost         // the other addresses of the host that refused
)

// shunned is where a recipient's mail does not go any more in this attempt.
type shunned struct {
	v4, v6 bool
	host   string // a name, with its port
}

func (s shunned) has(h host) bool {
	v4 := h.addr.Addr().Is4()
	return v4 && s.v4 || !v4 && s.v6 || s.host == h.place()
}

// place names a host whatever its address.
func (h host) place() string { return fmt.Sprintf("%s:%d", h.name, h.addr.Port()) }

// from returns the recipients that are left and may be sent to a host, and those that
// may not after what other hosts said.
func (a *attempt) from(h host) (now, not []int) {
	for _, i := range a.left {
		if a.shunned[i].has(h) {
			not = append(not, i)
		} else {
			now = append(now, i)
		}
	}
	return now, not
}

// shunFor notes what recipient i does not go to any more.
func (a *attempt) shunFor(i int, f *failure) {
	if f.shuns == shunNothing {
		return
	}
	s := a.shunned[i]
	switch v4 := f.host.addr.Addr().Is4(); {
	case f.shuns == shunHost:
		s.host = f.host.place()
	case v4:
		s.v4 = true
	default:
		s.v6 = true
	}
	if a.shunned == nil {
		a.shunned = map[int]shunned{}
	}
	a.shunned[i] = s
}

// ExplainReply says what rule decides about a reply as people have it in a log or a
// bounce, and what becomes of the recipient.
func (r *Relay) ExplainReply(text, host, domain string,
	add func(decision, value, source string)) (string, error) {
	reply, err := control.ParseReply(text, host, domain)
	if err != nil {
		return "", status.UsageError("--reply: %v", err)
	}
	add("reply", text, "")
	s := &session{}
	f := s.failed(&smtpc.Error{Command: "RCPT", Reply: smtpc.Reply{Code: reply.Code, Text: reply.Text}})
	if reply.Code < 400 {
		return "", status.UsageError("--reply: %q is not a refusal", text)
	}
	f.elsewhere = status.IsTemporary(f.err)
	rule, err := r.Control.ReplyRule(reply)
	if err != nil {
		return "", err
	}
	if rule == nil {
		add("rule", "none, so the first digit decides", "RFC 5321 4.2.1")
	} else {
		add("rule", rule.Text, rule.Where)
		f.obey(*rule)
	}
	return f.verdict(), nil
}

// verdict says what becomes of a recipient with this failure.
func (f *failure) verdict() string {
	then := "bounce"
	switch {
	case f.hold:
		then = "hold"
	case status.IsTemporary(f.err):
		then = "defer"
		switch {
		case f.slow:
			then += fmt.Sprintf(", with no mail for the destination for %v and little after that", f.again)
		case f.again > 0:
			then += fmt.Sprintf(", next attempt after %v", f.again)
		}
	}
	switch {
	case f.shuns == shunFamily:
		return "try addresses of the other family, then " + then
	case f.shuns == shunHost:
		return "try the next host or target, then " + then
	case f.elsewhere:
		return "try the next host, then " + then
	}
	return then
}
