package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CheckAction is what becomes of a message for which a check fails.
type CheckAction string

// The actions, from the one that is never asked to the worst: of several checks that fail
// the worst action decides.
const (
	CheckOff     CheckAction = "off"     // the check is not made
	CheckAccept  CheckAction = "accept"  // the event says it, no more
	CheckTag     CheckAction = "tag"     // our results say it too
	CheckJunk    CheckAction = "junk"    // the message is filed as junk
	CheckHold    CheckAction = "hold"    // a person must look at it
	CheckDefer   CheckAction = "defer"   // refused for now
	CheckRefuse  CheckAction = "refuse"  // refused for good
	CheckDiscard CheckAction = "discard" // accepted, and gone

	// CheckAnswer is what others say: the policy of a domain, or a filter.
	CheckAnswer CheckAction = "answer"
)

func checkActions() []CheckAction {
	return []CheckAction{CheckOff, CheckAccept, CheckTag, CheckJunk, CheckHold, CheckDefer, CheckRefuse,
		CheckDiscard}
}

// Worse reports whether a is worse for the message than b.
func (a CheckAction) Worse(b CheckAction) bool {
	return slices.Index(checkActions(), a) > slices.Index(checkActions(), b)
}

// Ends reports whether nothing is left to be asked about a message with this action.
func (a CheckAction) Ends() bool { return a.Worse(CheckHold) }

// CheckRow is the row of a check in control/checks, or its default.
type CheckRow struct {
	Action    CheckAction   // where the message fails
	Temporary CheckAction   // where the check cannot be made now
	Time      time.Duration // that it may take
	Where     string        // "control/checks:2"; "default"
	Err       error         // the row cannot be read; temporary

	options map[string]string
}

// Option returns an option of the check's own as the row has it, else its default.
func (r CheckRow) Option(name string) string { return r.options[name] }

func checksTable() table[CheckRow] {
	return table[CheckRow]{
		name: "checks",
		form: "a row is `NAME: ACTION [OPTION ...]`, such as `spf: tag`",
		key: func(text string) string {
			key, _, err := keyAndValue(strings.Trim(text, " \t"))
			if err != nil || kindOf(key) == nil {
				return ""
			}
			return key
		},
		parse: parseCheck,
	}
}

func checksFile(c *Control) file[contents[CheckRow]] { return checksTable().file(c) }

func parseCheck(where, text string) ([]entry[CheckRow], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	kind := kindOf(key)
	if kind == nil {
		all := names(checkKeys())
		hint := strings.Join(all, ", ")
		if like := nearest(key, all); like != "" {
			hint = "did you mean " + like + "?"
		}
		return nil, fmt.Errorf("%q is not a check (%s)", key, hint)
	}
	r, err := kind.parse(where, value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return []entry[CheckRow]{{key, *r}}, nil
}

// parse parses what follows the key: an action and options. What it does not say is as in
// the default.
func (k *checkKind) parse(where, value string) (*CheckRow, error) {
	r := &CheckRow{Where: where, Temporary: checkTemporary, Time: checkTime, options: map[string]string{}}
	if where != fromDefault {
		def, err := k.parse(fromDefault, k.Default)
		if err != nil {
			return nil, err
		}
		*r, r.Where = *def, where
	}
	seen := map[string]bool{}
	for i, word := range strings.Fields(value) {
		name, value, is := strings.Cut(word, "=")
		var err error
		switch {
		case i == 0:
			r.Action, err = k.action(word)
		case !is:
			err = fmt.Errorf("%q is not an option (%s)", word, k.optionNames())
		case seen[name]:
			err = fmt.Errorf("%s= is there twice", name)
		default:
			err = k.option(r, name, value)
		}
		if err != nil {
			return nil, err
		}
		seen[name] = i > 0 // the action is no option, even if it is called like one
	}
	return r, nil
}

func (k *checkKind) action(word string) (CheckAction, error) {
	a := CheckAction(word)
	if slices.Contains(k.actions(), a) {
		return a, nil
	}
	var all []string
	for _, b := range k.actions() {
		all = append(all, string(b))
	}
	if slices.Contains(checkActions(), a) || a == CheckAnswer {
		return "", fmt.Errorf("%q cannot be the action of this check (%s)", word, strings.Join(all, ", "))
	}
	return "", fmt.Errorf("%q is not an action (%s)", word, strings.Join(all, ", "))
}

// option takes one option: those that every check has, and those of its own.
func (k *checkKind) option(r *CheckRow, name, value string) error {
	wrong := ""
	switch name {
	case "temporary":
		r.Temporary = CheckAction(value)
		if !slices.Contains([]CheckAction{CheckAccept, CheckTag, CheckJunk, CheckHold, CheckDefer}, r.Temporary) {
			wrong = "is not an action for trouble (accept, tag, junk, hold, defer)"
		} else if k.Firm && r.Temporary != CheckDefer {
			wrong = "is not possible, this check must be made (defer)"
		}
	case "time":
		if r.Time, wrong = duration(value); wrong == "" && (r.Time < time.Second || r.Time > maxCheckTime) {
			wrong = "is not between 1s and 4m"
		}
	default:
		i := slices.IndexFunc(k.Options, func(o checkOption) bool { return o.Name == name })
		if i < 0 {
			return fmt.Errorf("%q is not an option (%s)", name+"=", k.optionNames())
		}
		if wrong = k.Options[i].wrong(value); wrong == "" {
			r.options[name] = value
		}
	}
	if wrong != "" {
		return errors.New(name + ": " + fmt.Sprintf("%q ", value) + wrong)
	}
	return nil
}

// maxCheckTime is below the ten minutes that a client waits for the reply to a message
// (RFC 5321 4.5.3.2.6), with more than one slow check in it.
const maxCheckTime = 4 * time.Minute

// optionNames names the options of the check.
func (k *checkKind) optionNames() string {
	all := "temporary=, time="
	for _, o := range k.Options {
		all += ", " + o.Name + "="
	}
	return all
}

// Checks is control/checks as it is in force at one moment.
type Checks struct {
	control  *Control
	rows     contents[CheckRow]
	defaults map[string]CheckRow
}

// Checks reads control/checks once.
func (c *Control) Checks() (Checks, error) {
	t, _, err := load(c, checksFile(c))
	defaults, _ := c.setting("checks").def.(map[string]CheckRow)
	return Checks{control: c, rows: t.in(), defaults: defaults}, err
}

// Row returns the row of a check, else its default. A broken row, and one that may be
// hidden by a row whose name cannot be read, has a temporary Err.
func (s Checks) Row(name string) CheckRow {
	row, err := s.rows.row(name)
	if row != nil {
		return *row
	}
	def, ok := s.defaults[name]
	def.Err = s.control.temporary(err)
	switch {
	case !ok:
		def.Err = failFile("checks", "the program asks for %q, which the file cannot have", name)
	case def.Err == nil:
		def.Err = s.control.hidden(s.rows.hiding)
	}
	return def
}
