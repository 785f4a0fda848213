package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"paperpath/internal/options"
	"paperpath/internal/sendmail"
)

// sendmailFlags are the options that clients of sendmail use.
func sendmailFlags() (flags []cli.Flag) {
	for _, o := range sendmail.List() {
		hidden := o.Usage == ""
		switch o.Takes {
		case options.Nothing:
			flags = append(flags, &cli.BoolFlag{Name: o.Name, Usage: o.Usage, Hidden: hidden})
		case options.One:
			flags = append(flags, &cli.StringFlag{Name: o.Name, Usage: o.Usage, Hidden: hidden})
		case options.Many:
			flags = append(flags, &cli.StringSliceFlag{Name: o.Name, Usage: o.Usage, Hidden: hidden})
		}
	}
	return flags
}

// showOnly keeps the flags but those with names out of the help: mailq and newaliases take
// what sendmail does, and use little of it.
func showOnly(flags []cli.Flag, names ...string) []cli.Flag {
	for _, f := range flags {
		hidden := !slices.Contains(names, f.Names()[0])
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Hidden = hidden
		case *cli.StringSliceFlag:
			f.Hidden = hidden
		case *cli.BoolFlag:
			f.Hidden = hidden
		}
	}
	return flags
}

// line is the command line as package sendmail reads it.
func line(c *cli.Context) *options.Line {
	l := &options.Line{Operands: c.Args().Slice()}
	for _, o := range sendmail.List() {
		values := []string{""}
		switch {
		case !c.IsSet(o.Name):
			continue
		case o.Takes == options.One:
			values[0] = c.String(o.Name)
		case o.Takes == options.Many:
			values = c.StringSlice(o.Name)
		}
		for _, value := range values {
			l.Words = append(l.Words, options.Word{Name: o.Name, Value: value, Takes: o.Takes})
		}
	}
	return l
}
