package main

import (
	"fmt"
	"strings"
)

// files returns the completion files of a program, by path.
func (c command) files() map[string]string {
	return map[string]string{"bash/" + c.name: c.bash(), "zsh/_" + c.name: c.zsh(), "fish/" + c.name + ".fish": c.fish()}
}

// walk calls each with every command and the verbs that lead to it.
func (c command) walk(verbs []string, each func(verbs []string, c command)) {
	each(verbs, c)
	for _, below := range c.verbs {
		below.walk(append(append([]string{}, verbs...), below.name), each)
	}
}

// bash completes the verbs and options of what has been typed; anywhere else, files.
func (c command) bash() string {
	var b strings.Builder
	f := "_paperpath_" + c.name
	fmt.Fprintf(&b, "# bash completion for %s, made from its --help\n%s() {\n", c.name, f)
	b.WriteString("\tlocal cur=${COMP_WORDS[COMP_CWORD]} verbs= word words\n")
	b.WriteString("\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\t\tcase \"$verbs $word\" in\n")
	c.walk(nil, func(verbs []string, _ command) {
		if len(verbs) > 0 {
			fmt.Fprintf(&b, "\t\t' %s') verbs=\" %[1]s\" ;;\n", strings.Join(verbs, " "))
		}
	})
	b.WriteString("\t\tesac\n\tdone\n\tcase \"$verbs\" in\n")
	c.walk(nil, func(verbs []string, c command) {
		var words []string
		for _, v := range c.verbs {
			words = append(words, v.name)
		}
		for _, o := range c.options {
			words = append(words, o.name)
		}
		at := strings.Join(verbs, " ")
		if at != "" {
			at = " " + at
		}
		fmt.Fprintf(&b, "\t'%s') words='%s' ;;\n", at, strings.Join(words, " "))
	})
	b.WriteString("\tesac\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n")
	fmt.Fprintf(&b, "complete -o default -F %s %s\n", f, c.name)
	return b.String()
}

// zsh completes the same by _arguments and _describe.
func (c command) zsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# zsh completion for %[1]s, made from its --help\n", c.name)
	b.WriteString("local verbs= word\nlocal -a below options\n")
	b.WriteString("for word in ${words[2,CURRENT-1]}; do\n\tcase \"$verbs $word\" in\n")
	c.walk(nil, func(verbs []string, _ command) {
		if len(verbs) > 0 {
			fmt.Fprintf(&b, "\t' %s') verbs=' %[1]s' ;;\n", strings.Join(verbs, " "))
		}
	})
	b.WriteString("\tesac\ndone\ncase \"$verbs\" in\n")
	c.walk(nil, func(verbs []string, c command) {
		at := strings.Join(verbs, " ")
		if at != "" {
			at = " " + at
		}
		fmt.Fprintf(&b, "'%s')\n\tbelow=(", at)
		for _, v := range c.verbs {
			fmt.Fprintf(&b, "\n\t\t%s", described(v.name, v.usage))
		}
		b.WriteString(")\n\toptions=(")
		for _, o := range c.options {
			fmt.Fprintf(&b, "\n\t\t%s", described(o.name, o.usage))
		}
		b.WriteString(") ;;\n")
	})
	b.WriteString("esac\nif [[ $PREFIX == -* ]]; then\n\t_describe -o option options\n" +
		"elif (( ${#below} )); then\n\t_describe verb below || _files\nelse\n\t_files\nfi\n")
	return b.String()
}

// described is a word with its meaning, as _describe takes it.
func described(word, usage string) string {
	return quoted(strings.ReplaceAll(word, ":", `\:`) + ":" + usage)
}

// quoted is s as one word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// fish completes the same by conditions on the verbs that were typed.
func (c command) fish() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion for %s, made from its --help\n", c.name)
	c.walk(nil, func(verbs []string, at command) {
		var conditions []string
		for _, v := range verbs {
			conditions = append(conditions, "__fish_seen_subcommand_from "+v)
		}
		var names []string
		for _, v := range at.verbs {
			names = append(names, v.name)
		}
		if len(names) > 0 {
			conditions = append(conditions, "not __fish_seen_subcommand_from "+strings.Join(names, " "))
		}
		when := ""
		if len(conditions) > 0 {
			when = " -n " + fishQuoted(strings.Join(conditions, "; and "))
		}
		for _, v := range at.verbs {
			fmt.Fprintf(&b, "complete -c %s%s -f -a %s -d %s\n", c.name, when, v.name, fishQuoted(v.usage))
		}
		for _, o := range at.options {
			flag, value := "-l "+strings.TrimPrefix(o.name, "--"), ""
			if !strings.HasPrefix(o.name, "--") {
				flag = "-s " + strings.TrimPrefix(o.name, "-")
			}
			if o.value {
				value = " -r"
			}
			fmt.Fprintf(&b, "complete -c %s%s %s%s -d %s\n", c.name, when, flag, value, fishQuoted(o.usage))
		}
	})
	return b.String()
}

func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
