// Completions writes the completion files of bash, zsh and fish from what the programs'
// --help says.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	bin := flag.String("bin", "bin", "where the programs are")
	flag.Parse()
	if err := run(*bin, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "completions:", err)
		os.Exit(1)
	}
}

// run writes the files of all programs below dir.
func run(bin, dir string) error {
	if dir == "" {
		return fmt.Errorf("no directory to write to")
	}
	for _, name := range programs() {
		c, err := read(filepath.Join(bin, name), name)
		if err != nil {
			return err
		}
		for file, text := range c.files() {
			file = filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func programs() []string {
	return []string{"mailsubmit", "mailcheck", "mailroute", "maildeliver", "mailrelay", "pop3d", "mailctl", "sendmail"}
}
