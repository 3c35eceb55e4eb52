/*
 * NAME
 *
 * postmap - make, ask and edit lookup tables
 *
 * SYNOPSIS
 *
 * postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...
 *
 * DESCRIPTION
 *
 * Makes the table file.db (with map_type hash or btree) from the text file, whose lines are "key
 * value". The new table is made beside the old one and takes its place when it is complete, so that
 * no reader ever sees half of it. Without map_type, default_database_type is taken.
 *
 * Lines: empty ones and those whose first character is "#" are left out; one that begins with a
 * blank continues the one before. A key with blanks stands in double quotes.
 *
 * -q key  print the value of the first table that has the key; exit status 1 if none has it. With
 *         "-q -" keys come from standard input, and key and value are printed.
 * -h -b   with "-q -": standard input is a message; ask for its headers, its body lines.
 * -s      print all entries.
 * -d key  remove the key, or those on standard input with "-d -"; exit status 1 if there was none.
 * -i      add the entries on standard input to the table.
 * -r -w   an entry that is there already: replace it, or keep it and say nothing.
 * -f      do not fold keys to lower case.
 * -F      values are names of files, whose contents are stored.
 * -N -n   keys and values end with a zero byte (the default) or not.
 * -o      as root, do not become the owner of the source file.
 * -p      a new table has mode 0644, not its source's.
 * -c dir  the directory of main.cf. -v more to say. -m -u -U are accepted.
 *
 * SECURITY
 *
 * Run by root, it makes a table as the owner of its source file (but see -o).
 *
 * SEE ALSO
 *
 * postalias(1), postconf(5)
 */
#include "table_tool.h"

int main(int argc, char **argv)
{
    struct table_tool tool = {
        .name = "postmap",
        .options = "Nbc:d:fFhimnopq:rsuUvw",
        .usage = "[-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
        .kind = SOURCE_MAP,
    };
    int first = table_tool_options(&tool, argc, argv);

    return table_tool_run(&tool, argc - first, argv + first);
}
