package mta

import (
	"os"

	"paperpath/test/harness"
)

// Missing is what the machine lacks for servers of these packages, "" if nothing.
func Missing(packages ...string) string {
	if os.Getuid() != 0 {
		return "root, for other servers"
	}
	for _, name := range packages {
		if harness.Unpacked(name) == "" {
			return name + " (test/peers/fetch.sh)"
		}
	}
	return ""
}
