package sendmail

import (
	"io"
	"os"
	"slices"
	"strings"

	"paperpath/internal/options"
	"paperpath/internal/status"
)

// Options are those of the sendmail face that accept a message.
type Options struct {
	Recipients []string // operands
	FromHeader bool     // -t: the header names recipients too
	Sender     string   // -f: the reverse path
	SenderSet  bool
	FullName   string // -F
	IgnoreDots bool   // -i
	Verbose    bool   // -v: print the key
	Notify     string // -N: when to report (RFC 3461 4.1)
	Return     string // -R: what a report returns (RFC 3461 4.3)
	EnvID      string // -V: in reports (RFC 3461 4.4)
	VERP       string // -XV: delimiters of a variable envelope return path
}

// Option is an option, and what the help says of it; "" is one that is accepted and ignored, so that
// no client fails because of it.
type Option struct {
	Name  string
	Takes options.Takes
	Usage string
}

// Letters of sendmail's options that are ignored.
const (
	ignoredValues   = "ABCELJSehp" // with a value
	ignoredSwitches = "GUcmnx"     // without
)

// Optional are the letters whose value, if there is one, is part of the same argument.
const Optional = "qEJS"

// List is the options that clients of sendmail use.
func List() []Option {
	list := []Option{
		{"f", options.One, "the reverse path `ADDRESS`"},
		{"r", options.One, "the same as -f"},
		{"F", options.One, "the full `NAME` of the sender, if From is added"},
		{"t", options.Nothing, "take the recipients from To, Cc and Bcc too, and remove Bcc"},
		{"i", options.Nothing, "a line with a lone dot does not end the message"},
		{"N", options.One, "report `WHEN`: never, or a list of success, failure and delay"},
		{"R", options.One, "a report returns the `PART` full or hdrs"},
		{"V", options.One, "the envelope `ID` in reports"},
		{"X", options.Many, "V, or V and two `DELIMITERS`: " +
			"a separate reverse path for each recipient (VERP)"},
		{"o", options.Many, "`OPTION`: i is -i, others are ignored"},
		{"O", options.Many, "`OPTION=VALUE`: IgnoreDots is -i, others are ignored"},
		{"b", options.One, "`MODE`: m accepts a message, s speaks SMTP, p lists the queue, " +
			"i checks the aliases, v prints where addresses lead"},
		{"q", options.One, "run the queue, or with `[I|R|S]TEXT` in the same argument " +
			"the entries with that text in key, recipient or sender"},
		{"I", options.Nothing, "the same as -bi"},
		{"v", options.Nothing, "print the key of the accepted message on standard error"},
		{"recipients", options.Many, "take recipients from `FILE` too, " +
			"each line an address or a list of them"},
		{"json", options.Nothing, "with -bp, or as mailq, print JSON, one object per line"},
	}
	for _, letter := range ignoredValues {
		list = append(list, Option{string(letter), options.Many, ""})
	}
	for _, letter := range ignoredSwitches {
		list = append(list, Option{string(letter), options.Nothing, ""})
	}
	return list
}

// Mode is what to do: a letter of -b, or q to run the queue.
func Mode(l *options.Line) (byte, error) {
	switch b := l.Last("b"); {
	case len(b) > 1, b == "" && l.Has("b"), b != "" && !strings.Contains("mqspiv", b):
		switch b {
		case "d", "D":
			return 0, status.UsageError("-b%s: there is no daemon (mailctl start runs the system)", b)
		}
		return 0, status.UsageError("mode -b%s is not supported", b)
	case b == "p", b == "i", b == "s", b == "v":
		return b[0], nil
	case l.Has("I"):
		return 'i', nil
	case l.Has("q") && len(l.Operands) == 0 && !l.Has("t"):
		return 'q', nil
	}
	return 'm', nil // also for -bq of dma(8), which only queues, as we always do
}

// Parse returns the options for accepting a message.
func Parse(l *options.Line) (Options, error) {
	o := Options{Recipients: slices.Clone(l.Operands), FromHeader: l.Has("t"), FullName: l.Last("F"),
		IgnoreDots: l.Has("i"), Verbose: l.Has("v"),
		Notify: l.Last("N"), Return: l.Last("R"), EnvID: l.Last("V")}
	for _, word := range l.All("o") {
		o.IgnoreDots = o.IgnoreDots || word == "i"
	}
	for _, word := range l.All("O") {
		name, value, _ := strings.Cut(word, "=")
		if strings.EqualFold(strings.TrimSpace(name), "IgnoreDots") {
			o.IgnoreDots = o.IgnoreDots || value == "" || strings.ContainsAny(value[:1], "tTyY")
		}
	}
	for _, name := range []string{"r", "f"} {
		if l.Has(name) {
			o.Sender, o.SenderSet = l.Last(name), true
		}
	}
	if o.FromHeader {
		// crond of busybox passes oem and means -oem.
		o.Recipients = slices.DeleteFunc(o.Recipients, func(s string) bool { return s == "oem" })
	}
	for _, name := range l.All("recipients") {
		if err := readRecipients(name, &o); err != nil {
			return o, err
		}
	}
	if err := setVERP(l, &o); err != nil {
		return o, err
	}
	if len(o.Recipients) == 0 && !o.FromHeader {
		return o, status.UsageError("no recipients (name them, or use -t)")
	}
	return o, nil
}

// maxRecipients bounds the size of a file of recipients, in octets.
const maxRecipients = 16 << 20

// readRecipients adds the recipients in a file; lines that begin with # are comments.
func readRecipients(name string, o *Options) error {
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

// setVERP parses -XV, and the older -V of Postfix with two delimiters. Other values of
// -X name a log file in sendmail, and are ignored.
func setVERP(l *options.Line, o *Options) (err error) {
	for _, word := range l.All("X") {
		if delimiters, ok := strings.CutPrefix(word, "V"); ok {
			if o.VERP, err = parseVERP(delimiters); err != nil {
				return err
			}
		}
	}
	if old, err := parseVERP(o.EnvID); err == nil && o.EnvID != "" {
		o.VERP, o.EnvID = old, ""
	}
	return nil
}
