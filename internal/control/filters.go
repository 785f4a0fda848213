package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// FilterKind says what a filter is.
type FilterKind string

// The kinds, by the word that begins the filter in its row.
const (
	FilterProgram FilterKind = "program" // it reads the message on standard input
	FilterMilter  FilterKind = "milter"  // a server that speaks the milter protocol
)

// FilterAway says what becomes of a message when a filter gives no answer.
type FilterAway string

// The ways.
const (
	AwayTempfail FilterAway = "tempfail" // it is deferred
	AwayAccept   FilterAway = "accept"   // it goes on as if the filter had accepted it
	AwayTag      FilterAway = "tag"      // the same, with a field that says so
)

// FilterFor says which messages a filter sees.
type FilterFor string

// The messages.
const (
	ForAll       FilterFor = "all"
	ForOutside   FilterFor = "outside"   // from other hosts
	ForSubmitted FilterFor = "submitted" // from users and local programs
)

// Filter is a row of control/filters: a filter of somebody else.
type Filter struct {
	Name    string
	Kind    FilterKind
	Path    string   // of a program
	Args    []string // of a program, without its own name
	Network string   // of a milter: tcp or unix
	Address string   // of a milter: host:port or a path
	Away    FilterAway
	For     FilterFor
	Time    time.Duration // of a program: for a message; of a milter: for an answer
	Memory  uint64        // of each process of a program, in bytes
	Milter  MilterOptions
	Where   string // "control/filters:2"
}

// What holds if a row does not say.
const (
	filterTime   = time.Minute
	filterMemory = 1 << 30
	leastMemory  = 16 << 20 // with less, many programs cannot start
	mostTime     = maxCheckTime
	maxFilters   = 20
	maxNameOf    = 32 // octets of the name of a filter
)

func filtersTable() table[Filter] {
	return table[Filter]{
		name: "filters",
		form: "a row is `name: program:/path argument ...` or `name: milter:inet:host:port`",
		key: func(text string) string {
			name := strings.Trim(text[:max(keyEnd(text), 0)], " \t")
			if checkFilterName(name) != nil {
				return ""
			}
			return name
		},
		parse: func(where, text string) ([]entry[Filter], error) {
			f, err := parseFilter(where, text)
			return []entry[Filter]{{f.Name, f}}, err
		},
	}
}

func filtersFile(c *Control) file[contents[Filter]] { return filtersTable().file(c) }

// checkFilterName allows what can stand in events and header fields as it is.
func checkFilterName(name string) error {
	if name == "" || len(name) > maxNameOf || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("the name %q is not made of small letters, digits and - (at most %d)", name, maxNameOf)
	}
	return nil
}

func parseFilter(where, text string) (Filter, error) {
	f := Filter{Where: where}
	name, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return f, err
	}
	f.Name = name
	if err := checkFilterName(name); err != nil {
		return f, err
	}
	list, err := words(value)
	if err != nil {
		return f, err
	}
	for len(list) > 0 {
		if list, err = f.word(list[0], list[1:]); err != nil {
			return f, err
		}
	}
	return f.complete()
}

// word takes the first word of a row, and returns what is left of the rest.
func (f *Filter) word(word string, rest []string) ([]string, error) {
	scheme, what, _ := strings.Cut(word, ":")
	switch FilterKind(scheme) {
	case FilterProgram:
		if f.Kind != "" {
			return nil, errors.New("a second filter in a row (a row has one)")
		}
		t, _, err := program(word, rest)
		f.Kind, f.Path, f.Args = FilterProgram, t.Path, slices.Clone(t.Args)
		return nil, err // all words behind it are arguments
	case FilterMilter:
		if f.Kind != "" {
			return nil, errors.New("a second filter in a row (a row has one)")
		}
		f.Kind = FilterMilter
		return rest, f.socket(what)
	}
	name, value, ok := strings.Cut(word, "=")
	if !ok {
		hint := "program:/path or milter:inet:host:port or milter:unix:/path"
		if like := nearest(scheme, []string{string(FilterProgram), string(FilterMilter)}); like != "" {
			hint = "did you mean " + like + "?"
		}
		return nil, fmt.Errorf("%q is not a filter (%s)", word, hint)
	}
	return rest, f.option(name, value)
}

// socket takes what follows milter: in a row, as Postfix and Sendmail name sockets.
func (f *Filter) socket(what string) error {
	family, place, _ := strings.Cut(what, ":")
	switch family {
	case "inet":
		host, port, wrong := hostPort(place, "")
		if wrong == "" && port == "" {
			wrong = "has no port"
		}
		if wrong != "" {
			return fmt.Errorf("%q %s", place, wrong)
		}
		f.Network, f.Address = "tcp", net.JoinHostPort(host, port)
	case "unix":
		if !strings.HasPrefix(place, "/") {
			return fmt.Errorf("the socket %q does not begin with / (milter:unix:/run/rspamd/milter.sock)", place)
		}
		path, wrong := socketPath(place)
		if wrong != "" {
			return fmt.Errorf("%q %s", place, wrong)
		}
		f.Network, f.Address = "unix", path
	default:
		return fmt.Errorf("%q is not a socket (milter:inet:host:port, milter:unix:/path)", what)
	}
	return nil
}

// filterOptions are the options of a row, in the order in which errors name them.
var filterOptions = append([]string{"away", "for", "memory", "time"}, milterOptions...)

func (f *Filter) option(name, value string) error {
	switch name {
	case "away":
		return wordOf(name, value, &f.Away, AwayTempfail, AwayAccept, AwayTag)
	case "for":
		return wordOf(name, value, &f.For, ForAll, ForOutside, ForSubmitted)
	case "time":
		return timeOption(name, value, &f.Time)
	case "memory":
		n, wrong := number(value, leastMemory)
		switch {
		case wrong != "":
			return fmt.Errorf("memory=%s %s", value, wrong)
		case f.Memory != 0:
			return errors.New("memory= is there twice")
		}
		f.Memory = uint64(n)
		return nil
	}
	if slices.Contains(milterOptions, name) {
		return f.Milter.option(name, value)
	}
	hint := "the options are " + strings.Join(filterOptions, ", ")
	if like := nearest(name, filterOptions); like != "" {
		hint = "did you mean " + like + "?"
	}
	return fmt.Errorf("unknown option %q (%s)", name, hint)
}

// wordOf sets an option that is one of some words.
func wordOf[T ~string](name, value string, to *T, list ...T) error {
	if *to != "" {
		return fmt.Errorf("%s= is there twice", name)
	}
	if !slices.Contains(list, T(value)) {
		var words []string
		for _, w := range list {
			words = append(words, string(w))
		}
		return fmt.Errorf("%s=%s is unknown (%s)", name, value, strings.Join(words, ", "))
	}
	*to = T(value)
	return nil
}

// complete fills in what the row does not say.
func (f Filter) complete() (Filter, error) {
	switch {
	case f.Kind == "":
		return f, errors.New("no filter, only options (program:/path or milter:inet:host:port or milter:unix:/path)")
	case f.Kind == FilterMilter && f.Memory != 0:
		return f, errors.New("memory= is for programs alone")
	case f.Kind == FilterProgram && f.Milter != MilterOptions{}:
		return f, fmt.Errorf("%s= are for milters alone", strings.Join(milterOptions, "=, "))
	case f.Kind == FilterMilter:
		f.Milter.complete()
	}
	if f.Away == "" {
		f.Away = AwayTempfail
	}
	if f.For == "" {
		f.For = ForAll
	}
	if f.Time == 0 {
		f.Time = filterTime
	}
	if f.Memory == 0 && f.Kind == FilterProgram {
		f.Memory = filterMemory
	}
	return f, nil
}

// Filters returns the filters of other people, in the order in which they are asked. A
// broken row is a filter that cannot be asked, so while there is one the error is
// temporary; one whose name cannot be read counts as absent after a day.
func (c *Control) Filters() ([]Filter, error) {
	t, _, err := load(c, filtersFile(c))
	if err != nil {
		return nil, err
	}
	for _, b := range t.in().broken {
		if b.Key != "" {
			return nil, c.temporary(rowError{b})
		}
	}
	list := t.in().list()
	if len(list) > maxFilters {
		return nil, failFile("filters", "more than %d rows", maxFilters)
	}
	return list, c.hidden(t.in().broken)
}

// checkFilters finds programs that cannot be called, and warns of sockets that are not there:
// a milter that starts later makes its own.
func (c *Control) checkFilters(r *Report) {
	t, _, err := load(c, filtersFile(c))
	if err != nil {
		return // is reported by itself, and so are broken rows
	}
	for _, f := range t.in().list() {
		line := 0
		fmt.Sscanf(f.Where, "control/filters:%d", &line)
		if f.Kind == FilterProgram {
			if err := (Program{f.Path}).check(); err != nil {
				r.error(&fileError{"filters", line, err})
			}
			continue
		}
		if f.Network != "unix" {
			continue
		}
		if _, err := os.Stat(f.Address); errors.Is(err, fs.ErrNotExist) {
			r.warn("filters", line, fmt.Sprintf("the milter %s is away: there is no socket %s", f.Name, f.Address),
				"start it; until then away="+string(f.Away)+" holds")
		}
	}
}
