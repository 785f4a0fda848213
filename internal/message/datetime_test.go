package message

import (
	"strings"
	"testing"
	"time"
)

func TestReadDate(t *testing.T) {
	for text, want := range map[string]string{
		"Sat, 28 Nov 2026 05:10:00 +0100":                      "2026-11-28T05:10:00+01:00",
		"28 Nov 2026 05:10 -0330":                              "2026-11-28T05:10:00-03:30",
		"sat,28 NOV 2026 5:10:00 gmt":                          "2026-11-28T05:10:00Z",
		"Thu, 13\n Feb\n 1969\n 23:32\n -0330 (Newfoundland)":  "1969-02-13T23:32:00-03:30", // RFC 5322 A.5
		"21 Nov 97 09:55:06 GMT":                               "1997-11-21T09:55:06Z",      // A.6.2
		"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600":      "1997-11-21T09:55:06-06:00", // A.6.3
		"1 Jan 49 00:00 UT":                                    "2049-01-01T00:00:00Z",
		"1 Jan 103 00:00 EST":                                  "2003-01-01T00:00:00-05:00",
		"(a (b) c) Saturday, 28 Nov 2026 05:10:60 +0000 (UTC)": "2026-11-28T05:11:00Z",
		"28 Nov 2026 05:10:00 Z":                               "2026-11-28T05:10:00Z",
		"28 Nov 2026 05:10:00 CEST":                            "2026-11-28T05:10:00Z",
		"Sun, 28 Nov 2026 05:10:00 -0000":                      "2026-11-28T05:10:00Z", // the wrong day
		"29 Feb 2024 05:10:00 +0000":                           "2024-02-29T05:10:00Z",
		"29 Feb 2026 05:10:00 +0000":                           "",
		"0 Feb 2026 05:10:00 +0000":                            "",
		"":                                                     "",
		"Sat, 28 Nov 2026":                                     "",
		"28 Nov 2026 05:10:00":                                 "",
		"2026-11-28T05:10:00Z":                                 "",
		"28 Nov 2026 24:00:00 +0000":                           "",
		"28 Nov 2026 05:60:00 +0000":                           "",
		"28 Nov 2026 05:10:00 +0060":                           "",
		"28 Nov 2026 05:10:00 +100":                            "",
		"28 Nov 2026 05:10:00 +0000 x":                         "",
		"28 Nox 2026 05:10:00 +0000":                           "",
		"+8 Nov 2026 05:10:00 +0000":                           "",
		"28 Nov 2 05:10:00 +0000":                              "",
		"28 Nov 2026 05:10:00 " + strings.Repeat("(", 100000):  "",
		strings.Repeat("28 Nov 2026 05:10:00 +0000 ", 10000):   "",
		"28 Nov 2026 05 10 00 +0000":                           "",
		"28 Nov 999999999999999999999 05:10:00 +0000":          "",
		"28 Nov 2026 05:10:00 " + strings.Repeat("+", 1<<20):   "",
		"Sat 28 Nov 2026 05:10:00 +0000":                       "2026-11-28T05:10:00Z",
		"28 Nov 12026 05:10:00 +0000":                          "12026-11-28T05:10:00Z",
	} {
		got, err := ReadDate(text)
		if said := got.Format(time.RFC3339); err == nil && said != want || (err != nil) != (want == "") {
			t.Errorf("%.60q is %s, %v, want %s", text, said, err, want)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

func TestWithoutComments(t *testing.T) {
	for text, want := range map[string]string{
		"a (b (c) d) e":     "a  e",
		`a "(b)" c`:         `a "(b)" c`,
		`(a \) b) c`:        " c",
		`"a \" (b)" (c)d`:   `"a \" (b)" d`,
		"a) b (c":           "a) b ",
		`a "b (c`:           `a "b (c`,
		"no comment at all": "no comment at all",
	} {
		if got := WithoutComments(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// FuzzReadDate: what Date writes is read as it was, and nothing panics.
func FuzzReadDate(f *testing.F) {
	f.Add("Thu, 13 (x) Feb 69 23:32 EST", int64(0))
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		if at, err := ReadDate(text); err == nil {
			if again, err := ReadDate(Date(at)); at.Year() < 10000 && (err != nil || !again.Equal(at)) {
				t.Fatalf("%q is %v, then %v, %v", text, at, again, err)
			}
		}
		at := time.Unix(unix%(1<<36), 0).UTC()
		if at.Year() < 1000 {
			return
		}
		if again, err := ReadDate(Date(at)); err != nil || !again.Equal(at) {
			t.Fatalf("%v, %v, %v", at, again, err)
		}
	})
}
