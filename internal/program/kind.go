package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paperpath/internal/status"
	"paperpath/internal/userns"
)

// Kind is what a face is, for what its caller may not do.
type Kind int

// The kinds. A face with a message in hand answers 75, since whoever gave it
// the message would bounce it on 77 for a fault of ours.
const (
	Filter Kind = iota // has a message in hand
	Agent              // has one too, and stores or sends for others: never as root unless control/root lets it
	Person             // a verb for people: 77
	Server             // listens, or works at an inbox: 77, and never as root unless control/root lets it
)

// refuseRoot is the error of a face that must not run as root but still does, because
// the spool belongs to root too. Mail from strangers is not processed as the root of a
// machine unless control/root allows it.
func (f *frame) refuseRoot(kind Kind) error {
	if os.Geteuid() != 0 || kind != Server && kind != Agent || userns.Strangers(userns.Map()) {
		return nil
	}
	if uid, _, ok := f.SpoolOwner(); !ok || uid != 0 {
		return nil
	}
	may, err := f.Control.MayRunAsRoot(f.Name)
	if may || err != nil {
		return err
	}
	return kind.refusal(&status.Error{Exit: status.NotAllowed,
		Text: fmt.Sprintf("%s does not run as root, whose "+
			"this home is: give %s to a user (mailctl init --owner), or write %q into %s",
			f.Name, f.Dir, f.Name, filepath.Join(f.Dir, "control", "root"))})
}

// refusal gives an error with exit status 77 the one that the kind uses instead.
func (k Kind) refusal(err error) error {
	if status.Exit(err) == status.NotAllowed && (k == Agent || k == Filter) {
		return &status.Error{Exit: status.TempFail, Text: err.Error()}
	}
	return err
}

// notAllowed gives an error that a lack of permission brought about the exit
// status 77, for the kinds that have it.
func (k Kind) notAllowed(err error) bool {
	return (k == Person || k == Server) && errors.Is(err, fs.ErrPermission)
}
