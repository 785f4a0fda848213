//go:build !amd64

package main

import "golang.org/x/sys/unix"

const knowsRegisters = false

func skip(int) error { return errNoTracer }

func setReturn(int, int64) error { return errNoTracer }

const machine = 0

func install(int, []unix.SockFilter) error { return errNoTracer }
