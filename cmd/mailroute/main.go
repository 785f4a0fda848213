// Command mailroute says where mail goes, and sends the entries of its inbox
// there.
package main

import (
	"os"

	"paperpath/internal/program"
)

func main() { os.Exit(program.Main(mailroute())) }
