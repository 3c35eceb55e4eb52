/*
 * NAME
 *
 * postalias, newaliases - make, ask and edit alias databases
 *
 * SYNOPSIS
 *
 * postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...
 *
 * newaliases
 *
 * DESCRIPTION
 *
 * Makes the table file.db from the alias file: "name: value, value ...". Options are those of
 * postmap(1); an entry "name" is stored without quotes and in lower case. newaliases makes the
 * tables that alias_database names.
 *
 * SECURITY
 *
 * Run by root, it makes a table as the owner of its source file (but see postmap -o).
 *
 * SEE ALSO
 *
 * postmap(1), aliases(5)
 */
#include "base/msg.h"
#include "base/str.h"
#include "conf/conf.h"

#include "table_tool.h"

/* Types that have no source to be made from (ldap:, nis:) are nobody's business here. */
static int make_all(struct table_tool *tool)
{
    struct str rest = strz(conf.alias_database), word;
    struct buf table = BUF(rest.n); /* fits: a part of it */

    if (rest.n == 0)
        msg_warn("no alias_database parameter value");
    while (str_word_braces(&rest, ", \t\r\n", &word)) {
        buf_set(&table, word);
        table_tool_make(tool, table.p);
    }
    buf_free(&table);
    return 0;
}

int main(int argc, char **argv)
{
    struct table_tool tool = {
        .name = "postalias",
        .options = "Nc:d:finopq:rsuvw",
        .usage = "[-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
        .kind = SOURCE_ALIASES,
    };
    const char *slash = strrchr(argv[0], '/');
    bool newaliases = strcmp(slash == NULL ? argv[0] : slash + 1, "newaliases") == 0;
    int first = table_tool_options(&tool, argc, argv);

    if (newaliases)
        return make_all(&tool);
    return table_tool_run(&tool, argc - first, argv + first);
}
