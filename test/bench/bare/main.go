// Bare is the least Go program: make bench compares with its start.
package main

func main() {}
