package auth

import (
	"errors"
	"strings"

	"paperpath/internal/control"
)

// View is what a login requests besides the address: a folder, and read-only access. It
// is for POP3; SMTP accepts the same logins, because clients use one for both.
type View struct {
	Folder   string // Maildir++ folder, "" for the inbox
	ReadOnly bool
}

// maxFolder is the maximum length of a folder's name: with a dot it is a file name.
const maxFolder = 200

// AddressOf returns the address and the view of a login. A name without a domain
// belongs to the first of control/domains. A login with an invalid folder belongs to no
// user.
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

// SplitLogin parses a login: ADDRESS or ADDRESS+FOLDER, either with a ! at the end for a
// read-only session. A domain cannot have these characters, so no address is mistaken;
// a name without a domain has no suffix. ok is false if the folder is invalid.
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

// IsFolder reports whether name is a Maildir++ folder as it is on the disk: levels
// separated by dots, in printable ASCII (other letters in the modified UTF-7 of RFC 3501
// 5.1.3, as IMAP servers store them). It cannot lead out of the Maildir.
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
