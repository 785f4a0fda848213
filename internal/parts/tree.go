package parts

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	gomessage "github.com/emersion/go-message"
)

// tree is the structure as go-message reads it.
type tree struct {
	scan    *scanner
	limits  Limits
	depth   int
	spent   int64
	deepest int
	limit   error
	odd     error
}

// Read implements io.Reader: what the scanner passes on, as long as the work is bearable.
func (t *tree) Read(p []byte) (int, error) {
	n, err := t.scan.Read(p)
	if t.spent += int64(n) * int64(1+t.depth); t.spent > work {
		t.limit = ErrWork
		return 0, ErrWork
	}
	return n, err
}

func (t *tree) read() {
	// What it makes of hostile bytes is no reason to lose the message.
	defer func() {
		if p := recover(); p != nil {
			t.odd = fmt.Errorf("%v", p)
		}
	}()
	e, err := t.entity(t)
	if err == nil {
		err = t.inside(e, 0)
	}
	if err != nil && t.limit == nil {
		t.odd = err
	}
}

// entity reads the header of a message. What is unknown about a part's text is of no
// interest here.
func (t *tree) entity(r io.Reader) (*gomessage.Entity, error) {
	e, err := gomessage.ReadWithOptions(r, &gomessage.ReadOptions{MaxHeaderBytes: -1})
	if gomessage.IsUnknownCharset(err) || gomessage.IsUnknownEncoding(err) {
		err = nil
	}
	return e, err
}

// inside reads the parts of e, which is at that depth.
func (t *tree) inside(e *gomessage.Entity, depth int) error {
	kind, params, err := e.Header.ContentType()
	multi := strings.HasPrefix(kind, "multipart/") && len(params["boundary"]) <= longestBoundary
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || !multi && !isMessage(kind) {
		return err
	}
	if depth+1 > t.limits.Depth {
		t.limit = ErrDepth
		return ErrDepth
	}
	t.depth, t.deepest = depth+1, max(t.deepest, depth+1)
	defer func() { t.depth = depth }()
	if !multi {
		inner, err := t.entity(e.Body)
		if err != nil {
			return err
		}
		return t.inside(inner, depth+1)
	}
	return t.siblings(e, kind, depth+1)
}

// siblings reads the parts of a multipart.
func (t *tree) siblings(e *gomessage.Entity, kind string, depth int) error {
	var odd error
	for mr := e.MultipartReader(); mr != nil; {
		p, err := mr.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return odd
		case err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err):
			return err
		}
		if kind == "multipart/digest" && !p.Header.Has("Content-Type") {
			p.Header.Set("Content-Type", "message/rfc822") // RFC 2046 5.1.5
		}
		switch err := t.inside(p, depth); {
		case t.limit != nil:
			return err
		case err != nil && odd == nil:
			odd = err // the others may be sound
		}
	}
	return odd
}
