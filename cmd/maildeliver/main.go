// Command maildeliver puts messages into mailboxes: the entries of its inbox,
// or one message on standard input as the MDA of another mail system.
package main

import (
	"os"

	"paperpath/internal/program"
)

func main() { os.Exit(program.Main(maildeliver())) }
