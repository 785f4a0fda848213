package program

import (
	"github.com/urfave/cli/v2"

	"paperpath/internal/options"
)

// table has the options of a face for the lexer.
func table(flags []cli.Flag, optional string) options.Table {
	t := options.Table{Takes: map[string]options.Takes{}, Optional: optional}
	for _, f := range flags {
		takes := options.One
		switch f.(type) {
		case *cli.BoolFlag:
			takes = options.Nothing
		case *cli.StringSliceFlag:
			takes = options.Many
		}
		for _, name := range f.Names() {
			t.Takes[name] = takes
		}
	}
	return t
}

// lex returns args in the form that cli/v2 reads, which finds options only before the first
// operand, and no letters with a glued value or in a bundle: --name=value words, "--", operands.
func lex(args []string, flags []cli.Flag, optional string) (words []string, err error) {
	line, err := table(flags, optional).Lex(args)
	if err != nil {
		return nil, err
	}
	for _, w := range line.Words {
		word := "--" + w.Name
		if w.Takes != options.Nothing {
			word += "=" + w.Value
		}
		words = append(words, word)
	}
	return append(append(words, "--"), line.Operands...), nil
}
