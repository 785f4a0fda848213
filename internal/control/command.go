package control

import (
	"crypto/sha256"
	"encoding/hex"
)

// Command is a program or a file that a row of control/aliases has as a target.
type Command struct {
	Program string // what follows `|`; "" for a file
	File    string // an absolute path; "" for a program
	Alias   string // the address that the row is for
	Where   string // "control/aliases:3"
}

// NewCommand returns the command that a target of an alias is, nil if it is none.
func NewCommand(target, alias, where string) *Command {
	switch form, text := FormOf(target); form {
	case ProgramTarget:
		return &Command{Program: text, Alias: alias, Where: where}
	case FileTarget:
		return &Command{File: text, Alias: alias, Where: where}
	}
	return nil
}

// String is the target as a row has it.
func (c Command) String() string {
	if c.File != "" {
		return c.File
	}
	return "|" + c.Program
}

// ID tells the commands of a row apart, whatever their order, without showing them.
func (c Command) ID() string {
	sum := sha256.Sum256([]byte(c.String()))
	return hex.EncodeToString(sum[:8])
}
