package control

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"paperpath/internal/addr"
)

// relayLoginsDir is the directory of the files that RelayLogins reads.
const relayLoginsDir = "relay-logins"

// Secret is a password or a token. Formatted, it shows nothing of itself, so that a
// careless log line cannot either.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "(secret)" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "(secret)" }

// RelayLogin is how mailrelay logs in at a host: a section of control/relay-logins/HOST.
type RelayLogin struct {
	Sender      string // whose mail it is for: an address, `domain`, `.domain`, `<>`, or "" for all other
	User        string
	Password    Secret  // "" if Command prints it
	Command     Program // prints the password or token; nil: there is none
	Mechanisms  []string
	Certificate string // path of a PEM file; "": none
	Key         string // path of the PEM file with its key
	Where       string // "control/relay-logins/smtp.example.org:3"
	ID          string // tells it from other logins, and from itself before a change of the file
}

// relayMechanisms are the SASL mechanisms that mailrelay speaks.

func relayMechanisms() []string {
	return []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL",
		"XOAUTH2", "OAUTHBEARER"}
}

// TakesToken reports whether the secret of the login is a token and no password.
func (l *RelayLogin) TakesToken() bool {
	return slices.ContainsFunc(l.Mechanisms, isTokenMechanism)
}

func isTokenMechanism(name string) bool { return name == "XOAUTH2" || name == "OAUTHBEARER" }

// String says who logs in and with what, for people; it shows no secret.
func (l *RelayLogin) String() string {
	with := "password"
	switch {
	case l.Command != nil:
		with = "what " + l.Command[0] + " prints"
	case l.Password == "":
		with = "certificate " + l.Certificate
	}
	text := "with " + with
	if l.User != "" {
		text = l.User + " " + text
	}
	if len(l.Mechanisms) > 0 {
		text += " by " + strings.Join(l.Mechanisms, " or ")
	}
	return text
}

// Pair returns the certificate of the login and its key, which others must not be able
// to read.
func (l *RelayLogin) Pair() (tls.Certificate, error) {
	if err := private(l.Key); err != nil {
		return tls.Certificate{}, fmt.Errorf("the key %s: %w", l.Key, err)
	}
	pair, err := tls.LoadX509KeyPair(l.Certificate, l.Key)
	if err != nil {
		err = fmt.Errorf("the certificate %s: %w", l.Certificate, err)
	}
	return pair, err
}

// RelayLogins returns the sections of control/relay-logins/HOST; none: there is no such
// file. They are read each time, so that no secret stays in memory longer than it is
// used. A file that others can read is an error.
func (c *Control) RelayLogins(host string) ([]RelayLogin, error) {
	name := filepath.Join(relayLoginsDir, host)
	if !PathElement(host) || c.settings[relayLoginsDir] == nil {
		return nil, nil
	}
	if c.isAbsent(name) {
		return nil, nil
	}
	if err := private(c.path(name)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, failFile(name, "%w", err)
	}
	data, at, err := read(c.path(name), maxScalar)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, failFile(name, "%w", err)
	case len(data) > 0 && data[len(data)-1] != '\n' && c.fresh(at):
		return nil, failFile(name, "the last line has no line end, so it may have been cut off")
	}
	list, err := parseRelayLogins(name, data)
	for i := range list {
		list[i].ID = fmt.Sprintf("%s %s %d.%d.%d", list[i].Where, list[i].Sender, at.ino, at.mtime, at.ctime)
		for _, path := range []*string{&list[i].Certificate, &list[i].Key} {
			if *path != "" && !filepath.IsAbs(*path) {
				*path = c.path(*path)
			}
		}
	}
	return list, err
}

// private refuses a file that anyone but its owner can read or write.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return plain(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others can read it: its mode is %04o (chmod 600 %s)", info.Mode().Perm(), path)
	}
	return nil
}

// nullSender is the null reverse path, of bounces, as a row has it.
const nullSender = "<>"

// LoginFor returns the section for mail of sender: that of the address, else of its
// domain or the nearest `.parent`, else the one for all. nil: there is none.
func LoginFor(list []RelayLogin, sender string) *RelayLogin {
	keys := []string{nullSender}
	if sender != "" {
		_, domain := addr.Split(sender)
		keys = append([]string{addr.FoldAddress(sender)}, domainKeys(domain)...)
	}
	for _, name := range append(keys, "") {
		if i := slices.IndexFunc(list, func(l RelayLogin) bool { return l.Sender == name }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

// parseRelayLogins parses a file: rows of a login for all senders, and after each row
// `sender: ADDRESS` those of the login for that sender.
func parseRelayLogins(name string, data []byte) ([]RelayLogin, error) {
	ls, err := items(name, data)
	if err != nil {
		return nil, err
	}
	p := &loginParser{name: name, senders: map[string]int{}}
	for _, l := range ls {
		if err := p.row(l); err != nil {
			return nil, err
		}
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	if len(p.done) == 0 {
		return nil, failFile(name, "there is no login in it (it needs a row `user: NAME`)")
	}
	return p.done, nil
}

// ParseRelayLogin parses the text of a file that has one login for all senders.
func ParseRelayLogin(text string) (*RelayLogin, error) {
	list, err := parseRelayLogins(relayLoginsDir, []byte(text))
	if err != nil {
		return nil, err
	}
	return LoginFor(list, ""), nil
}

// loginParser is the state of parseRelayLogins.
type loginParser struct {
	name    string
	done    []RelayLogin
	senders map[string]int
	at      RelayLogin
	line    int            // where the section began; 0: it has no row yet
	keys    map[string]int // of the section
}

// row adds a row, which may begin a section.
func (p *loginParser) row(l line) error {
	r, err := splitRow(p.name, l)
	if err != nil { // which may quote what is a part of a password
		return fail(p.name, l.n, "not a row `key: value`")
	}
	key := addr.Fold(r.key)
	if key == "sender" {
		return p.begin(r)
	}
	if !slices.Contains(loginRows(), key) { // which may be a part of a password
		return fail(p.name, r.n, "unknown row (a row is one of sender, %s)", strings.Join(loginRows(), ", "))
	}
	if p.line == 0 {
		p.line, p.keys = r.n, map[string]int{}
	}
	if err := once(p.name, p.keys, key, r.n); err != nil {
		return err
	}
	if wrong := p.at.set(key, r.value); wrong != "" {
		return fail(p.name, r.n, "%s: %s", key, wrong)
	}
	return nil
}

// begin begins the section of a sender.
func (p *loginParser) begin(r row) error {
	if err := p.end(); err != nil {
		return err
	}
	sender, check := addr.FoldAddress(r.value), error(nil)
	switch {
	case sender == nullSender:
	case strings.Contains(sender, "@"):
		check = addr.CheckAddress(sender)
	default:
		sender = addr.FoldDomain(r.value)
		check = addr.CheckDomain(strings.TrimPrefix(sender, "."))
	}
	if check != nil {
		return fail(p.name, r.n, "sender %q %w", r.value, check)
	}
	if err := once(p.name, p.senders, sender, r.n); err != nil {
		return err
	}
	p.at, p.line, p.keys = RelayLogin{Sender: sender}, r.n, map[string]int{}
	return nil
}

// end finishes a section.
func (p *loginParser) end() error {
	if p.line == 0 {
		return nil
	}
	if wrong := p.at.incomplete(); wrong != "" {
		return fail(p.name, p.line, "%s", wrong)
	}
	p.at.Where = where(p.name, p.line)
	if p.at.Key == "" {
		p.at.Key = p.at.Certificate
	}
	p.done = append(p.done, p.at)
	p.at, p.line = RelayLogin{}, 0
	return nil
}

// loginRows are the rows of a section.
func loginRows() []string {
	return []string{"user", "password", "command", "mechanism", "certificate", "key"}
}

// set takes the value of a row. What it returns shows no password.
func (l *RelayLogin) set(key, value string) (wrong string) {
	switch key {
	case "user":
		l.User = value
	case "password":
		l.Password = Secret(value)
	case "command":
		p, err := parseProgram(value)
		if err != nil {
			return err.Error()
		}
		l.Command = p
	case "mechanism":
		return l.setMechanisms(value)
	case "certificate":
		l.Certificate = value
	case "key":
		l.Key = value
	}
	return ""
}

func (l *RelayLogin) setMechanisms(value string) (wrong string) {
	tokens := 0
	for _, name := range strings.Fields(strings.ToUpper(value)) {
		if !slices.Contains(relayMechanisms(), name) {
			return fmt.Sprintf("%q is none of %s", name, strings.Join(relayMechanisms(), " "))
		}
		if isTokenMechanism(name) {
			tokens++
		}
		l.Mechanisms = append(l.Mechanisms, name)
	}
	if tokens > 0 && tokens < len(l.Mechanisms) {
		return "a token is no password, so XOAUTH2 and OAUTHBEARER stand alone"
	}
	return ""
}

// incomplete says what a section lacks.
func (l *RelayLogin) incomplete() string {
	secret := l.Password != "" || l.Command != nil
	external := slices.Contains(l.Mechanisms, "EXTERNAL")
	switch {
	case l.Password != "" && l.Command != nil:
		return "a password and a command that prints it (one of them is enough)"
	case l.Key != "" && l.Certificate == "":
		return "a key without its certificate"
	case external && l.Certificate == "":
		return "EXTERNAL needs a certificate (`certificate: PATH`)"
	case secret && l.User == "":
		return "no user (`user: NAME`)"
	case !secret && l.Certificate == "":
		return "no password (`password: WORDS`, or `command: PATH` of a program that prints it)"
	}
	return ""
}
