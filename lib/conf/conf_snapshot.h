/* conf_snapshot.h - main.cf and master.cf as they were when they were accepted */
#ifndef CONF_CONF_SNAPSHOT_H
#define CONF_CONF_SNAPSHOT_H

#include "base/why.h"

/*
 * Master checks and loads a copy of the two files, and gives the same copy to every process that it
 * starts. So an edit has no effect before the next reload, and none at all if that is refused. The
 * copies are files in memory; -1: none.
 */
struct conf_snapshot {
    int main, master;
};
#define CONF_NO_SNAPSHOT ((struct conf_snapshot){-1, -1})

/* Copies the files in dir. -1: why says what failed, and out has no copies. */
int conf_snapshot_take(const char *dir, struct conf_snapshot *out, struct why *why);
/* From now on conf_load and conf_master_load read these copies (CONF_NO_SNAPSHOT: the files). The
 * caller still owns the descriptors and must keep them open. */
void conf_snapshot_use(struct conf_snapshot s);
struct conf_snapshot conf_snapshot_used(void);
void conf_snapshot_close(struct conf_snapshot *s);
/* A checksum of the texts, to tell snapshots apart. 0: there is no snapshot, or it cannot be read.
 */
unsigned conf_snapshot_number(struct conf_snapshot s);

/* Appends the text of dir/name ("main.cf" or "master.cf"), from the copy if one is in use. */
int conf_file_read(const char *dir, const char *name, struct buf *out, struct why *why);

#endif
