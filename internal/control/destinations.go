package control

import (
	"fmt"
	"strings"
	"time"
)

// Destination is a row of control/destinations: how much mail a domain gets at a time.
type Destination struct {
	Sessions int           // at a time; 0: as any destination
	Rate     Rate          // of messages
	Delay    time.Duration // from the beginning of a message to that of the next
	Where    string        // "control/destinations:2"
}

// String is the row's value as it is in force.
func (d *Destination) String() string {
	var words []string
	if d.Sessions > 0 {
		words = append(words, fmt.Sprintf("sessions=%d", d.Sessions))
	}
	if d.Rate.Most > 0 {
		words = append(words, fmt.Sprintf("rate=%d/%v", d.Rate.Most, d.Rate.Per))
	}
	if d.Delay > 0 {
		words = append(words, fmt.Sprintf("delay=%v", d.Delay))
	}
	return strings.Join(words, " ")
}

func destinationsTable() table[Destination] {
	return table[Destination]{
		name:    "destinations",
		askable: anyName,
		form:    "a row is `example.org: sessions=5 rate=100/1h delay=1s`",
		key: func(text string) string {
			text = strings.TrimLeft(text, " \t")
			key := strings.TrimRight(text[:max(keyEnd(text), 0)], " \t")
			if key == "" || checkRouteKey(key) != nil {
				return ""
			}
			return foldRouteKey(key)
		},
		parse: parseDestination,
	}
}

func destinationsFile(c *Control) file[contents[Destination]] { return destinationsTable().file(c) }

func parseDestination(where, text string) ([]entry[Destination], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err == nil {
		err = checkRouteKey(key)
	}
	if err != nil {
		return nil, err
	}
	d := Destination{Where: where}
	for _, word := range strings.Fields(value) {
		if err := d.option(word); err != nil {
			return nil, err
		}
	}
	return []entry[Destination]{{foldRouteKey(key), d}}, nil
}

func (d *Destination) option(word string) error {
	name, value, _ := strings.Cut(word, "=")
	twice, wrong := false, ""
	switch name {
	case "sessions":
		var n int64
		twice = d.Sessions > 0
		if n, wrong = number(value, 1); wrong == "" && n > 1000 {
			wrong = "is more than 1000"
		}
		d.Sessions = int(n)
	case "rate":
		twice = d.Rate.Most > 0
		d.Rate, wrong = parseRate(value)
	case "delay":
		twice = d.Delay > 0
		if d.Delay, wrong = duration(value); wrong == "" && d.Delay > time.Minute {
			wrong = "is more than a minute (a rate may be slower)"
		}
	default:
		return fmt.Errorf("%q (the options are sessions=, rate= and delay=)", word)
	}
	if wrong != "" {
		return fmt.Errorf("%s: %q %s", name, value, wrong)
	}
	if twice {
		return fmt.Errorf("%s= is there twice", name)
	}
	return nil
}

// Destination returns how much mail a domain gets: by its own row, else by that of the
// nearest `.parent`, else by the row `.`; nil: as any other.
func (c *Control) Destination(domain string) (*Destination, error) {
	d, at, err := find[Destination](c, destinationsFile(c), append(domainKeys(domain), ".")...)
	if err == nil && at > 0 {
		err = hiddenIn[Destination](c, destinationsFile(c))
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}
