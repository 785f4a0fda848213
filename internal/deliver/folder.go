package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/maildir"
)

const (
	folderChars = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	maxFolder   = 100 // octets of a name
	maxFolders  = 200 // that senders can have made: then the inbox gets the rest
)

// folderOf is the folder that an extension names, for a user who wants that. It is made if it
// is missing. A name that could mean anything else than a folder stands for the inbox.
func folderOf(b box, home string, u *control.User, to addr.Address) (box, error) {
	name := addr.Fold(extension(u, to))
	if !u.Folders || !isFolder(name) {
		return b, nil
	}
	have, err := maildir.Folders(b.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b, fmt.Errorf("read the folders of %s: %w", b.path, err)
	}
	path, err := folderIn(b.path, name)
	if err != nil || len(have) >= maxFolders && !slices.Contains(have, filepath.Base(path)) {
		return b, err
	}
	if err := prepareOther(home, u, path); err != nil {
		return b, err
	}
	return box{path: path, others: []string{b.path}}, nil
}

// folderIn is the path of a folder in the Maildir root. A mail reader may have made it with
// other capitals.
func folderIn(root, name string) (string, error) {
	have, err := maildir.Folders(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the folders of %s: %w", root, err)
	}
	if slices.Contains(have, "."+name) {
		return filepath.Join(root, "."+name), nil
	}
	if at := slices.IndexFunc(have, func(f string) bool { return addr.Fold(f[1:]) == addr.Fold(name) }); at >= 0 {
		name = have[at][1:]
	}
	return filepath.Join(root, "."+name), nil
}

// isFolder reports whether an extension is a name for a folder: letters, digits, - and _, and
// dots between them for folders in folders. What is in the trash counts as deleted.
func isFolder(name string) bool {
	if len(name) > maxFolder || name == "inbox" {
		return false
	}
	for i, part := range strings.Split(name, ".") {
		if part == "" || strings.Trim(part, folderChars) != "" || i == 0 && part == "trash" {
			return false
		}
	}
	return true
}
