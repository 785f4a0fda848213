package sendmail

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"paperpath/internal/status"
)

// intake reads a message from standard input as sendmail does. CR LF becomes LF,
// and so does CR CR LF, the result of translating line ends twice. A stray CR or
// NUL becomes a blank: to refuse it would lose mail of cron.
type intake struct {
	r       *bufio.Reader
	w       io.Writer
	limit   int64 // octets
	dotEnds bool  // a line with a lone dot ends the message
	size    int64
	clean   []byte // the cleaned chunk; reused

	inLine bool  // a part of the line has been passed on
	dot    bool  // the line is a dot so far, not passed on yet
	crs    int64 // CRs not passed on yet: blanks, unless LF follows
}

// copy reads up to the end, or until the limit is exceeded: a larger message is
// refused without reading all of it.
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

// take cleans a chunk, a line at most, and passes it on. ended reports whether it
// ends the message.
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

// release passes on the dot and the CRs that were kept back.
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

// end handles the end of the input; the last line may be incomplete.
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
		return fmt.Errorf("buffer the message: %w", err)
	}
	return nil
}
