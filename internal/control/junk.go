package control

import "strings"

// Junk says what becomes of messages that are junk.
type Junk struct {
	Folder string // the folder of the mailbox that they go into, if it has one; "": the inbox
	Hold   bool   // a person looks at them first, and what that person releases is no junk
}

const (
	junkFolder  = "Junk"
	folderChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
)

// Junk returns what becomes of messages that are junk.
func (c *Control) Junk() (Junk, error) { return one[Junk](c, "junk") }

// parseJunk parses `folder`, `folder NAME`, `header` or `hold`.
func parseJunk(s string) (Junk, string) {
	words := strings.Fields(s)
	switch {
	case len(words) == 1 && words[0] == "folder":
		return Junk{Folder: junkFolder}, ""
	case len(words) == 2 && words[0] == "folder" && isFolder(words[1]):
		return Junk{Folder: words[1]}, ""
	case len(words) == 2 && words[0] == "folder":
		return Junk{}, "has no name of a folder (letters, digits, - and _)"
	case len(words) == 1 && words[0] == "header":
		return Junk{}, ""
	case len(words) == 1 && words[0] == "hold":
		return Junk{Hold: true}, ""
	}
	return Junk{}, "is none of folder, folder NAME, header, hold"
}

// isFolder reports whether a name can be that of a Maildir++ folder as it is, a dot in front.
func isFolder(name string) bool {
	return name != "" && len(name) <= 100 && strings.Trim(name, folderChars) == ""
}

// UserPrograms reports whether the rules of virtual users may run programs.
func (c *Control) UserPrograms() (bool, error) {
	word, err := one[string](c, "user-programs")
	return word == "yes", err
}
