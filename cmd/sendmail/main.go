// Sendmail hands in a message from standard input, through run/submit. Whatever else is asked of
// it, and all that is unusual before the message is read, it leaves to mailsubmit, which it becomes:
// that program has the settings and the spool, and takes three times as long to start.
package main

import "os"

func main() { os.Exit(run(os.Args)) }
