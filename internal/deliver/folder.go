package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
func folderOf(b box, u *control.User, to addr.Address) (box, error) {
	name := addr.Fold(extension(u, to))
	if !u.Folders || !isFolder(name) {
		return b, nil
	}
	have, err := maildir.Folders(b.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b, fmt.Errorf("read the folders of %s: %w", b.path, err)
	}
	at := slices.IndexFunc(have, func(f string) bool { return addr.Fold(f[1:]) == name })
	folder := "." + name
	if at >= 0 {
		folder = have[at] // a mail reader may have made it with capitals
	} else if len(have) >= maxFolders {
		return b, nil
	}
	path := b.path + string(os.PathSeparator) + folder
	if err := prepareOther(u, path); err != nil {
		return b, err
	}
	return box{path: path, others: []string{b.path}, replies: b.replies}, nil
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
