/* maps.h - a list of tables, as a parameter names it: the first that knows the key answers */
#ifndef DICT_MAPS_H
#define DICT_MAPS_H

#include "dict/dict.h"

/*
 * "hash:/a, pcre:/b {inline:{x=y}}": separated by commas and blanks, {groups} kept together. The
 * same table named in several lists is opened once. A table that cannot be opened is logged and
 * fails each lookup that reaches it; maps_open itself never fails.
 */
struct maps;
struct maps *maps_open(const char *parameter, const char *specs, unsigned flags);
bool maps_empty(const struct maps *m); /* it has no tables; true for null */
const char *maps_parameter(const struct maps *m);
size_t maps_count(const struct maps *m);
struct dict *maps_at(struct maps *m, size_t i);

/* Both stop at the first table that fails. The table and the reason are then logged; why says only
 * "Temporary lookup failure", because strangers may see it. An empty value counts as a failure. */
enum dict_answer maps_find(struct maps *m, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result));
enum dict_answer maps_find_part(struct maps *m, const char *key, struct buf *value, struct why *why)
    __attribute__((warn_unused_result)); /* fixed-key tables only */
/* A host: its name, and if that is not there, each domain above it with a dot before it
 * (".example.com", ".com"). Patterns see each of them. */
enum dict_answer maps_find_host(struct maps *m, const char *host, struct buf *value,
                                struct why *why) __attribute__((warn_unused_result));
/* Calls fn for each value of each table, see dict_values. table: as written, "type:name". */
typedef void maps_value_fn(void *arg, const char *table, const char *where, const char *value);
void maps_values(struct maps *m, maps_value_fn *fn, void *arg);
void maps_close(struct maps **m);

#endif
