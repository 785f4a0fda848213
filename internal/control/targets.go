package control

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/status"
)

// TargetKind says how mail for a target travels.
type TargetKind string

// The kinds, by the word that begins a target. Mail for a host without such a word goes
// there by SMTP.
const (
	ToMX      TargetKind = "mx"   // to the hosts in the MX records of the domain
	ToHost    TargetKind = "host" // by SMTP
	ToTLS     TargetKind = "tls"  // by SMTP inside TLS from the first octet (RFC 8314)
	ToLMTP    TargetKind = "lmtp"
	ToProgram TargetKind = "program"
	ToLocal   TargetKind = "local" // the mailboxes of this host
	ToHold    TargetKind = "hold"
	ToError   TargetKind = "error" // nowhere: it is refused
)

// RouteTarget is one place where mail of a route may go.
type RouteTarget struct {
	Kind     TargetKind
	Host     string // of ToHost, ToTLS and ToLMTP: a name or an IP address without brackets
	Port     string
	Path     string   // of ToProgram, or of a Unix socket for ToLMTP
	Args     []string // of ToProgram, without the program's own name
	Enhanced string   // of ToError: the status code in front of the text, or "5.7.1"
	Text     string
}

// Peer reports whether mail is handed to a host or a program. The other kinds stand
// alone in their row and end the way of a message.
func (t RouteTarget) Peer() bool { return t.Kind != ToLocal && t.Kind != ToHold && t.Kind != ToError }

// String is the target as a row would name it, with the port.
func (t RouteTarget) String() string {
	switch t.Kind {
	case ToHost:
		return net.JoinHostPort(t.Host, t.Port)
	case ToTLS:
		return "tls:" + net.JoinHostPort(t.Host, t.Port)
	case ToLMTP:
		if t.Path != "" {
			return "lmtp:" + t.Path
		}
		return "lmtp:" + net.JoinHostPort(t.Host, t.Port)
	case ToProgram:
		return strings.Join(append([]string{"program:" + t.Path}, t.Args...), " ")
	case ToError:
		return "error: " + t.Enhanced + " " + t.Text
	}
	return string(t.Kind)
}

// maxTargets is how many targets a route has, at most.
const maxTargets = 16

// parse parses options and targets, in any order.
func (r *Route) parse(value string) error {
	if text, ok := strings.CutPrefix(value, "error:"); ok {
		return r.refuse(text)
	}
	list, err := words(value)
	if err != nil {
		return err
	}
	for len(list) > 0 {
		var t RouteTarget
		word := list[0]
		list = list[1:]
		name, number, option := strings.Cut(word, "=")
		switch {
		case option && !strings.ContainsAny(name, ":/"):
			if err := r.option(name, number); err != nil {
				return err
			}
			continue
		case strings.HasPrefix(word, "program:"):
			t, list, err = program(word, list)
		default:
			if strings.HasSuffix(word, ":") && len(list) > 0 && digits(list[0]) { // `HOST: PORT`
				word, list = word+list[0], list[1:]
			}
			t, err = target(word)
		}
		if err != nil {
			return err
		}
		r.Targets = append(r.Targets, t)
	}
	return r.fits()
}

// refuse makes r a route of mail that is refused with text. An enhanced status code may
// come first (RFC 3463).
func (r *Route) refuse(text string) error {
	t := RouteTarget{Kind: ToError, Enhanced: "5.7.1", Text: strings.Trim(text, " \t")}
	if code, rest, _ := strings.Cut(t.Text, " "); isEnhanced(code) {
		if code[0] != '5' {
			return fmt.Errorf("the status code %s is not that of a refusal (it begins with 5)", code)
		}
		t.Enhanced, t.Text = code, strings.TrimLeft(rest, " \t")
	}
	switch {
	case t.Text == "":
		return errors.New("error: without a text (error: mail for this domain is not accepted)")
	case !addr.IsASCII(t.Text):
		return errors.New("the text after error: is not ASCII, so it cannot stand in an SMTP reply")
	}
	r.Targets = []RouteTarget{t}
	return nil
}

// Refusal is the error of mail whose route refuses it.
func (r *Route) Refusal() *status.Error {
	t := r.Targets[0]
	return &status.Error{Exit: status.Unavailable, Reply: 550, Enhanced: t.Enhanced, Text: t.Text}
}

// isEnhanced reports whether word is an enhanced status code (RFC 3463 2).
func isEnhanced(word string) bool {
	parts := strings.Split(word, ".")
	return len(parts) == 3 && len(parts[0]) == 1 && !slices.ContainsFunc(parts,
		func(p string) bool { return !digits(p) || len(p) > 3 })
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// routeOptions are the options of a row, in the order in which errors name them.
var routeOptions = []string{"inflight", "recipients", "time"}

// option sets what a word `name=value` says about all targets of the row.
func (r *Route) option(name, value string) error {
	switch name {
	case "inflight":
		return count(name, value, &r.Inflight, 16)
	case "recipients":
		return count(name, value, &r.Recipients, 100)
	case "time":
		d, err := ParseSpan(value)
		switch {
		case err != nil:
			return fmt.Errorf("time=%s: %w", value, err)
		case d < time.Second || d > time.Hour:
			return fmt.Errorf("time=%s is not between 1s and 1h", value)
		case r.Time != 0:
			return errors.New("time= is there twice")
		}
		r.Time = d
		return nil
	}
	hint := "the options are " + strings.Join(routeOptions, ", ")
	if like := nearest(name, routeOptions); like != "" {
		hint = "did you mean " + like + "?"
	}
	return fmt.Errorf("unknown option %q (%s)", name, hint)
}

// count sets an option that is a number.
func count(name, value string, to *int, most int) error {
	n, err := strconv.Atoi(value)
	switch {
	case err != nil || n < 1 || n > most:
		return fmt.Errorf("%s=%s is not a number between 1 and %d", name, value, most)
	case *to != 0:
		return fmt.Errorf("%s= is there twice", name)
	}
	*to = n
	return nil
}

// program takes the program and all words that follow it.
func program(word string, args []string) (RouteTarget, []string, error) {
	t := RouteTarget{Kind: ToProgram, Path: strings.TrimPrefix(word, "program:"), Args: args}
	if !filepath.IsAbs(t.Path) {
		return t, nil, fmt.Errorf("%q does not begin with / (program:/usr/bin/uux ARG ...)", word)
	}
	return t, nil, nil
}

// target parses a target that is one word.
func target(word string) (RouteTarget, error) {
	switch kind := TargetKind(word); kind {
	case ToMX, ToLocal, ToHold:
		return RouteTarget{Kind: kind}, nil
	}
	scheme, rest, _ := strings.Cut(word, ":")
	if digits(rest) { // a host that is called tls or lmtp
		scheme = ""
	}
	t, wrong := RouteTarget{Kind: TargetKind(scheme)}, ""
	switch t.Kind {
	case ToTLS:
		t.Host, t.Port, wrong = hostPort(rest, "465")
	case ToLMTP:
		if strings.HasPrefix(rest, "/") {
			t.Path, wrong = socketPath(rest)
		} else if t.Host, t.Port, wrong = hostPort(rest, ""); wrong == "" && t.Port == "" {
			wrong = "has no port (lmtp:HOST:PORT, lmtp:/PATH)"
		}
	default:
		t.Kind = ToHost
		if t.Host, t.Port, wrong = hostPort(word, "25"); wrong != "" {
			wrong = likeTarget(scheme, wrong)
		}
	}
	if wrong != "" {
		return t, fmt.Errorf("%q %s", word, wrong)
	}
	return t, nil
}

// likeTarget adds to what is wrong with a word which kind of target may be meant.
func likeTarget(scheme, wrong string) string {
	if scheme == "smtp" || scheme == "relay" {
		return "is not a target (leave out " + scheme + ":)"
	}
	kinds := []string{"mx", "tls", "lmtp", "program", "local", "hold", "error"}
	if like := nearest(scheme, kinds); like != "" && len(scheme) > 2 {
		return "is not a target (did you mean " + like + "?)"
	}
	return wrong
}

// maxSocketPath is the longest path of a Unix socket (unix(7), sun_path).
const maxSocketPath = 107

func socketPath(path string) (clean, wrong string) {
	if clean = filepath.Clean(path); len(clean) > maxSocketPath {
		return "", fmt.Sprintf("is longer than the %d octets that the path of a socket may have", maxSocketPath)
	}
	return clean, ""
}

// fits refuses targets and options that cannot stand together.
func (r *Route) fits() error {
	if len(r.Targets) == 0 {
		return errors.New("no target, only options")
	}
	if len(r.Targets) > maxTargets {
		return fmt.Errorf("more than %d targets", maxTargets)
	}
	program, mx := false, false
	for _, t := range r.Targets {
		if len(r.Targets) > 1 && (!t.Peer() || t.Kind == ToProgram) {
			return fmt.Errorf("%s is not the only target (it stands alone)", t.Kind)
		}
		program, mx = program || t.Kind == ToProgram, mx || t.Kind == ToMX
	}
	switch {
	case r.Recipients != 0 && !program:
		return errors.New("recipients= is for program: alone")
	case r.Time != 0 && !program:
		return errors.New("time= is for program: alone")
	case r.Inflight != 0 && (program || !r.Targets[0].Peer()):
		return fmt.Errorf("inflight= is not for %s", r.Targets[0].Kind)
	case r.Inflight != 0 && mx: // who sends blindly must know the host
		return errors.New("inflight= is not for mx: only for hosts that the row names")
	}
	return nil
}

// hostPort parses `host`, `host:port`, `IP:port`, `[IP]` and `[IP]:port`.
func hostPort(s, defPort string) (host, port, wrong string) {
	const form = "is not a host or host:port (mx.example.org:25, 127.0.0.1:2525, [::1]:25)"
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(s, "]") {
		s = net.JoinHostPort(strings.TrimSuffix(inner, "]"), defPort)
	} else if !strings.Contains(s, ":") {
		s = net.JoinHostPort(s, defPort)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", "", form
	}
	if n, err := strconv.ParseUint(port, 10, 16); (err != nil || n == 0) && (port != "" || defPort != "") {
		return "", "", "has no port between 1 and 65535"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), port, ""
	}
	if addr.CheckDomain(host) != nil || strings.HasPrefix(host, "[") {
		return "", "", form
	}
	return addr.FoldDomain(host), port, ""
}
