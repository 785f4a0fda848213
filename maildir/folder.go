package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/emersion/go-maildir/maildirpp"

	"paperpath/internal/dir"
)

// Folders of a mailbox are Maildirs in it, as Maildir++ has them: ".Lists.go" is the folder
// go in the folder Lists.

// Folders returns the names of the folders in the Maildir root, each with its dot.
func Folders(root string) (names []string, err error) {
	list, err := os.ReadDir(root)
	for _, e := range list {
		if name := e.Name(); e.IsDir() && name[0] == '.' && len(name) > 1 {
			names = append(names, name)
		}
	}
	return names, err
}

// FolderName returns the name of a folder in folders: FolderName("Lists", "go") is ".Lists.go".
func FolderName(path ...string) (string, error) {
	if len(path) == 0 {
		return "", errors.New("a folder without a name")
	}
	for _, part := range path {
		if part == "" {
			return "", errors.New("a folder without a name")
		}
	}
	return maildirpp.Join(path)
}

// FolderPath is the reverse of FolderName.
func FolderPath(name string) ([]string, error) { return maildirpp.Split(name) }

// OpenFolder opens the folder name, with its dot, of the Maildir root. If it is missing it is
// made with create; without, the error is fs.ErrNotExist.
func OpenFolder(root, name string, create bool) (*Dir, error) {
	path, err := FolderPath(name)
	if err == nil {
		_, err = FolderName(path...)
	}
	if err != nil || filepath.Base(name) != name {
		return nil, &fs.PathError{Op: "open folder", Path: name, Err: fs.ErrInvalid}
	}
	at := filepath.Join(root, name)
	d, err := Open(at)
	if !create || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if err := Create(at); err != nil {
		return nil, err
	}
	if err := MarkFolder(at); err != nil {
		return nil, err
	}
	return Open(at)
}

// MarkFolder makes the mark of a Maildir++ folder, for programs that deliver into it.
func MarkFolder(path string) error {
	f, err := dir.OpenPath(filepath.Join(path, "maildirfolder"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if st, err := os.Stat(path); err == nil && st.Mode()&fs.ModeSetgid != 0 && st.Mode()&0o020 != 0 {
		_ = f.Chmod(0o660) // of another user it has that mode already
	}
	return f.Close()
}
