package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const knowsRegisters = true

// skip cancels the call that tid is about to make.
func skip(tid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(tid, &regs)
}

// setReturn sets the return value of the call that tid has just made.
func setReturn(tid int, value int64) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Rax = uint64(value)
	return unix.PtraceSetRegs(tid, &regs)
}

// machine is the architecture by which a filter recognizes the system calls of this
// machine.
const machine = unix.AUDIT_ARCH_X86_64

// install makes a program that is stopped at its first instruction set its own seccomp
// filter. It puts a system call instruction in place of the first one and uses the
// memory below the stack, then restores instruction and registers.
func install(pid int, filter []unix.SockFilter) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return fmt.Errorf("registers: %w", err)
	}
	start, memory := uintptr(regs.Rip), uintptr(regs.Rsp)&^15-2048
	text := make([]byte, 8)
	if _, err := unix.PtracePeekText(pid, start, text); err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	call := append([]byte{0x0f, 0x05}, text[2:]...) // syscall
	if _, err := unix.PtracePokeText(pid, start, call); err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	if _, err := unix.PtracePokeData(pid, memory, program(filter, memory)); err != nil {
		return fmt.Errorf("write filter: %w", err)
	}
	for _, c := range [][4]uint64{
		{unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0}, // else only root may filter
		{unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uint64(memory)},
	} {
		if err := lend(pid, regs, c); err != nil {
			return fmt.Errorf("system call %d: %w", c[0], err)
		}
	}
	if _, err := unix.PtracePokeText(pid, start, text); err != nil {
		return fmt.Errorf("restore text: %w", err)
	}
	return unix.PtraceSetRegs(pid, &regs)
}

// program returns struct sock_fprog and, after it, the filter, as they will be at
// address.
func program(filter []unix.SockFilter, address uintptr) []byte {
	var b bytes.Buffer
	head := struct{ Len, Filter uint64 }{uint64(len(filter)), uint64(address + unsafe.Sizeof(unix.SockFprog{}))}
	binary.Write(&b, binary.NativeEndian, head) // bytes.Buffer does not fail
	binary.Write(&b, binary.NativeEndian, filter)
	return b.Bytes()
}

// lend makes one system call for the program: its number and three arguments.
func lend(pid int, regs unix.PtraceRegs, c [4]uint64) error {
	regs.Rax, regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8 = c[0], c[1], c[2], c[3], 0, 0
	regs.Orig_rax = ^uint64(0)
	if err := unix.PtraceSetRegs(pid, &regs); err != nil {
		return err
	}
	if err := unix.PtraceSingleStep(pid); err != nil {
		return err
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return err
	}
	if !ws.Stopped() || ws.StopSignal() != unix.SIGTRAP {
		return fmt.Errorf("the program ended or was stopped by something else: %#x", uint32(ws))
	}
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return err
	}
	if no := -int64(regs.Rax); no > 0 && no < 4096 {
		return unix.Errno(no)
	}
	return nil
}
