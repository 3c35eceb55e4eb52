"""A suite whose file operations are recorded, or fail when asked to: the other half of disk.c.

    disk = Disk(suite)                      before suite.start()
    disk.arm("cleanup", "write", 3, errno.ENOSPC)
    ... disk.fired() ...
    disk.record(); ...; log = disk.log()    a list of Op, in the order in which they happened
"""
import mmap, os, struct, subprocess

import pombal

HERE = os.path.dirname(os.path.abspath(__file__))
MAGIC, RECORDS_AT, SIZE = 0x6b736964, 4096, 256 << 20
ERROR, SHORT, KILL, KILL_AFTER, ERRORS = 1, 2, 3, 4, 5
# struct disk_control
MODE, PROGRAM, CALL, NTH, ERRNO, COUNT, FIRED, RECORDING, FULL, FS, USED, FILE_SIZE = 4, 8, 40, 72, 76, 80, 84, 88, 92, 96, 104, 112
HEAD = struct.Struct("=IHHHHi16sQQQqII")
CALLS = ["", "create", "write", "truncate", "rename", "link", "unlink", "mkdir", "rmdir", "sync_begin", "sync_end",
         "mode", "owner", "said"]
KINDS = {"ext4": 0xef53, "xfs": 0x58465342, "btrfs": 0x9123683e}

# Deferred mail and throttled services are tried again at once.
QUICK = """queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
service_throttle_time = 1s
"""


def library():
    path = pombal.BUILD + "/crash/libdisk.so"
    assert os.path.exists(path), "t/run builds it"
    return path


class Op:
    def __init__(self, at, head, path, path2, data):
        self.at = at
        (_, call, _, _, self.is_directory, self.pid, program, self.inode, self.base, self.base2, self.offset, _,
         self.data_only) = head
        self.call, self.program = CALLS[call], program.rstrip(b"\0").decode()
        self.path, self.path2, self.data = path, path2, data

    def __repr__(self):
        return "<%d %s %s %s>" % (self.at, self.program, self.call, self.path or self.inode)


class Disk:
    """kind: what the suite is told of the file systems, or None for what they are"""

    def __init__(self, suite, kind=None):
        self.path = suite.dir + "/disk"
        with open(self.path, "wb") as f:
            f.truncate(SIZE)
        os.chmod(self.path, 0o666)
        self.file = open(self.path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), SIZE)
        struct.pack_into("=Q", self.map, FILE_SIZE, SIZE)
        struct.pack_into("=I", self.map, FS, KINDS[kind] if kind else 0)
        struct.pack_into("=I", self.map, 0, MAGIC)
        self.env = {"LD_PRELOAD": library(), "POMBAL_DISK": self.path,
                    "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
        # The daemons get it from master, which takes over what import_environment names.
        suite.add_main("import_environment = MAIL_CONFIG TZ LANG=C LD_PRELOAD POMBAL_DISK ASAN_OPTIONS\n")
        suite.start_env = self.env

    # ---- faults
    def get(self, at):
        return struct.unpack_from("=I", self.map, at)[0]

    def put(self, at, value):
        struct.pack_into("=i", self.map, at, value)

    def arm(self, program, call, nth, error=0, mode=ERROR):
        self.put(MODE, 0)
        self.put(COUNT, 0)
        self.put(FIRED, 0)
        self.put(NTH, nth)
        self.put(ERRNO, error)
        self.map[PROGRAM:PROGRAM + 32] = program.encode().ljust(32, b"\0")
        self.map[CALL:CALL + 32] = call.encode().ljust(32, b"\0")
        self.put(MODE, mode)

    def disarm(self):
        self.put(MODE, 0)
        return self.fired()

    def fired(self):
        return self.get(FIRED) != 0

    # ---- records
    def record(self):
        self.put(RECORDING, 1)

    def stop(self):
        self.put(RECORDING, 0)

    def now(self):
        """the place in the record that all operations up to now are before"""
        return struct.unpack_from("=Q", self.map, USED)[0]

    def log(self):
        assert not self.get(FULL), "the record is too small"
        ops, at, end = [], 0, self.now()
        while at < end:
            head = HEAD.unpack_from(self.map, RECORDS_AT + at)
            size, n1, n2, n3 = head[0], head[2], head[3], head[11]
            if size == 0:
                break  # somebody was killed while he wrote it
            text = self.map[RECORDS_AT + at + HEAD.size:RECORDS_AT + at + size]
            ops.append(Op(at, head, os.fsdecode(text[:n1]), os.fsdecode(text[n1:n1 + n2]),
                          bytes(text[n1 + n2:n1 + n2 + n3])))
            at += size
        return ops

    def close(self):
        self.map.close()
        self.file.close()
