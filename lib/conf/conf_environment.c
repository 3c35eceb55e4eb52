/*
 * import_environment: what the processes of the suite keep of their environment.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_inside.h"

/* Is name, or name=value, in the list? Sets what the list gives a value. */
static bool environment_keeps(struct str list, struct str name)
{
    struct str word;

    while (str_word_braces(&list, ", \t\r\n", &word))
        if (str_eq(word, name))
            return true;
    return false;
}

static void set_environment(struct str list)
{
    struct str word, name, value;

    while (str_word_braces(&list, ", \t\r\n", &word)) {
        str_unbrace(&word);
        ptrdiff_t equals = str_find(word, '=');
        if (equals <= 0)
            continue;
        name = str_trim(str_upto(word, (size_t)equals));
        value = str_trim(str_from(word, (size_t)equals + 1));
        setenv(arena_strz(conf_memory(), name), arena_strz(conf_memory(), value), 1);
    }
}

void conf_clean_environment(void)
{
    struct str list = strz(conf.import_environment);

    for (size_t i = 0; environ[i] != NULL;) {
        struct str entry = strz(environ[i]);
        ptrdiff_t equals = str_find(entry, '=');
        struct str name = str_upto(entry, equals < 0 ? entry.n : (size_t)equals);
        if (environment_keeps(list, name) || unsetenv(arena_strz(conf_memory(), name)) < 0)
            i++;
    }
    set_environment(list);
}
