/* A module as others wrote it: compiled against httpd's headers alone, it uses all that mod_session.h declares. Its answers are compared
 * between httpd's mod_session and ours, so it says what it finds and judges nothing.
 *
 *     StockOnlyStore On      a store of its own: loads what the request header X-Kept says, saves into the response header X-Kept
 *     StockOnlyTurn On       encodes by turning the text round behind "turned.", and decodes that; "broken." is an error
 *     StockOnlyFail load     this hook ("load", "save", "encode") answers 500
 *
 * The handler `stockonly` does what the query string names, and writes a line for each:
 *
 *     load  get=k  set=k:v  unset=k  save      the optional functions
 *     run_load  run_decode  run_encode  run_save      the hooks, run directly
 *     record      the fields of the session_rec
 *     layout      its size and the offsets of its fields
 *     hooks       who hooks what, and where in the order
 *     config      the session_dir_conf of this section
 *     out=name:text  err=name:text            sets a header of the response
 */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "http_request.h"
#include "apr_strings.h"
#include "mod_session.h"
#include <stddef.h>
#include <string.h>

module AP_MODULE_DECLARE_DATA stockonly_module;

typedef struct {
    int store, turn;
    const char *fail;
} config;

static APR_OPTIONAL_FN_TYPE(ap_session_load) *session_load;
static APR_OPTIONAL_FN_TYPE(ap_session_save) *session_save;
static APR_OPTIONAL_FN_TYPE(ap_session_get) *session_get;
static APR_OPTIONAL_FN_TYPE(ap_session_set) *session_set;

static config *config_of(request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &stockonly_module);
}

static int fails(request_rec *r, const char *hook)
{
    const char *fail = config_of(r)->fail;

    return fail && !strcmp(fail, hook);
}

static char *turned_round(apr_pool_t *pool, const char *text)
{
    apr_size_t n = strlen(text), i;
    char *turned = apr_palloc(pool, n + 1);

    for (i = 0; i < n; i++)
        turned[i] = text[n - 1 - i];
    turned[n] = '\0';
    return turned;
}

static apr_status_t own_load(request_rec *r, session_rec **z)
{
    if (!config_of(r)->store)
        return DECLINED;
    if (fails(r, "load"))
        return HTTP_INTERNAL_SERVER_ERROR;
    while (r->main || r->prev)
        r = r->main ? r->main : r->prev;
    if ((*z = ap_get_module_config(r->request_config, &stockonly_module)))
        return OK;
    *z = apr_pcalloc(r->pool, sizeof(**z));
    (*z)->pool = r->pool;
    (*z)->entries = apr_table_make(r->pool, 8);
    (*z)->encoded = apr_table_get(r->headers_in, "X-Kept");
    ap_set_module_config(r->request_config, &stockonly_module, *z);
    return OK;
}

static apr_status_t own_save(request_rec *r, session_rec *z)
{
    if (!config_of(r)->store)
        return DECLINED;
    if (fails(r, "save"))
        return HTTP_INTERNAL_SERVER_ERROR;
    apr_table_set(r->err_headers_out, "X-Kept", z->encoded ? z->encoded : "nothing");
    return OK;
}

static apr_status_t own_encode(request_rec *r, session_rec *z)
{
    if (fails(r, "encode"))
        return HTTP_INTERNAL_SERVER_ERROR;
    if (!config_of(r)->turn || !z->encoded)
        return DECLINED;
    z->encoded = apr_pstrcat(z->pool, "turned.", turned_round(z->pool, z->encoded), NULL);
    return OK;
}

static apr_status_t own_decode(request_rec *r, session_rec *z)
{
    if (!config_of(r)->turn || !z->encoded)
        return DECLINED;
    if (!strncmp(z->encoded, "broken.", 7))
        return HTTP_INTERNAL_SERVER_ERROR;
    if (strncmp(z->encoded, "turned.", 7))
        return DECLINED;
    z->encoded = turned_round(z->pool, z->encoded + 7);
    return OK;
}

static void show_record(request_rec *r, session_rec *z)
{
    const apr_table_entry_t *entry;
    int i;

    if (!z) {
        ap_rputs("record: none\n", r);
        return;
    }
    ap_rprintf(r, "record: pool=%d uuid=%d remote_user=%s encoded=%s expiry=%" APR_INT64_T_FMT " maxage=%ld dirty=%d cached=%d written=%d entries:",
               z->pool != NULL, z->uuid != NULL, z->remote_user ? z->remote_user : "-", z->encoded ? z->encoded : "-", z->expiry,
               z->maxage, z->dirty, z->cached, z->written);
    entry = (const apr_table_entry_t *)apr_table_elts(z->entries)->elts;
    for (i = 0; i < apr_table_elts(z->entries)->nelts; i++)
        ap_rprintf(r, " %s=%s", entry[i].key, entry[i].val);
    ap_rputs("\n", r);
}

static void show_layout(request_rec *r)
{
    ap_rprintf(r, "layout: %d pool=%d uuid=%d remote_user=%d entries=%d encoded=%d expiry=%d maxage=%d dirty=%d cached=%d written=%d\n",
               (int)sizeof(session_rec), (int)offsetof(session_rec, pool), (int)offsetof(session_rec, uuid),
               (int)offsetof(session_rec, remote_user), (int)offsetof(session_rec, entries), (int)offsetof(session_rec, encoded),
               (int)offsetof(session_rec, expiry), (int)offsetof(session_rec, maxage), (int)offsetof(session_rec, dirty),
               (int)offsetof(session_rec, cached), (int)offsetof(session_rec, written));
}

/* The links of all hooks are alike: function, name, predecessors, successors, order. */
static void show_hook(request_rec *r, const char *name, apr_array_header_t *links)
{
    struct link { ap_HOOK_session_load_t *run; const char *name, *const *before, *const *after; int order; } *link;
    int i;

    ap_rprintf(r, "hook %s:", name);
    for (i = 0; links && i < links->nelts; i++) {
        link = &((struct link *)links->elts)[i];
        ap_rprintf(r, " %s@%d", link->name ? link->name : "-", link->order);
    }
    ap_rputs("\n", r);
}

static void show_paths(request_rec *r, const char *name, apr_array_header_t *paths)
{
    int i;

    ap_rprintf(r, " %s=%d:", name, paths ? paths->nelts : -1);
    for (i = 0; paths && i < paths->nelts; i++)
        ap_rprintf(r, "%s,", APR_ARRAY_IDX(paths, i, const char *));
}

static void show_config(request_rec *r)
{
    session_dir_conf *conf = ap_get_module_config(r->per_dir_config, &session_module);

    ap_rprintf(r, "config: enabled=%d/%d maxage=%ld/%d header=%s/%d env=%d/%d", conf->enabled, conf->enabled_set, conf->maxage,
               conf->maxage_set, conf->header ? conf->header : "-", conf->header_set, conf->env, conf->env_set);
    show_paths(r, "includes", conf->includes);
    show_paths(r, "excludes", conf->excludes);
    ap_rprintf(r, " update=%" APR_INT64_T_FMT "/%d name=%s\n", conf->expiry_update_time, conf->expiry_update_set, session_module.name);
}

static void act(request_rec *r, session_rec **z, char *word)
{
    char *key = strchr(word, '='), *value = NULL;
    const char *found = NULL;
    int status = 0;

    if (key) {
        *key++ = '\0';
        if ((value = strchr(key, ':')))
            *value++ = '\0';
    }
    if (!strcmp(word, "record"))
        return show_record(r, *z);
    if (!strcmp(word, "layout"))
        return show_layout(r);
    if (!strcmp(word, "config"))
        return show_config(r);
    if (!strcmp(word, "hooks")) {
        show_hook(r, "load", ap_hook_get_session_load());
        show_hook(r, "save", ap_hook_get_session_save());
        show_hook(r, "encode", ap_hook_get_session_encode());
        show_hook(r, "decode", ap_hook_get_session_decode());
        return;
    }
    if (!strcmp(word, "out") || !strcmp(word, "err")) {
        apr_table_set(*word == 'o' ? r->headers_out : r->err_headers_out, key, value);
        return;
    }
    if (!strcmp(word, "load"))
        status = session_load(r, z);
    else if (!strcmp(word, "save"))
        status = session_save(r, *z);
    else if (!strcmp(word, "get"))
        status = session_get(r, *z, key, &found);
    else if (!strcmp(word, "set"))
        status = session_set(r, *z, key, value);
    else if (!strcmp(word, "unset"))
        status = session_set(r, *z, key, NULL);
    else if (!strcmp(word, "run_load"))
        status = ap_run_session_load(r, z);
    else if (!strcmp(word, "run_decode"))
        status = ap_run_session_decode(r, *z);
    else if (!strcmp(word, "run_encode"))
        status = ap_run_session_encode(r, *z);
    else if (!strcmp(word, "run_save"))
        status = ap_run_session_save(r, *z);
    else
        status = -1000;
    ap_rprintf(r, "%s: %d %s\n", word, status, found ? found : "-");
}

static int stockonly_handler(request_rec *r)
{
    session_rec *z = NULL;
    char *rest = NULL, *word;

    if (!r->handler || strcmp(r->handler, "stockonly"))
        return DECLINED;
    if (!session_load || !session_save || !session_get || !session_set)
        return HTTP_NOT_IMPLEMENTED;
    ap_set_content_type(r, "text/plain");
    for (word = apr_strtok(apr_pstrdup(r->pool, r->args ? r->args : ""), "&", &rest); word; word = apr_strtok(NULL, "&", &rest))
        act(r, &z, word);
    return OK;
}

static void retrieve(apr_pool_t *pool, server_rec *server)
{
    session_load = APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
    session_save = APR_RETRIEVE_OPTIONAL_FN(ap_session_save);
    session_get = APR_RETRIEVE_OPTIONAL_FN(ap_session_get);
    session_set = APR_RETRIEVE_OPTIONAL_FN(ap_session_set);
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const BEFORE_CRYPTO[] = { "mod_session_crypto.c", NULL };

    ap_hook_session_load(own_load, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_session_save(own_save, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_session_encode(own_encode, NULL, BEFORE_CRYPTO, APR_HOOK_MIDDLE);
    ap_hook_session_decode(own_decode, BEFORE_CRYPTO, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(stockonly_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

static void *make_config(apr_pool_t *pool, char *section)
{
    return apr_pcalloc(pool, sizeof(config));
}

static const command_rec DIRECTIVES[] = {
    AP_INIT_FLAG("StockOnlyStore", ap_set_flag_slot, (void *)APR_OFFSETOF(config, store), ACCESS_CONF, "a store of its own"),
    AP_INIT_FLAG("StockOnlyTurn", ap_set_flag_slot, (void *)APR_OFFSETOF(config, turn), ACCESS_CONF, "an encoding of its own"),
    AP_INIT_TAKE1("StockOnlyFail", ap_set_string_slot, (void *)APR_OFFSETOF(config, fail), ACCESS_CONF, "the hook that fails"),
    { NULL },
};

module AP_MODULE_DECLARE_DATA stockonly_module = { STANDARD20_MODULE_STUFF, make_config, NULL, NULL, NULL, DIRECTIVES, register_hooks, AP_MODULE_FLAG_NONE };
