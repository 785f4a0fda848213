// Mailcheck checks messages: one on standard input as a filter, or those in its
// inbox.
package main

import "os"

func main() { os.Exit(run()) }
