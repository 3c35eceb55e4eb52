/* table_tool.h - what postmap and postalias share: options, making, asking, editing tables */
#ifndef TOOLS_TABLE_TOOL_H
#define TOOLS_TABLE_TOOL_H

#include "dict/dict_make.h"

struct table_tool {
    const char *name;
    const char *options; /* for getopt */
    const char *usage;
    enum source kind;
    /* as the command line says */
    unsigned read_flags, write_flags;
    const char *config, *query, *drop;
    bool incremental, walk, keep_root;
    bool headers, body,
        mime; /* postmap -h, -b, -m: the keys are those parts of the message on stdin */
};

/* Reads the options and main.cf. Returns the index of the first argument; wrong options end the
 * process. */
int table_tool_options(struct table_tool *t, int argc, char **argv);
/* Does what the options say to the tables named; the exit status. */
int table_tool_run(struct table_tool *t, int tables, char **table);
/* Makes one table anew from its source: "type:file" or "file". */
void table_tool_make(struct table_tool *t, const char *table);

#endif
