package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paperpath/internal/spool"
	"paperpath/internal/status"
	"paperpath/internal/userns"
)

// Kind is the kind of a face, which decides what its caller may not do.
type Kind int

// The kinds. A face that has a message in hand exits with 75 instead of 77: on 77
// whoever gave it the message would bounce it for a fault of ours.
const (
	Filter Kind = iota // has a message in hand
	Agent              // has one too, and stores or sends for others: as root only if control/root allows it
	Person             // a verb for people: 77
	Server             // listens, or works on an inbox: 77, and as root only if control/root allows it
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
	if err := spool.CheckMark(filepath.Join(f.Dir, "spool")); err != nil {
		return err // of a wrong --home nothing else is true
	}
	return kind.refusal(&status.Error{Exit: status.NotAllowed,
		Text: fmt.Sprintf("%s does not run as root, whose "+
			"this home is: give %s to a user (mailctl init --owner), or write %q into %s",
			f.Name, f.Dir, f.Name, filepath.Join(f.Dir, "control", "root"))})
}

// refusal replaces an error with exit status 77 by the one that the kind uses
// instead.
func (k Kind) refusal(err error) error {
	if status.Exit(err) == status.NotAllowed && (k == Agent || k == Filter) {
		return &status.Error{Exit: status.TempFail, Text: err.Error()}
	}
	return err
}

// notAllowed reports whether err comes from a lack of permission and the kind uses
// exit status 77 for that.
func (k Kind) notAllowed(err error) bool {
	return (k == Person || k == Server) && errors.Is(err, fs.ErrPermission)
}
