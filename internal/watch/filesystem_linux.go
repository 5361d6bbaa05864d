package watch

import "golang.org/x/sys/unix"

// remotes are file systems on which another machine, or a program, may change files
// without an event here. The event log of SQLite refuses much the same ones, by a list of
// its own: modules get a copy of that, without golang.org/x/sys, and it decides what may
// be damaged, where this decides only how changes are noticed.
var remotes = map[uint32]string{
	unix.NFS_SUPER_MAGIC:   "nfs",
	unix.SMB_SUPER_MAGIC:   "smb",
	unix.SMB2_SUPER_MAGIC:  "smb",
	unix.CIFS_SUPER_MAGIC:  "cifs",
	unix.FUSE_SUPER_MAGIC:  "fuse",
	unix.V9FS_MAGIC:        "9p",
	unix.CEPH_SUPER_MAGIC:  "ceph",
	unix.AFS_SUPER_MAGIC:   "afs",
	unix.AFS_FS_MAGIC:      "afs",
	unix.CODA_SUPER_MAGIC:  "coda",
	unix.NCP_SUPER_MAGIC:   "ncp",
	unix.OCFS2_SUPER_MAGIC: "ocfs2",
	0x01161970:             "gfs2",
	0x0bd00bd0:             "lustre",
	0x19830326:             "beegfs",
	0x47504653:             "gpfs",
	0x786f4256:             "vboxsf",
	0x7c7c6673:             "prl_fs",
	0xaad7aaea:             "panfs",
}

// remote returns the name of the file system that a folder is on, if changes there may
// cause no event; else "". Tests replace it.
var remote = func(folder string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return ""
	}
	return remotes[uint32(stat.Type)]
}
