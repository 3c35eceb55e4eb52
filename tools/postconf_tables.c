/*
 * The settings of tables that ask a server: in main.cf as <table>_<setting>, or in a file of the
 * table. ldap_table(5), mysql_table(5), pgsql_table(5), sqlite_table(5), memcache_table(5).
 */
#include "base/file.h"
#include "base/str.h"
#include "conf/conf.h"

#include "postconf.h"

enum { FILE_MOST = 1 << 20 };

static const char sql_settings[] =
    "hosts user password dbname query result_format domain table select_field "
    "where_field expansion_limit additional_conditions select_function option_file "
    "option_group tls_cert_file tls_key_file tls_CAfile tls_CApath tls_ciphers "
    "tls_verify_cert charset require_result_set encoding dbpath idle_interval "
    "retry_interval stored_procedure ";
static const char ldap_settings[] =
    "server_host server_port search_base query_filter result_attribute "
    "special_result_attribute leaf_result_attribute terminal_result_attribute "
    "result_format result_filter domain expansion_limit size_limit recursion_limit bind "
    "bind_dn bind_pw dereference chase_referrals cache cache_expiry cache_size version "
    "timeout scope debuglevel start_tls tls_ca_cert_dir tls_ca_cert_file tls_cert "
    "tls_key tls_require_cert tls_random_file tls_cipher_suite sasl_mechs sasl_realm "
    "sasl_authz_id sasl_minssf ";
static const char memcache_settings[] =
    "memcache backup flags ttl domain key_format line_size_limit data_size_limit max_try "
    "retry_pause timeout ";

static const struct {
    const char *type, *settings;
} types[] = {{"mysql", sql_settings},
             {"pgsql", sql_settings},
             {"sqlite", sql_settings},
             {"ldap", ldap_settings},
             {"memcache", memcache_settings}};

/* Null: the type has no settings. */
static const char *settings_of(struct str type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eqz(type, types[i].type))
            return types[i].settings;
    return NULL;
}

/* The names that main.cf may set for a table that is named there. */
static void add_names(struct postconf *p, const char *settings, struct str table)
{
    struct str rest = strz(settings), setting;
    struct buf name = BUF(4096);

    while (str_word(&rest, " ", &setting)) {
        buf_set(&name, table);
        buf_addc(&name, '_');
        buf_add(&name, setting);
        if (buf_ok(&name))
            postconf_add_name(p, buf_str(&name), CLASS_USER);
    }
    buf_free(&name);
}

/* A setting in the file of a table that the table does not know is a typing error. */
static void check_file(struct str type, const char *path, const char *settings)
{
    struct buf text = BUF(FILE_MOST);
    struct conf_main file;
    struct why why = WHY;

    /* Who asks may not be allowed to read passwords. */
    if (file_read(path, &text, &why) == 0 &&
        conf_main_parse(buf_str(&text), path, &file, &why) == 0) {
        VEC_EACH (&file.settings, s)
            if (!str_listed(settings, s->name))
                postconf_warn("%.*s:%s: unused parameter: %s=%s", (int)type.n, type.p, path,
                              s->name, s->value);
        conf_main_free(&file);
    }
    why_free(&why);
    buf_free(&text);
}

static void take_table(struct postconf *p, struct str type, struct str name)
{
    const char *settings = settings_of(type);

    if (settings == NULL || name.n == 0)
        return;
    if (name.p[0] != '/' && name.p[0] != '.') {
        add_names(p, settings, name);
        return;
    }
    struct buf path = BUF(4096);
    buf_add(&path, name);
    if (buf_ok(&path))
        check_file(type, path.p, settings);
    buf_free(&path);
}

void postconf_find_tables(struct postconf *p, struct str value)
{
    struct str word;

    while (str_word(&value, ", \t\r\n{}", &word)) {
        while (str_starts(word, STR("proxy:")))
            word = str_from(word, 6);
        ptrdiff_t colon = str_find(word, ':');
        if (colon > 0)
            take_table(p, str_upto(word, (size_t)colon), str_from(word, (size_t)colon + 1));
    }
}
