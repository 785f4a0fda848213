package control

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"paperpath/internal/addr"
)

// Route is a row of control/routes or control/sender-routes: where mail goes that would
// otherwise go by the MX of its domain.
type Route struct {
	Key        string        // of the row, folded
	Targets    []RouteTarget // in the order in which they are tried
	Inflight   int           // whole transactions in flight; 0: the row does not say
	Recipients int           // of one call of a program; 0: the row does not say
	Time       time.Duration // that a call may take; 0: the row does not say
	Where      string        // "control/routes:2"
}

// String is the row's value as it is in force: targets, then options.
func (r *Route) String() string {
	var words []string
	for _, t := range r.Targets {
		words = append(words, t.String())
	}
	return strings.Join(words, " ")
}

// routeForm is the form of a row, for people who have to correct one.
const routeForm = "a row is `%s: TARGET ...`, such as `%s: mx.example.org:25`"

func routesTable() table[Route] {
	return routeTable("routes", fmt.Sprintf(routeForm, "domain", "example.org"), checkRouteKey)
}

func senderRoutesTable() table[Route] {
	return routeTable("sender-routes", fmt.Sprintf(routeForm, "sender", "@example.net"), checkSenderKey)
}

// routeKey returns the folded key of a row that check allows, "" if there is none.
func routeKey(text string, check func(key string) error) string {
	text = strings.TrimLeft(text, " \t")
	end := keyEnd(text)
	if end < 0 {
		return ""
	}
	key := strings.TrimRight(text[:end], " \t")
	if key == "" || check(key) != nil {
		return ""
	}
	return foldRouteKey(key)
}

// routeTable is a table of routes whose keys check allows.
func routeTable(name, form string, check func(key string) error) table[Route] {
	return table[Route]{
		name:    name,
		askable: anyName,
		form:    form,
		key:     func(text string) string { return routeKey(text, check) },
		parse:   func(where, text string) ([]entry[Route], error) { return parseRoute(name, check, where, text) },
	}
}

func routesFile(c *Control) file[contents[Route]]       { return routesTable().file(c) }
func senderRoutesFile(c *Control) file[contents[Route]] { return senderRoutesTable().file(c) }

func parseRoute(name string, check func(string) error, where, text string) ([]entry[Route], error) {
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return nil, err
	}
	if err := check(key); err != nil {
		return nil, err
	}
	r, err := ParseRoute(where, value)
	if err != nil {
		return nil, err
	}
	if r.Key = foldRouteKey(key); name == "sender-routes" && r.Targets[0].Kind == ToLocal {
		return nil, errors.New("local is for control/routes (which mailbox it is, the recipient decides)")
	}
	return []entry[Route]{{r.Key, *r}}, nil
}

// ParseRoute parses what stands behind the key of a row: options and targets.
func ParseRoute(where, value string) (*Route, error) {
	r := &Route{Where: where}
	return r, r.parse(value)
}

// foldRouteKey is the spelling under which a row is found.
func foldRouteKey(key string) string {
	if local, domain := addr.Split(key); local != "" && domain != "" {
		return addr.FoldAddress(key)
	}
	key = strings.TrimPrefix(key, "@")
	if parent, ok := strings.CutPrefix(key, "."); ok {
		return "." + addr.FoldDomain(parent)
	}
	return addr.FoldDomain(key)
}

// checkRouteKey refuses anything but `domain`, `.domain` and `.`.
func checkRouteKey(key string) error {
	if key == "." {
		return nil
	}
	if err := addr.CheckDomain(strings.TrimPrefix(key, ".")); err != nil {
		return fmt.Errorf("domain %q %w", key, err)
	}
	return nil
}

// checkSenderKey refuses anything but an address, `domain`, `@domain`, `.domain` and
// `<>`, the null reverse path.
func checkSenderKey(key string) error {
	local, domain := addr.Split(key)
	var err error
	switch {
	case key == "<>":
		return nil
	case key == ".":
		return errors.New("a row for every sender (that is the row `.` of control/routes)")
	case domain == "":
		err = addr.CheckDomain(strings.TrimPrefix(key, "."))
	case local == "":
		err = addr.CheckDomain(domain)
	default:
		err = addr.CheckAddress(key)
	}
	if err != nil {
		return fmt.Errorf("sender %q %w", key, err)
	}
	return nil
}

// domainKeys are the keys of rows about a domain, the most specific first: its own and
// those of its parents.
func domainKeys(domain string) []string {
	domain = addr.FoldDomain(domain)
	keys := []string{domain}
	if strings.HasPrefix(domain, "[") {
		return keys
	}
	for i := range len(domain) {
		if domain[i] == '.' {
			keys = append(keys, domain[i:])
		}
	}
	return keys
}

// Route returns where mail for domain goes, whoever sent it: the domain's own row, else
// that of the nearest `.parent`, else `.`. nil without an error means: look up its MX.
func (c *Control) Route(domain string) (*Route, error) {
	return c.route(routesFile(c), append(domainKeys(domain), ".")...)
}

// RouteFrom returns where mail of a sender for domain goes: by the row for the domain or
// its nearest `.parent`, else by the row of control/sender-routes for the sender, the
// sender's domain or its nearest `.parent`, else by the row `.`. A row that names the
// domain is the more specific one: it says who takes its mail. nil without an error
// means: look up its MX.
func (c *Control) RouteFrom(sender, domain string) (*Route, error) {
	r, err := c.route(routesFile(c), domainKeys(domain)...)
	if r != nil || err != nil {
		return r, err
	}
	keys := []string{"<>"}
	if _, from := addr.Split(sender); from != "" {
		keys = append([]string{addr.FoldAddress(sender)}, domainKeys(from)...)
	} else if sender != "" {
		keys = []string{addr.Fold(sender)}
	}
	if r, err = c.route(senderRoutesFile(c), keys...); r != nil || err != nil {
		return r, err
	}
	return c.route(routesFile(c), ".")
}

// route returns the row of the first key that has one.
func (c *Control) route(f file[contents[Route]], keys ...string) (*Route, error) {
	r, at, err := find[Route](c, f, keys...)
	if err == nil && at > 0 {
		err = hiddenIn[Route](c, f)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}
