package auth

import (
	"errors"
	"strings"

	"paperpath/internal/control"
)

// View is what a login asks for beside the address: a folder, and only to
// look. It is of use to POP3 alone; SMTP takes the same logins, for clients have
// one for both.
type View struct {
	Folder   string // Maildir++ folder, "" for the inbox
	ReadOnly bool
}

// maxFolder is the longest name of a folder: with its dot it is a file name.
const maxFolder = 200

// AddressOf returns the address that a login means, and what it asks for: a
// name without a domain is one of the first of control/domains. A folder's name
// that cannot be one makes the login that of nobody.
func AddressOf(c *control.Control, login string) (address string, v View, err error) {
	address, v, ok := SplitLogin(login)
	if !ok || strings.Contains(address, "@") {
		return address, v, nil
	}
	domains, err := c.Domains()
	if err != nil {
		return "", v, err
	}
	if len(domains) == 0 {
		return "", v, errors.New("control/domains names no domain")
	}
	return address + "@" + domains[0], v, nil
}

// SplitLogin takes a login apart: ADDRESS, ADDRESS+FOLDER, and either with a !
// at the end for a session that only reads. Neither sign can be in a domain,
// so no address is taken for something else; a name without a domain has no
// suffix. ok is false where the folder's name cannot be one.
func SplitLogin(login string) (address string, v View, ok bool) {
	at := strings.LastIndexByte(login, '@')
	if at < 0 {
		return login, v, true
	}
	rest := login[at:]
	rest, v.ReadOnly = strings.CutSuffix(rest, "!")
	domain, folder, named := strings.Cut(rest, "+")
	if named && !IsFolder(folder) {
		return login, View{}, false
	}
	v.Folder = folder
	return login[:at] + domain, v, true
}

// IsFolder reports whether name can be a Maildir++ folder's, in the form in
// which it lies on the disk: levels with dots between them, in printable
// ASCII (other letters in the modified UTF-7 of RFC 3501 5.1.3, as IMAP
// servers store them). None of it can leave the Maildir.
func IsFolder(name string) bool {
	if len(name) > maxFolder {
		return false
	}
	for _, level := range strings.Split(name, ".") {
		if level == "" || strings.Trim(level, " ") != level {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r > '~' || r == '/' || r == '\\' || r == '"'
	})
}
