/* dict_types.h - the table types there are, for the list in dict.c and their own files */
#ifndef DICT_DICT_TYPES_H
#define DICT_DICT_TYPES_H

#include "dict/dict.h"

extern const struct dict_type dict_btree, dict_cidr, dict_environ, dict_fail, dict_hash,
    dict_inline, dict_pcre, dict_pipemap, dict_randmap, dict_regexp, dict_static, dict_texthash,
    dict_unionmap, dict_unix;

#endif
