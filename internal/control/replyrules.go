package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
)

// ReplyAction is what a rule of control/reply-rules makes of a reply.
type ReplyAction string

// The actions.
const (
	ReplyStandard ReplyAction = "standard"     // the first digit decides (RFC 5321 4.2.1)
	ReplyRetry    ReplyAction = "retry"        // a temporary failure
	ReplyBounce   ReplyAction = "bounce"       // a permanent failure, at all hosts
	ReplyHold     ReplyAction = "hold"         // a person must look at it
	ReplySlow     ReplyAction = "slow"         // a temporary failure; the destination gets a rest
	ReplyFamily   ReplyAction = "other-family" // addresses of the other family are tried
	ReplyRoute    ReplyAction = "other-route"  // the next host or target is tried
)

// slowFor is how long a destination rests if the rule does not say.
const slowFor = 10 * time.Minute

// ReplyRule is a row of control/reply-rules, or a rule that is built in.
type ReplyRule struct {
	Action ReplyAction
	For    time.Duration // of slow: the rest; of retry: until the next attempt, 0 if it does not say
	Text   string        // the row as it is written
	Where  string        // "control/reply-rules:3", "built-in:7"

	when replyCondition
	line int
}

// String returns the rule and where it is, for people.
func (r ReplyRule) String() string { return r.Text + " (" + r.Where + ")" }

// builtInWhere begins the Where of a rule that is in no file.
const builtInWhere = "built-in:"

// IsBuiltIn reports whether the rule is not in control/reply-rules.
func (r ReplyRule) IsBuiltIn() bool { return strings.HasPrefix(r.Where, builtInWhere) }

func replyRulesTable() table[ReplyRule] {
	return table[ReplyRule]{
		name: "reply-rules",
		form: "a row is `550 5.7.x host=.example.org \"words\": action`",
		key: func(text string) string {
			condition, _ := splitReplyRule(text)
			if _, err := parseReplyCondition(condition); err != nil {
				return ""
			}
			return strings.Join(replyWords(condition), " ")
		},
		parse: func(where, text string) ([]entry[ReplyRule], error) {
			r, err := parseReplyRule(where, text)
			return []entry[ReplyRule]{{strings.Join(replyWords(r.condition()), " "), r}}, err
		},
	}
}

func replyRulesFile(c *Control) file[contents[ReplyRule]] { return replyRulesTable().file(c) }

// condition is the left side of the row.
func (r ReplyRule) condition() string {
	condition, _ := splitReplyRule(r.Text)
	return condition
}

// splitReplyRule cuts a row at its last colon: patterns may have colons, actions have
// none. Without a colon all of it is the condition.
func splitReplyRule(text string) (condition, action string) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return strings.Trim(text, " \t"), ""
	}
	return strings.Trim(text[:i], " \t"), strings.Trim(text[i+1:], " \t")
}

func parseReplyRule(where, text string) (r ReplyRule, err error) {
	r = ReplyRule{Text: strings.Trim(text, " \t"), Where: where}
	if i := strings.LastIndexByte(where, ':'); i >= 0 {
		fmt.Sscanf(where[i+1:], "%d", &r.line)
	}
	condition, action := splitReplyRule(r.Text)
	switch {
	case action == "":
		return r, errors.New("no action after a colon")
	case condition == "":
		return r, errors.New("no condition before the colon (`*` matches every reply)")
	}
	if r.when, err = parseReplyCondition(condition); err != nil {
		return r, err
	}
	r.Action, r.For, err = parseReplyAction(action)
	return r, err
}

// parseReplyAction parses an action, and the time that slow and retry may have.
func parseReplyAction(text string) (ReplyAction, time.Duration, error) {
	word, span, timed := strings.Cut(text, " ")
	all := []ReplyAction{ReplyRetry, ReplyBounce, ReplyHold, ReplySlow, ReplyFamily, ReplyRoute,
		ReplyStandard}
	a := ReplyAction(word)
	switch {
	case !slices.Contains(all, a):
		return "", 0, fmt.Errorf("%q is no action "+
			"(retry, bounce, hold, slow, other-family, other-route, standard)", visibleWord(text))
	case timed && a != ReplySlow && a != ReplyRetry:
		return "", 0, fmt.Errorf("%s has no time (only slow and retry have one)", a)
	case !timed && a == ReplySlow:
		return a, slowFor, nil
	case !timed:
		return a, 0, nil
	}
	d, wrong := duration(strings.Trim(span, " \t"))
	if wrong == "" && (d < time.Second || d > 24*time.Hour) {
		wrong = "is not between a second and a day"
	}
	if wrong != "" {
		return "", 0, fmt.Errorf("%q %s", span, wrong)
	}
	return a, d, nil
}

// visibleWord bounds a word for an error.
func visibleWord(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// ReplyRule returns the first rule that a reply matches: a row of control/reply-rules,
// else a rule that is built in; nil if there is none. The error is temporary: a broken
// row may be the one that decides, for a day if its condition cannot be read.
func (c *Control) ReplyRule(r RemoteReply) (*ReplyRule, error) {
	t, _, err := load(c, replyRulesFile(c))
	if err != nil {
		return nil, err
	}
	words := r.words()
	rows := t.in().list()
	i := slices.IndexFunc(rows, func(row ReplyRule) bool { return row.when.matches(r, words) })
	for _, b := range t.broken {
		if b.Key == "" || i >= 0 && b.Line > rows[i].line {
			continue
		}
		if when, err := parseReplyCondition(b.Key); err == nil && when.matches(r, words) {
			return nil, c.temporary(rowError{b})
		}
	}
	if i >= 0 {
		return &rows[i], nil
	}
	if err := c.hidden(t.hiding); err != nil {
		return nil, err
	}
	for _, rule := range c.builtIn() {
		if rule.when.matches(r, words) {
			return &rule, nil
		}
	}
	return nil, nil
}

// BuiltInReplyRules returns the rules that apply behind those of control/reply-rules.
func BuiltInReplyRules() (list []ReplyRule) {
	for i, text := range builtInReplyRules() {
		r, err := parseReplyRule(fmt.Sprintf("%s%d", builtInWhere, i+1), text)
		if err == nil { // TestBuiltInReplyRules holds that
			list = append(list, r)
		}
	}
	return list
}

// builtInBehind returns the built-in rules that are in force behind rows of a file: none
// behind one that matches every reply.
func builtInBehind(rows []Value) (values []Value) {
	for _, row := range rows {
		if condition, _ := splitReplyRule(row.Text); condition == "*" {
			return nil
		}
	}
	for _, r := range BuiltInReplyRules() {
		values = append(values, Value{Setting: "reply-rules", Text: r.Text, From: r.Where})
	}
	return values
}

// builtIn returns the built-in rules, parsed once.
func (c *Control) builtIn() []ReplyRule {
	c.rulesOnce.Do(func() { c.rules = BuiltInReplyRules() })
	return c.rules
}

// RemoteReply is a reply of another host, as rules see it.
type RemoteReply struct {
	Code     int    // 550
	Enhanced string // "5.7.1"
	Text     string // the reply with its codes, on one line
	Host     string // the name of the host: of an MX record, or of a route
	Domain   string // the destination
}

// words is the text without the codes that a reply of several lines repeats, so that a
// pattern matches across lines; one blank between words.
func (r RemoteReply) words() string {
	var out []string
	code := fmt.Sprint(r.Code)
	begun := false // a line has just begun: an enhanced code may follow
	for _, w := range strings.Fields(r.Text) {
		rest, isCode := strings.CutPrefix(w, code)
		switch {
		case isCode && rest == "":
			begun = true
			continue
		case isCode && rest[0] == '-':
			w, begun = rest[1:], true
		}
		if w == "" || begun && w == r.Enhanced {
			continue
		}
		out, begun = append(out, w), false
	}
	return strings.Join(out, " ")
}

// ParseReply reads a reply as people have it, in a log or a bounce.
func ParseReply(text, host, domain string) (RemoteReply, error) {
	text = strings.Join(strings.Fields(text), " ")
	r := RemoteReply{Text: text, Host: addr.FoldDomain(host), Domain: addr.FoldDomain(domain)}
	if len(text) < 3 || !isReplyCode(text[:3]) || len(text) > 3 && text[3] != ' ' && text[3] != '-' {
		return r, fmt.Errorf("%q does not begin with the code of a reply, such as 550", visibleWord(text))
	}
	fmt.Sscanf(text[:3], "%d", &r.Code)
	r.Enhanced = text[:1] + ".0.0"
	if len(text) > 4 {
		word, _, _ := strings.Cut(text[4:], " ")
		if class, ok := strings.CutPrefix(word, text[:1]+"."); ok && isStatusPattern(text[:1]+"."+class) {
			r.Enhanced = word
		}
	}
	return r, nil
}
