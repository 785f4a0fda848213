package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPagesMatchHelp holds each program's --help against its page: every verb and option
// of SYNOPSIS is one that the program has, and every one that it has is in SYNOPSIS or in a
// list of the page.
func TestPagesMatchHelp(t *testing.T) {
	for _, name := range programs() {
		if name == "sendmail" {
			continue // a face of mailsubmit, whose page it is
		}
		c, err := read(filepath.Join(string(bin), name), name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("../../man", name+".8"))
		if err != nil {
			t.Fatal(err)
		}
		page := synopsisOf(string(text))
		has := map[string][]string{}
		c.walk(nil, func(verbs []string, c command) {
			path := strings.Join(verbs, " ")
			if path == "session" {
				return // what the program starts itself as the owner of a mailbox
			}
			has[path] = []string{}
			for _, o := range c.options {
				has[path] = append(has[path], o.name)
			}
		})
		for path, options := range has {
			if _, ok := page.verbs[path]; !ok && len(page.below(path)) == 0 {
				t.Errorf("%s(8): SYNOPSIS lacks the verb %q", name, path)
			}
			for _, o := range options {
				if !slices.Contains(page.verbs[path], o) && !page.listed[o] {
					t.Errorf("%s %s has %s, which is neither in SYNOPSIS nor in a list of %[1]s(8)", name, path, o)
				}
			}
		}
		for path, options := range page.verbs {
			if has[path] == nil {
				t.Errorf("%s(8): SYNOPSIS has %q, which is no verb", name, path)
			}
			for _, o := range options {
				if !slices.Contains(has[path], o) {
					t.Errorf("%s(8): SYNOPSIS gives %s to %q, which has only %q", name, o, path, has[path])
				}
			}
		}
	}
}

// synopsis is what a page says of verbs and options.
type synopsis struct {
	verbs  map[string][]string // of SYNOPSIS: the options by the verbs that lead to them
	listed map[string]bool     // options that an entry of a list begins with
}

// below returns the verbs that path leads to.
func (s synopsis) below(path string) (verbs []string) {
	for v := range s.verbs {
		if path == "" || strings.HasPrefix(v, path+" ") {
			verbs = append(verbs, v)
		}
	}
	return verbs
}

// synopsisOf reads a page in mdoc. A form of SYNOPSIS begins with .Nm, and its lines .Cm are
// the verb: several words, with | between alternatives for the last one.
func synopsisOf(page string) synopsis {
	s := synopsis{verbs: map[string][]string{}, listed: map[string]bool{}}
	for _, m := range regexp.MustCompile(`(?m)^\.It (Fl .*)`).FindAllStringSubmatch(page, -1) {
		for _, f := range flags(m[1]) {
			s.listed[f] = true
		}
	}
	_, part, _ := strings.Cut(page, "\n.Sh SYNOPSIS\n")
	part, _, _ = strings.Cut(part, "\n.Sh ")
	for _, form := range strings.Split("\n"+part, "\n.Nm")[1:] {
		paths, options := []string{""}, []string{}
		for _, line := range strings.Split(form, "\n")[1:] {
			line = strings.TrimPrefix(line, ".")
			words, isVerb := strings.CutPrefix(line, "Cm ")
			optional, isOptional := strings.CutPrefix(line, "Op Cm ")
			switch {
			case isVerb:
				paths = joined(paths, words)
			case isOptional:
				word, rest, _ := strings.Cut(optional, " ")
				least := len(paths) // what stands behind the verb, in the same brackets, is its own
				paths = append(paths, joined(paths, word)...)
				for _, p := range paths[least:] {
					s.verbs[p] = append(s.verbs[p], flags(rest)...)
				}
				continue
			}
			options = append(options, flags(line)...)
		}
		if strings.Contains(form, "Fl -help") {
			continue // of every verb
		}
		for _, p := range paths {
			s.verbs[p] = append(append(s.verbs[p], []string{}...), options...)
		}
	}
	return s
}

// joined adds the words of a .Cm line to the verbs before it.
func joined(paths []string, words string) (all []string) {
	alternatives := strings.Split(words, " | ")
	first := ""
	if i := strings.LastIndexByte(alternatives[0], ' '); i >= 0 {
		first, alternatives[0] = alternatives[0][:i+1], alternatives[0][i+1:]
	}
	for _, p := range paths {
		for _, a := range alternatives {
			all = append(all, strings.TrimSpace(p+" "+first+a))
		}
	}
	return all
}

// flags are the options in a line, with their dashes. What follows .Fl up to the next macro are
// such; letters may stand together.
func flags(line string) (names []string) {
	inFlags := false
	for _, word := range strings.Fields(line) {
		switch {
		case word == "Fl":
			inFlags = true
		case !inFlags, word == ",", word == "|":
		case macro.MatchString(word):
			inFlags = false
		case strings.HasPrefix(word, "-"):
			names = append(names, "-"+word)
		default:
			for _, letter := range word {
				names = append(names, "-"+string(letter))
			}
		}
	}
	return names
}

// macro is a word of mdoc that ends the arguments of another one.
var macro = regexp.MustCompile(`^([A-Z][a-z]|[.():])$`)
