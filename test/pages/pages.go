// Package pages finds the blocks of commands and files in README and in the sections
// EXAMPLES of the man pages, so that tests run what stands there, not copies of it.
package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Block is something to type or to put into a file.
type Block struct {
	Page string // "README.md" or "mailctl.8"
	Text string // as a reader sees it
}

// Blocks returns all blocks of the repository at root, in their order on the pages.
func Blocks(root string) (list []Block, err error) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return nil, err
	}
	for _, b := range indented(string(text)) {
		list = append(list, Block{"README.md", b})
	}
	files, err := filepath.Glob(filepath.Join(root, "man", "*"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for _, b := range displays(string(text)) {
			list = append(list, Block{filepath.Base(f), b})
		}
	}
	return list, nil
}

// Find returns the one block of a page that contains words.
func Find(list []Block, page, words string) (found Block, err error) {
	n := 0
	for _, b := range list {
		if b.Page == page && strings.Contains(b.Text, words) {
			found = b
			n++
		}
	}
	if n != 1 {
		return found, fmt.Errorf("%d blocks of %s contain %q, not one", n, page, words)
	}
	return found, nil
}

// indented returns the blocks of a page in Markdown: lines with four blanks in front, after
// an empty one. What is fenced is a picture.
func indented(page string) (blocks []string) {
	var block []string
	end := func() {
		if text := strings.Trim(strings.Join(block, "\n"), "\n"); text != "" {
			blocks = append(blocks, outdent(text)+"\n")
		}
		block = nil
	}
	fenced, empty := false, true
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced:
		case line == "":
			if block != nil {
				block = append(block, "")
			}
			empty = true
			continue
		case strings.HasPrefix(line, "    ") && (empty || block != nil):
			block = append(block, line)
		default:
			end()
		}
		empty = false
	}
	end()
	return blocks
}

// outdent takes away the blanks that all lines begin with.
func outdent(text string) string {
	least := len(text)
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			least = min(least, len(line)-len(strings.TrimLeft(line, " ")))
		}
	}
	return regexp.MustCompile(fmt.Sprintf(`(?m)^ {%d}`, least)).ReplaceAllString(text, "")
}

// displays returns the blocks of a man page's section EXAMPLES.
func displays(page string) (blocks []string) {
	_, section, ok := strings.Cut(page, "\n.Sh EXAMPLES\n")
	if !ok {
		return nil
	}
	section, _, _ = strings.Cut(section, "\n.Sh ")
	var block []string
	literal := false
	for line := range strings.Lines(section) {
		line = strings.TrimSuffix(line, "\n")
		words, isLine := strings.CutPrefix(line, ".Dl ")
		switch {
		case strings.HasPrefix(line, ".Bd -literal"):
			literal, block = true, nil
		case line == ".Ed":
			literal = false
			blocks = append(blocks, plain(strings.Join(block, "\n"))+"\n")
		case literal:
			block = append(block, line)
		case isLine:
			blocks = append(blocks, plain(words)+"\n")
		}
	}
	return blocks
}

// plain is text of a man page as it is shown.
func plain(text string) string {
	return strings.NewReplacer(`\e`, `\`, `\(dq`, `"`, `\&`, ``, `\-`, `-`).Replace(text)
}

// Commands is what a reader types: what follows a prompt, with the indented lines below
// it. A block without a prompt is all of that.
func (b Block) Commands() string {
	commands, _ := b.split()
	return commands
}

// Output is what the page says that the commands print.
func (b Block) Output() string {
	_, output := b.split()
	return output
}

func (b Block) split() (commands, output string) {
	prompt := ""
	for _, p := range []string{"$ ", "# "} {
		if strings.HasPrefix(b.Text, p) {
			prompt = p
		}
	}
	if prompt == "" {
		return b.Text, ""
	}
	for line := range strings.Lines(b.Text) {
		typed, ok := strings.CutPrefix(line, prompt)
		switch {
		case ok:
			commands += typed
		case line[0] == ' ' || line[0] == '\t':
			commands += line
		default:
			output += line
		}
	}
	return commands, output
}

// Shown is a regular expression for what a page says is printed, where "..." stands for
// anything and a name of the page's may be another here.
func Shown(output string, names map[string]string) string {
	quoted := regexp.QuoteMeta(strings.TrimRight(output, "\n"))
	for from, to := range names {
		quoted = strings.ReplaceAll(quoted, regexp.QuoteMeta(from), regexp.QuoteMeta(to))
	}
	return strings.ReplaceAll(quoted, `\.\.\.`, ".*")
}
