// Pop3d serves Maildirs by POP3: one session on standard input and output, or
// many on sockets.
package main

import "os"

func main() { os.Exit(run()) }
