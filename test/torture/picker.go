package main

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// picker is the seccomp filter that stops a traced program at the entry of each
// call in decoders and lets it make all others.
func picker() []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter { // a word of struct seccomp_data
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	end := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	const equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	list := []unix.SockFilter{
		load(4), // arch
		{Code: equal, K: machine, Jt: 1},
		end(unix.SECCOMP_RET_ALLOW),
		load(0), // nr
	}
	for _, nr := range slices.Sorted(maps.Keys(decoders)) {
		list = append(list, unix.SockFilter{Code: equal, K: uint32(nr), Jf: 1}, end(unix.SECCOMP_RET_TRACE))
	}
	return append(list, end(unix.SECCOMP_RET_ALLOW))
}
