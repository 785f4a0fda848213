// Mailctl is for the people who run Paperpath: it makes a home and its users,
// runs its services and shows its queue.
package main

import "os"

func main() { os.Exit(run()) }
