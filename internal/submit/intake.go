package submit

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/status"
)

// intake reads a message from standard input as sendmail does: CRLF is LF, and
// where refusing would lose cron's mail a stray CR or NUL becomes a blank.
type intake struct {
	r       *bufio.Reader
	w       io.Writer
	limit   int64 // octets
	dotEnds bool  // a line that is a lone dot ends the message
	size    int64
	clean   []byte // for a cleaned chunk, used again
}

// copy reads to the end, or to one octet over the limit: what is larger is
// refused before it is read.
func (in *intake) copy() error {
	start := true // of a line
	for {
		chunk, err := in.r.ReadSlice('\n')
		if len(chunk) > 0 {
			if start && in.dotEnds && isDot(chunk) {
				return nil
			}
			// A chunk without a line end is cut at the buffer's size, never
			// between CR and LF.
			if errors.Is(err, bufio.ErrBufferFull) && chunk[len(chunk)-1] == '\r' {
				chunk = chunk[:len(chunk)-1]
				in.r.UnreadByte()
			}
			start = chunk[len(chunk)-1] == '\n'
			if err := in.write(chunk); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

func isDot(line []byte) bool {
	s := string(line)
	return s == ".\n" || s == ".\r\n" || s == "."
}

// write cleans a chunk and passes it on.
func (in *intake) write(chunk []byte) error {
	clean := in.clean[:0]
	for i, c := range chunk {
		switch {
		case c == '\r' && i+1 < len(chunk) && chunk[i+1] == '\n':
			continue
		case c == '\r' || c == 0:
			c = ' '
		}
		clean = append(clean, c)
	}
	in.clean = clean
	if in.size += int64(len(clean)); in.size > in.limit {
		return tooBig(in.limit)
	}
	if _, err := in.w.Write(clean); err != nil {
		return fmt.Errorf("keep the message: %w", err)
	}
	return nil
}

func tooBig(limit int64) error {
	e := status.Refuse("5.3.4", fmt.Sprintf("message is larger than %d octets (control/databytes)", limit))
	e.Reply = 552
	return e
}
