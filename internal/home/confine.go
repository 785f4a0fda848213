package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"paperpath/internal/sandbox"
)

// Confine puts the program behind its walls, once it has opened what it must open before. Where
// that cannot be, file permissions alone confine it, and an event of those that stay says so.
func (h *Home) Confine(stays bool) error {
	walls, ok := sandbox.Of(h.Name)
	if !ok || !h.confinable {
		return nil
	}
	wanted, err := h.Control.Landlock()
	if err != nil {
		return err
	}
	if !wanted {
		return nil
	}
	programs := h.Control.NamesPrograms()
	if programs { // whatever they need
		walls.Connects, walls.Binds, walls.Executes = true, true, true
	}
	dir := walls.Beside(h.Dir)
	volume, err := h.ownVolume()
	switch {
	case err != nil:
	case volume != "":
		err = fmt.Errorf("%s is a volume of its own: mounted again, it would be behind the walls", volume)
	case h.Control.UsersProgram():
		err = errors.New("control/users names a program, which may need a set-user-ID program")
	case programs && dir != "":
		err = fmt.Errorf("the settings name a program, which may need files that are made in %s later", dir)
	default:
		err = sandbox.Raise(walls, h.Dir)
	}
	if err != nil && stays {
		h.Log.Unconfined(err.Error())
	}
	return nil
}

// ownVolume returns a part of the home that another volume is mounted on, "" if there is none.
// The kernel knows directories, not names: the same volume mounted once more is another
// directory, which would be out of reach for good.
func (h *Home) ownVolume() (string, error) {
	var home unix.Stat_t
	if err := unix.Stat(h.Dir, &home); err != nil {
		return "", &os.PathError{Op: "stat", Path: h.Dir, Err: err}
	}
	for _, part := range []string{"control", "spool", "mail", "log", "run"} {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(h.Dir, part), &st) == nil && st.Dev != home.Dev {
			return part + "/", nil
		}
	}
	return "", nil
}
