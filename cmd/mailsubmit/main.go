// Mailsubmit accepts messages into the spool: from standard input as sendmail
// does, and by SMTP.
package main

import "os"

func main() { os.Exit(run(os.Args[0])) }
