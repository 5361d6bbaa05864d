package sqlite

import "path/filepath"

// remote maps the names of file systems whose files other machines may have open to why
// they are refused. SQLite needs locks that exclude all others, and memory that all share:
// over a network neither can be relied on, and a log that two machines write is damaged.
var remote = map[string]string{
	"nfs": "", "smb": "", "cifs": "", "smbfs": "", "9p": "", "afs": "", "coda": "", "ncp": "", "ceph": "", "lustre": "", "gpfs": "",
	"beegfs": "", "panfs": "", "gfs2": "", "ocfs2": "", "vboxsf": "", "prl_fs": "", "webdav": "", "afpfs": "",
	"fuse": ", which may be on another machine", "fusefs": ", which may be on another machine",
	"macfuse": ", which may be on another machine", "osxfuse": ", which may be on another machine",
}

// fileSystem returns the name of the file system that a directory is on, or "" if it is
// a local one or can't be found out, as on Windows. Tests replace it.
var fileSystem = statFileSystem

// deviceFree returns how many bytes are free, for this user, on the device that a directory
// is on, if that can be found out. Tests replace it.
var deviceFree = statFree

// refuseRemote returns an error if a file is on a file system of another machine.
func refuseRemote(path string) error {
	name := fileSystem(filepath.Dir(path))
	doubt, isRemote := remote[name]
	if !isRemote {
		return nil
	}
	return plainErrorf("%s: this is on a network file system (%s%s), where SQLite's locks and shared memory can't be relied on, and events may be lost; choose a path on a local disk, or, if no other machine ever opens the file, add filesystem=any to the URL: sqlite:%[1]s?filesystem=any", path, name, doubt)
}
