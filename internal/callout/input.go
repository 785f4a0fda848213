package callout

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyOf returns a file in memory that holds the message, to be read from its beginning, and
// that nobody can change any more. A pipe would end early where we are killed, which a program
// takes for the end of the message; the file in the spool would be open to be written to.
func copyOf(in *io.SectionReader) (*os.File, error) {
	fd, err := unix.MemfdCreate("message", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "message")
	if err := fill(f, in); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func fill(f *os.File, in *io.SectionReader) error {
	n, err := io.Copy(f, io.NewSectionReader(in, 0, in.Size())) // in may be read again
	switch {
	case err != nil:
		return fmt.Errorf("copy the message: %w", err)
	case n < in.Size():
		return fmt.Errorf("the message ends after %d of %d octets", n, in.Size())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("copy the message: %w", err)
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the copy of the message: %w", err)
	}
	return nil
}
