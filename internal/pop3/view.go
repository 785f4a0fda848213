package pop3

import (
	"strings"
)

// view is what a login asks for beside the address: a folder, and only to
// look.
type view struct {
	folder   string // Maildir++ folder, "" for the inbox
	readOnly bool
}

// maxFolder is the longest name of a folder: with its dot it is a file name.
const maxFolder = 200

// splitLogin takes a login apart: ADDRESS, ADDRESS+FOLDER, and either with a !
// at the end for a session that only reads. Neither sign can be in a domain,
// so no address is taken for something else; a name without a domain has no
// suffix. ok is false where the folder's name cannot be one.
func splitLogin(login string) (address string, v view, ok bool) {
	at := strings.LastIndexByte(login, '@')
	if at < 0 {
		return login, v, true
	}
	rest := login[at:]
	rest, v.readOnly = strings.CutSuffix(rest, "!")
	domain, folder, named := strings.Cut(rest, "+")
	if named && !isFolder(folder) {
		return login, view{}, false
	}
	v.folder = folder
	return login[:at] + domain, v, true
}

// isFolder reports whether name can be a Maildir++ folder's, in the form in
// which it lies on the disk: levels with dots between them, in printable
// ASCII (other letters in the modified UTF-7 of RFC 3501 5.1.3, as IMAP
// servers store them). None of it can leave the Maildir.
func isFolder(name string) bool {
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
