package program

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// lexer knows which options there are. cli/v2 finds options only before the first
// operand, and no letters with a glued value or in a bundle. So it gets the command
// line in the form that the lexer makes: --name=value words, "--", operands.
type lexer struct {
	takes    map[string]bool // option name: takes a value
	once     map[string]bool // option name: takes one value
	optional string          // letters whose value can only be glued on
	given    map[string]string
	options  []string
	operands []string
}

func newLexer(flags []cli.Flag, optional string) *lexer {
	l := &lexer{takes: map[string]bool{}, once: map[string]bool{}, optional: optional, given: map[string]string{}}
	for _, f := range flags {
		_, isBool := f.(*cli.BoolFlag)
		_, many := f.(*cli.StringSliceFlag)
		for _, name := range f.Names() {
			l.takes[name], l.once[name] = !isBool, !isBool && !many
		}
	}
	return l
}

// lex sorts args into options and operands. Options may be anywhere before "--"; a
// lone "-" is an operand.
func lex(args []string, flags []cli.Flag, optional string) (words []string, err error) {
	l := newLexer(flags, optional)
	for len(args) > 0 && err == nil {
		args, err = l.word(args)
	}
	if err != nil {
		return nil, err
	}
	return append(append(l.options, "--"), l.operands...), nil
}

// firstOperand is the index in args of the first operand before "--"; len(args) if
// there is none, or if an option before it is wrong.
func firstOperand(args []string, flags []cli.Flag, optional string) int {
	l := newLexer(flags, optional)
	for rest := args; len(rest) > 0 && rest[0] != "--"; {
		at := len(args) - len(rest)
		var err error
		if rest, err = l.word(rest); err != nil {
			break
		}
		if len(l.operands) > 0 {
			return at
		}
	}
	return len(args)
}

// word takes the first of args, an option with its value or an operand, and returns
// the rest.
func (l *lexer) word(args []string) (rest []string, err error) {
	arg, rest := args[0], args[1:]
	switch {
	case arg == "--":
		l.operands = append(l.operands, rest...)
		return nil, nil
	case strings.HasPrefix(arg, "--"):
		return l.long(arg[2:], rest)
	case len(arg) > 1 && arg[0] == '-':
		return l.short(arg[1:], rest)
	}
	l.operands = append(l.operands, arg)
	return rest, nil
}

// long parses --name, --name=value or --name value. Two values where one is wanted are
// a mistake; of letters the last one counts, as clients of sendmail expect.
func (l *lexer) long(word string, rest []string) ([]string, error) {
	name, value, glued := strings.Cut(word, "=")
	takes, known := l.takes[name]
	switch {
	case !known || len(name) < 2:
		return nil, fmt.Errorf("unknown option --%s", name)
	case !takes && glued:
		return nil, fmt.Errorf("option --%s takes no value", name)
	case !takes:
		l.options = append(l.options, "--"+name)
		return rest, nil
	case !glued && len(rest) == 0:
		return nil, fmt.Errorf("option --%s needs a value", name)
	case !glued:
		value, rest = rest[0], rest[1:]
	}
	if before, twice := l.given[name]; twice && l.once[name] && before != value {
		return nil, fmt.Errorf("option --%s is given twice, with %q and %q", name, before, value)
	}
	l.given[name] = value
	l.options = append(l.options, "--"+name+"="+value)
	return rest, nil
}

// short parses a bundle of letters: -ti, -fvalue, -f value.
func (l *lexer) short(bundle string, rest []string) ([]string, error) {
	for i := 0; i < len(bundle); i++ {
		name := bundle[i : i+1]
		takes, known := l.takes[name]
		if !known {
			return nil, fmt.Errorf("unknown option -%s", name)
		}
		if !takes {
			l.options = append(l.options, "--"+name)
			continue
		}
		value := bundle[i+1:]
		if value == "" && !strings.Contains(l.optional, name) {
			if len(rest) == 0 {
				return nil, fmt.Errorf("option -%s needs a value", name)
			}
			value, rest = rest[0], rest[1:]
		}
		l.options = append(l.options, "--"+name+"="+value)
		break
	}
	return rest, nil
}
