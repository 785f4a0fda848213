// Command mailrelay sends mail to other hosts by SMTP.
package main

import (
	"os"

	"paperpath/internal/program"
)

func main() { os.Exit(program.Main(mailrelay())) }
