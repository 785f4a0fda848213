package message

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ReadDate reads the date of anybody's header field: as RFC 5322 3.3 has it, and in the
// obsolete forms of 4.3, with years of two digits, zones by name, seconds or the day of
// the week left out, blanks and comments anywhere. The day of the week is not compared
// with the date: many are wrong, and no reader minds.
func ReadDate(value string) (time.Time, error) {
	words := dateWords(WithoutComments(value))
	if len(words) > 0 && isDay(words[0]) {
		words = words[1:]
	}
	if len(words) < 6 {
		return time.Time{}, errors.New("not a day, a month, a year, a time and a zone")
	}
	day, err1 := digits(words[0], 1, 2, 31)
	month := slices.Index(months, strings.ToLower(words[1])) + 1
	year, err2 := yearOf(words[2])
	clock, rest, err3 := clockOf(words[3:])
	if err := errors.Join(err1, err2, err3); err != nil {
		return time.Time{}, errors.New(strings.ReplaceAll(err.Error(), "\n", ", "))
	}
	if month == 0 {
		return time.Time{}, fmt.Errorf("%q is no month", words[1])
	}
	offset, err := zoneOf(rest)
	if err != nil {
		return time.Time{}, err
	}
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.FixedZone("", offset)).Add(clock)
	if day == 0 || clock < 24*time.Hour && at.Day() != day {
		return time.Time{}, fmt.Errorf("the month has no day %d", day)
	}
	return at, nil
}

var (
	months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	days   = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	// zones are those of RFC 5322 4.3, in hours from UTC.
	zones = map[string]int{"ut": 0, "utc": 0, "gmt": 0, "edt": -4, "est": -5, "cdt": -5, "cst": -6,
		"mdt": -6, "mst": -7, "pdt": -7, "pst": -8}
)

// maxDateWords is more than a date has.
const maxDateWords = 20

var spread = strings.NewReplacer(":", " : ", ",", " ", "\t", " ", "\r", " ", "\n", " ")

// dateWords splits a date at its blanks, and around its colons.
func dateWords(text string) []string {
	text = spread.Replace(text[:min(len(text), maxName)])
	words := strings.Fields(text)
	return words[:min(len(words), maxDateWords)]
}

func isDay(word string) bool {
	return len(word) >= 3 && slices.Contains(days, strings.ToLower(word[:3])) && strings.Trim(word, "0123456789") == word
}

// digits reads a number of so many digits that is at most most.
func digits(word string, least, longest, most int) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || len(word) < least || len(word) > longest || n > most || strings.Trim(word, "0123456789") != "" {
		return 0, fmt.Errorf("%.20q is no number up to %d", word, most)
	}
	return n, nil
}

// yearOf reads a year: one of two digits is from 1950 to 2049, one of three counts from
// 1900.
func yearOf(word string) (int, error) {
	n, err := digits(word, 2, 5, 99999)
	switch {
	case err != nil:
		return 0, err
	case len(word) == 2 && n < 50:
		return n + 2000, nil
	case len(word) < 4:
		return n + 1900, nil
	}
	return n, nil
}

// clockOf reads `hour : minute [: second]` and returns what comes behind it.
func clockOf(words []string) (clock time.Duration, rest []string, err error) {
	var parts []int
	for i, most := range []int{23, 59, 60} { // 60 is a leap second
		if i > 0 {
			if len(words) < 2 || words[0] != ":" {
				break
			}
			words = words[1:]
		}
		n, err := digits(words[0], 1, 2, most)
		if err != nil {
			return 0, nil, err
		}
		parts, words = append(parts, n), words[1:]
	}
	if len(parts) < 2 {
		return 0, nil, errors.New("no time")
	}
	parts = append(parts, 0)
	return time.Duration(parts[0])*time.Hour + time.Duration(parts[1])*time.Minute +
		time.Duration(parts[2])*time.Second, words, nil
}

// zoneOf reads a zone and returns its seconds from UTC. Of the single letters nobody knows
// what their writer meant: they count as UTC (RFC 5322 4.3), as does any other name.
func zoneOf(words []string) (int, error) {
	if len(words) == 0 {
		return 0, errors.New("no zone")
	}
	if len(words) > 1 {
		return 0, fmt.Errorf("%.20q behind the zone", words[1])
	}
	word := words[0]
	if hours, ok := zones[strings.ToLower(word)]; ok {
		return hours * 3600, nil
	}
	sign := 1
	switch word[0] {
	case '-':
		sign = -1
	case '+':
	default:
		if strings.Trim(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz") == "" && len(word) <= 5 {
			return 0, nil
		}
		return 0, fmt.Errorf("%.20q is no zone", word)
	}
	n, err := digits(word[1:], 4, 4, 9959)
	if err != nil || n%100 > 59 {
		return 0, fmt.Errorf("%.20q is no zone", word)
	}
	return sign * (n/100*3600 + n%100*60), nil
}
