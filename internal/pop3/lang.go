package pop3

import "strings"

// language is one of the languages for the text of replies (RFC 6856 3).
type language struct{ tag, name string }

// languages returns all of them, the server's own first. i-default (RFC 2277 4.5) is
// for clients without a preference.
func languages() []language {
	return []language{{"en", "English"}, {"i-default", "Default language"}}
}

// lang is LANG (RFC 6856 3).
func (s *session) lang(arg string) error {
	if arg == "" {
		s.ok("languages follow")
		for _, l := range languages() {
			s.wire.print("%s %s\r\n", l.tag, l.name)
		}
		s.wire.print(".\r\n")
		return nil
	}
	l, known := findLanguage(arg)
	if !known {
		return s.wrong("no such language")
	}
	s.ok("%s language selected", l.tag)
	return nil
}

// findLanguage looks up a language range (RFC 4647 3.4): en-GB finds en, and * the
// server's choice.
func findLanguage(wanted string) (language, bool) {
	if wanted == "*" {
		return languages()[0], true
	}
	for wanted != "" {
		for _, l := range languages() {
			if strings.EqualFold(l.tag, wanted) {
				return l, true
			}
		}
		wanted = wanted[:max(strings.LastIndexByte(wanted, '-'), 0)]
	}
	return language{}, false
}

// useUTF8 is UTF8 (RFC 6856 2). It changes nothing: names and passwords are bytes in
// both modes, and messages are sent as they were accepted.
func (s *session) useUTF8(string) error {
	s.utf8 = true
	s.ok("UTF8 enabled")
	return nil
}
