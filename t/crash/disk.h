/* disk.h - what the preloaded library and the tests of t/crash/disk.py share: one mapped file */
#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include <stdint.h>

/*
 * The file that POMBAL_DISK names, mapped by every process of the suite before its jail. The test
 * writes the first part at any time (t/crash/disk.py knows the same offsets); the library counts
 * calls in it, and appends a record for each file operation behind it.
 */
enum { DISK_RECORDS_AT = 4096 };

enum disk_mode {
    DISK_NOTHING = 0,
    DISK_ERROR = 1, /* the n-th call fails with the error, and has done nothing */
    DISK_SHORT = 2, /* the n-th write writes half, or one byte of two */
    DISK_KILL = 3, /* the process is killed instead of the n-th call */
    DISK_KILL_AFTER = 4, /* the process is killed when the n-th call has been done */
    DISK_ERRORS = 5, /* the n-th call and all after it fail */
};

struct disk_control {
    uint32_t magic;
    uint32_t mode; /* enum disk_mode; set last */
    char program[32]; /* as in argv[0], without the directory */
    char call[32]; /* "write", "rename", "link", "unlink", "open", "mkdir", "sync", "truncate",
                      "chmod", "utime", or "any" for all of these: what changes files; "look" (open
                      to read), "read", "readdir", "stat", "lock", "malloc", "fork", "accept",
                      "connect", "socket" (and pipes), "send", "recv" */
    uint32_t nth; /* from 1 */
    int32_t error; /* errno */
    uint32_t count; /* such calls so far */
    uint32_t fired;
    uint32_t recording;
    uint32_t full; /* the file was too small for all records */
    uint32_t magic_of_fs; /* what statfs says of every file system; 0: what it is */
    uint32_t unused;
    uint64_t used; /* bytes of records */
    uint64_t size; /* of the whole file */
};

enum disk_call {
    DISK_CREATE =
        1, /* open with O_CREAT: path, inode, offset: permissions, base2: uid << 32 | gid */
    DISK_WRITE = 2, /* inode, offset, data */
    DISK_TRUNCATE = 3, /* inode, offset: the new size */
    DISK_RENAME = 4, /* path to path2 */
    DISK_LINK = 5, /* path to path2 */
    DISK_UNLINK = 6, /* path */
    DISK_MKDIR = 7, /* as DISK_CREATE */
    DISK_RMDIR = 8, /* path */
    DISK_SYNC_BEGIN = 9, /* inode; offset: number of the sync */
    DISK_SYNC_END = 10, /* the same number */
    DISK_MODE = 11, /* inode, offset: permissions */
    DISK_OWNER = 12, /* inode, offset: uid << 32 | gid */
    DISK_SAID = 13, /* data: a client was told that something is done */
};

/* Followed by path, path2, data; then padded to 8 bytes. */
struct disk_record {
    uint32_t size; /* whole, with padding; set last: 0 means not complete */
    uint16_t call;
    uint16_t path_n, path2_n;
    uint16_t is_directory; /* of DISK_SYNC_* */
    int32_t pid;
    char program[16];
    uint64_t inode;
    uint64_t base, base2; /* inode of the directory that a path begins at */
    int64_t offset;
    uint32_t data_n;
    uint32_t data_only; /* of DISK_SYNC_*: fdatasync */
};

#endif
