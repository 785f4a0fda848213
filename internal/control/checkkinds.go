package control

import (
	"slices"
	"time"
)

// checkKind is a name that control/checks can have.
type checkKind struct {
	Name    string
	Default string // the row's value where the file does not have it
	Firm    bool   // it cannot be off, and what fails cannot pass: other code relies on it
	Unread  bool   // what fails cannot be held either: not all of its header has been read
	Answers bool   // others say what becomes of the message, so answer is an action
	Options []checkOption
}

// checkOption is an option of one check's own.
type checkOption struct {
	Name  string
	wrong func(value string) string // why a value cannot be; "" if it can
}

// What a row says of trouble and time where neither it nor its default does.
const (
	checkTemporary = CheckDefer
	checkTime      = time.Minute
)

// checkKinds are the names that control/checks can have, in the order in which the checks
// are made.
func checkKinds() []checkKind {
	return []checkKind{
		{Name: "size", Default: "refuse", Firm: true, Unread: true},
		{Name: "header", Default: "refuse", Firm: true, Unread: true},
		{Name: "from", Default: "refuse"},
		{Name: "hops", Default: "refuse", Firm: true},
		{Name: "loop", Default: "refuse", Firm: true},
		{Name: "sender", Default: "refuse", Firm: true},
		{Name: "user", Default: "refuse"},
		{Name: "fields", Default: "accept"},
		{Name: "date", Default: "accept"},
		{Name: "message-id", Default: "accept"},
		{Name: "lines", Default: "accept"},
		{Name: "nul", Default: "accept"},
		{Name: "structure", Default: "refuse"},
		{Name: "dnsbl", Default: "answer temporary=accept time=10s tag=1 refuse=never", Answers: true,
			Options: []checkOption{{"tag", wrongSum}, {"refuse", wrongSum}}},
		{Name: "iprev", Default: "accept temporary=accept time=10s"},
		{Name: "helo", Default: "accept temporary=accept time=10s"},
		{Name: "null-mx", Default: "refuse temporary=accept time=10s"},
		{Name: "spf", Default: "refuse temporary=accept time=30s"},
		{Name: "dkim", Default: "accept temporary=accept time=30s"},
		{Name: "dmarc", Default: "answer temporary=accept time=30s", Answers: true},
		{Name: "own-domain", Default: "answer temporary=tag", Answers: true},
		{Name: "mime", Default: "answer", Answers: true},
		{Name: "holdrules", Default: "hold"},
		{Name: "filters", Default: "answer time=4m", Answers: true},
	}
}

// kindOf returns the kind of that name, or nil.
func kindOf(name string) *checkKind {
	kinds := checkKinds()
	i := slices.IndexFunc(kinds, func(k checkKind) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return &kinds[i]
}

// actions are those that the row may have.
func (k *checkKind) actions() []CheckAction {
	if k.Firm && k.Unread {
		return []CheckAction{CheckDefer, CheckRefuse, CheckDiscard}
	}
	if k.Firm {
		return []CheckAction{CheckHold, CheckDefer, CheckRefuse, CheckDiscard}
	}
	if k.Answers {
		return append(checkActions(), CheckAnswer)
	}
	return checkActions()
}

// checkKeys are the rows of control/checks.
func checkKeys() (keys []Key) {
	for _, k := range checkKinds() {
		keys = append(keys, Key{Name: k.Name, Default: k.Default})
	}
	return keys
}

// checkDefaults are the rows that are in force without the file.
func checkDefaults() map[string]CheckRow {
	all := map[string]CheckRow{}
	for _, k := range checkKinds() {
		if r, err := k.parse(fromDefault, k.Default); err == nil { // TestCheckDefaults
			all[k.Name] = *r
		}
	}
	return all
}

// wrongSum says why a value is not a limit on the sum of weights.
func wrongSum(value string) string {
	if value == "never" {
		return ""
	}
	_, wrong := number(value, 1)
	if wrong != "" {
		wrong += " (or never)"
	}
	return wrong
}
