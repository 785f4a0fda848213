package main

import "golang.org/x/sys/unix"

const knowsRegisters = true

// skip turns the call at whose entry tid stands into no call.
func skip(tid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(tid, &regs)
}

// setReturn sets what the call at whose exit tid stands returns.
func setReturn(tid int, value int64) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Rax = uint64(value)
	return unix.PtraceSetRegs(tid, &regs)
}
