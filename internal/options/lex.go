// Package options sorts a command line into options and operands, as every Paperpath program does.
// What the options mean is not known here.
package options

import (
	"fmt"
	"strings"
)

// Takes says what value an option takes.
type Takes int

// The kinds of values.
const (
	Nothing Takes = iota // a switch
	One                  // a value; of the form --name two different ones are a mistake
	Many                 // a value each time
)

// Word is an option of a command line.
type Word struct {
	Name  string
	Value string
	Takes Takes
}

// Line is a command line.
type Line struct {
	Words    []Word
	Operands []string
}

// Table knows which options there are.
type Table struct {
	Takes    map[string]Takes // by name, without dashes
	Optional string           // letters whose value can only be glued on
}

// Lex sorts args. Options may be anywhere before "--"; a lone "-" is an operand.
func (t Table) Lex(args []string) (*Line, error) {
	l := lexer{Table: t}
	for len(args) > 0 {
		var err error
		if args, err = l.word(args); err != nil {
			return nil, err
		}
	}
	return &l.Line, nil
}

// FirstOperand is the index in args of the first operand before "--"; len(args) if
// there is none, or if an option before it is wrong.
func (t Table) FirstOperand(args []string) int {
	l := lexer{Table: t}
	for rest := args; len(rest) > 0 && rest[0] != "--"; {
		at := len(args) - len(rest)
		var err error
		if rest, err = l.word(rest); err != nil {
			break
		}
		if len(l.Operands) > 0 {
			return at
		}
	}
	return len(args)
}

// Has reports whether an option is given.
func (l *Line) Has(name string) bool { return len(l.values(name)) > 0 }

// Last is the value of an option that counts, "" if it is not given.
func (l *Line) Last(name string) string {
	list := l.values(name)
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// values are those of an option, in their order.
func (l *Line) values(name string) (list []string) {
	for _, w := range l.Words {
		if w.Name == name {
			list = append(list, w.Value)
		}
	}
	return list
}

// All are the values of an option, in their order, without blanks around them.
func (l *Line) All(name string) []string {
	list := l.values(name)
	for i, value := range list {
		list[i] = strings.TrimSpace(value)
	}
	return list
}

// lexer is a Line in the making.
type lexer struct {
	Table
	Line
	long map[string]string // the values of the form --name
}

// word takes the first of args, an option with its value or an operand, and returns
// the rest.
func (l *lexer) word(args []string) (rest []string, err error) {
	arg, rest := args[0], args[1:]
	switch {
	case arg == "--":
		l.Operands = append(l.Operands, rest...)
		return nil, nil
	case strings.HasPrefix(arg, "--"):
		return l.name(arg[2:], rest)
	case len(arg) > 1 && arg[0] == '-':
		return l.letters(arg[1:], rest)
	}
	l.Operands = append(l.Operands, arg)
	return rest, nil
}

// name parses --name, --name=value or --name value. Two values where one is wanted are
// a mistake; of letters the last one counts, as clients of sendmail expect.
func (l *lexer) name(word string, rest []string) ([]string, error) {
	name, value, glued := strings.Cut(word, "=")
	takes, known := l.Takes[name]
	switch {
	case !known || len(name) < 2:
		return nil, fmt.Errorf("unknown option --%s", name)
	case takes == Nothing && glued:
		return nil, fmt.Errorf("option --%s takes no value", name)
	case takes == Nothing:
		l.Words = append(l.Words, Word{name, "", takes})
		return rest, nil
	case !glued && len(rest) == 0:
		return nil, fmt.Errorf("option --%s needs a value", name)
	case !glued:
		value, rest = rest[0], rest[1:]
	}
	if before, twice := l.long[name]; twice && takes == One && before != value {
		return nil, fmt.Errorf("option --%s is given twice, with %q and %q", name, before, value)
	}
	if l.long == nil {
		l.long = map[string]string{}
	}
	l.long[name] = value
	l.Words = append(l.Words, Word{name, value, takes})
	return rest, nil
}

// letters parses a bundle: -ti, -fvalue, -f value.
func (l *lexer) letters(bundle string, rest []string) ([]string, error) {
	for i := 0; i < len(bundle); i++ {
		name := bundle[i : i+1]
		takes, known := l.Takes[name]
		if !known {
			return nil, fmt.Errorf("unknown option -%s", name)
		}
		if takes == Nothing {
			l.Words = append(l.Words, Word{name, "", takes})
			continue
		}
		value := bundle[i+1:]
		if value == "" && !strings.Contains(l.Optional, name) {
			if len(rest) == 0 {
				return nil, fmt.Errorf("option -%s needs a value", name)
			}
			value, rest = rest[0], rest[1:]
		}
		l.Words = append(l.Words, Word{name, value, takes})
		break
	}
	return rest, nil
}
