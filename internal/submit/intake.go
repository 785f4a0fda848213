package submit

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/status"
)

// intake reads a message from standard input as sendmail does: CR LF is LF, and
// so is CR CR LF, which line ends become that are translated twice; where
// refusing would lose cron's mail a stray CR or NUL becomes a blank.
type intake struct {
	r       *bufio.Reader
	w       io.Writer
	limit   int64 // octets
	dotEnds bool  // a line that is a lone dot ends the message
	size    int64
	clean   []byte // for a cleaned chunk, used again

	inLine bool  // something of the line has been passed on
	dot    bool  // the line is a dot so far, and not passed on
	crs    int64 // CRs that are not: blanks, if no LF follows
}

// copy reads to the end, or to one octet over the limit: what is larger is
// refused before it is read.
func (in *intake) copy() error {
	for {
		chunk, err := in.r.ReadSlice('\n')
		ended, failed := in.take(chunk)
		switch {
		case failed != nil:
			return failed
		case ended:
			return nil
		case err == io.EOF:
			return in.end()
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

// take cleans a chunk, a line at most, and passes it on. ended says that it ends
// the message.
func (in *intake) take(chunk []byte) (ended bool, err error) {
	in.clean = in.clean[:0]
	for _, c := range chunk {
		switch {
		case c == '\r':
			in.crs++
			continue
		case c == '\n' && in.dot:
			return true, nil
		case c == '.' && in.dotEnds && !in.inLine && !in.dot && in.crs == 0:
			in.dot = true
			continue
		case c == '\n':
			in.crs = 0
		case c == 0:
			c = ' '
		}
		if err := in.release(); err != nil {
			return false, err
		}
		in.clean = append(in.clean, c)
		in.inLine = c != '\n'
	}
	return false, in.flush()
}

// release passes on what was kept back, for the line is something else.
func (in *intake) release() error {
	if in.dot {
		in.clean = append(in.clean, '.')
	}
	if in.size+in.crs > in.limit {
		return status.TooLarge(in.limit)
	}
	for ; in.crs > 0; in.crs-- {
		in.clean = append(in.clean, ' ')
	}
	in.dot = false
	return nil
}

// end is the end of the input: a last line may lack its own.
func (in *intake) end() error {
	if in.dot && in.crs == 0 {
		return nil
	}
	in.clean = in.clean[:0]
	if err := in.release(); err != nil {
		return err
	}
	return in.flush()
}

// flush writes what was cleaned.
func (in *intake) flush() error {
	if in.size += int64(len(in.clean)); in.size > in.limit || in.crs > in.limit {
		return status.TooLarge(in.limit)
	}
	if _, err := in.w.Write(in.clean); err != nil {
		return fmt.Errorf("keep the message: %w", err)
	}
	return nil
}
