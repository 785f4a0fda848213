package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// command is a program or a verb, as its --help describes it.
type command struct {
	name    string
	verbs   []command
	usage   string
	options []option
}

type option struct {
	name  string // with its dashes
	value bool   // it takes a value
	usage string
}

// read asks a program and its verbs for their help.
func read(path, name string, verbs ...string) (command, error) {
	c := command{name: name}
	out, err := exec.Command(path, append(verbs, "--help")...).Output()
	if err != nil {
		return c, fmt.Errorf("%s %s --help: %w", path, strings.Join(verbs, " "), err)
	}
	part := ""
	for _, line := range strings.Split(string(out), "\n") {
		text, indented := strings.CutPrefix(line, "  ")
		if !indented {
			part = line
			continue
		}
		switch part {
		case "verbs:":
			word, usage, _ := strings.Cut(text, " ")
			below, err := read(path, word, append(append([]string{}, verbs...), word)...)
			if err != nil {
				return c, err
			}
			below.usage = strings.TrimSpace(usage)
			c.verbs = append(c.verbs, below)
		case "options:":
			c.options = append(c.options, optionOf(text))
		}
	}
	if len(c.options) == 0 {
		return c, fmt.Errorf("%s %s --help names no option", path, strings.Join(verbs, " "))
	}
	return c, nil
}

// optionOf reads a line such as "--from TEXT  entries whose sender contains TEXT".
func optionOf(text string) option {
	left, usage, _ := strings.Cut(text, "  ")
	name, value, _ := strings.Cut(left, " ")
	return option{name: name, value: value != "", usage: usage}
}
