/* store_watch.h - waking views when something may have changed on disk. For lib/store alone */
#ifndef STORE_STORE_WATCH_H
#define STORE_STORE_WATCH_H

struct store;
struct folder;

void store_watch_folder(struct folder *f); /* some view of it has a watcher now */
void store_unwatch_folder(struct folder *f); /* none has any more */
void store_watch_stop(struct store *s); /* ends all watching; before the store is closed */

#endif
