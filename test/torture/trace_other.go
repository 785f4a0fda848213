//go:build !amd64

package main

const knowsRegisters = false

func skip(int) error { return errNoTracer }

func setReturn(int, int64) error { return errNoTracer }
