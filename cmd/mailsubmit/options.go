package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"paperpath/internal/status"
	"paperpath/internal/submit"
)

// Letters of sendmail's options that are accepted and ignored, so that no client
// fails because of them.
const (
	ignoredValues   = "ABCELJSehp" // with a value
	ignoredSwitches = "GUcmnx"     // without
	optionalValues  = "qEJS"       // the value, if there is one, is part of the same argument
)

// sendmailFlags are the options that clients of sendmail use.
func sendmailFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "f", Usage: "the reverse path `ADDRESS`"},
		&cli.StringFlag{Name: "r", Usage: "the same as -f"},
		&cli.StringFlag{Name: "F", Usage: "the full `NAME` of the sender, if From is added"},
		&cli.BoolFlag{Name: "t", Usage: "take the recipients from To, Cc and Bcc too, and remove Bcc"},
		&cli.BoolFlag{Name: "i", Usage: "a line with a lone dot does not end the message"},
		&cli.StringFlag{Name: "N", Usage: "report `WHEN`: never, or a list of success, failure and delay"},
		&cli.StringFlag{Name: "R", Usage: "a report returns the `PART` full or hdrs"},
		&cli.StringFlag{Name: "V", Usage: "the envelope `ID` in reports"},
		&cli.StringSliceFlag{Name: "X", Usage: "V, or V and two `DELIMITERS`: " +
			"a separate reverse path for each recipient (VERP)"},
		&cli.StringSliceFlag{Name: "o", Usage: "`OPTION`: i is -i, others are ignored"},
		&cli.StringSliceFlag{Name: "O", Usage: "`OPTION=VALUE`: IgnoreDots is -i, others are ignored"},
		&cli.StringFlag{Name: "b", Usage: "`MODE`: m accepts a message, s speaks SMTP, p lists the queue, " +
			"i checks the aliases, v prints where addresses lead"},
		&cli.StringFlag{Name: "q", Usage: "run the queue, or with `[I|R|S]TEXT` in the same argument " +
			"the entries with that text in key, recipient or sender"},
		&cli.BoolFlag{Name: "I", Usage: "the same as -bi"},
		&cli.BoolFlag{Name: "v", Usage: "print the key of the accepted message on standard error"},
		&cli.StringSliceFlag{Name: "recipients", Usage: "take recipients from `FILE` too, " +
			"each line an address or a list of them"},
		&cli.BoolFlag{Name: "json", Usage: "with -bp, or as mailq, print JSON, one object per line"},
	}
	for _, letter := range ignoredValues {
		flags = append(flags, &cli.StringSliceFlag{Name: string(letter), Hidden: true})
	}
	for _, letter := range ignoredSwitches {
		flags = append(flags, &cli.BoolFlag{Name: string(letter), Hidden: true})
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

// mode is what to do: a letter of -b, or q to run the queue.
func mode(c *cli.Context) (byte, error) {
	switch b := c.String("b"); {
	case len(b) > 1, b == "" && c.IsSet("b"), b != "" && !strings.Contains("mqspiv", b):
		switch b {
		case "d", "D":
			return 0, status.UsageError("-b%s: there is no daemon (mailctl start runs the system)", b)
		}
		return 0, status.UsageError("mode -b%s is not supported", b)
	case b == "p", b == "i", b == "s", b == "v":
		return b[0], nil
	case c.Bool("I"):
		return 'i', nil
	case c.IsSet("q") && !c.Args().Present() && !c.Bool("t"):
		return 'q', nil
	}
	return 'm', nil // also for -bq of dma(8), which only queues, as we always do
}

// options returns the options for accepting a message.
func options(c *cli.Context) (submit.Options, error) {
	o := submit.Options{Recipients: c.Args().Slice(), FromHeader: c.Bool("t"), FullName: c.String("F"),
		IgnoreDots: c.Bool("i"), Verbose: c.Bool("v"),
		Notify: c.String("N"), Return: c.String("R"), EnvID: c.String("V")}
	for _, word := range c.StringSlice("o") {
		o.IgnoreDots = o.IgnoreDots || word == "i"
	}
	for _, word := range c.StringSlice("O") {
		name, value, _ := strings.Cut(word, "=")
		if strings.EqualFold(strings.TrimSpace(name), "IgnoreDots") {
			o.IgnoreDots = o.IgnoreDots || value == "" || strings.ContainsAny(value[:1], "tTyY")
		}
	}
	for _, name := range []string{"r", "f"} {
		if c.IsSet(name) {
			o.Sender, o.SenderSet = c.String(name), true
		}
	}
	if o.FromHeader {
		// crond of busybox passes oem and means -oem.
		o.Recipients = slices.DeleteFunc(o.Recipients, func(s string) bool { return s == "oem" })
	}
	for _, name := range c.StringSlice("recipients") {
		if err := readRecipients(name, &o); err != nil {
			return o, err
		}
	}
	return o, verp(c, &o)
}

// maxRecipients bounds the size of a file of recipients, in octets.
const maxRecipients = 16 << 20

// readRecipients adds the recipients in a file; lines that begin with # are comments.
func readRecipients(name string, o *submit.Options) error {
	f, err := os.Open(name)
	if err != nil {
		return status.UsageError("%v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecipients+1))
	switch {
	case err != nil:
		return status.Temp("4.3.0", "cannot read the recipients", err)
	case len(data) > maxRecipients:
		return status.UsageError("%s is larger than %d octets", name, maxRecipients)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			o.Recipients = append(o.Recipients, line)
		}
	}
	return nil
}

// verp parses -XV, and the older -V of Postfix with two delimiters. Other values of
// -X name a log file in sendmail, and are ignored.
func verp(c *cli.Context, o *submit.Options) (err error) {
	for _, word := range c.StringSlice("X") {
		if delimiters, ok := strings.CutPrefix(word, "V"); ok {
			if o.VERP, err = submit.ParseVERP(delimiters); err != nil {
				return err
			}
		}
	}
	if old, err := submit.ParseVERP(o.EnvID); err == nil && o.EnvID != "" {
		o.VERP, o.EnvID = old, ""
	}
	return nil
}
