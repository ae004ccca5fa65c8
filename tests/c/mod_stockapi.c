/* Drives the API of the stock mod_session.h from a query string, and knows nothing of ours: what a module knows that was
 * written for httpd's own mod_session. ops.h has the grammar.
 *
 *     load  get=k  set=k:v  unset=k  save     the optional functions; set without a value and unset pass NULL
 *     getnull=k  setnull=k:v                  the same with no session_rec, which means "the one of this request"
 *     incr=k                                  get, and set to one more
 *     entries                                 `k=v` of all entries, in their order
 *     raw=k:v                                 writes into the entries directly and sets dirty
 *     user=name  maxage=seconds               writes the fields of the session_rec
 *     facts                                   the fields of the session_rec
 *     run_load  run_save                      the hooks themselves
 *
 * A line is "op: STATUS" or "op: STATUS value" with the numeric apr_status_t and "-" for NULL; entries, raw and facts say
 * "none" before load has given them a session_rec.
 */
#include "ops.h"
#include "mod_session.h"

#include <dlfcn.h>

static APR_OPTIONAL_FN_TYPE(ap_session_load) *session_load;
static APR_OPTIONAL_FN_TYPE(ap_session_save) *session_save;
static APR_OPTIONAL_FN_TYPE(ap_session_get) *session_get;
static APR_OPTIONAL_FN_TYPE(ap_session_set) *session_set;

static const char *get(script *s, session_rec *z)
{
    const char *value = NULL;
    apr_status_t status = session_get(s->r, z, s->arg, &value);

    return apr_psprintf(s->r->pool, "%d %s", status, value ? value : "-");
}

static const char *set(script *s, session_rec *z)
{
    return ops_show_number(s, session_set(s->r, z, s->key, s->value));
}

static const char *do_incr(script *s)
{
    const char *value = NULL, *more;
    apr_status_t status = session_get(s->r, s->session, s->arg, &value);

    more = ops_show_number(s, ops_number(value) + 1);
    if (!status)
        status = session_set(s->r, s->session, s->arg, more);
    return apr_psprintf(s->r->pool, "%d %s", status, more);
}

static const char *do_load(script *s)
{
    session_rec *z = NULL;
    apr_status_t status = session_load(s->r, &z);

    s->session = z;
    return ops_show_number(s, status);
}

static const char *do_save(script *s)
{
    return ops_show_number(s, session_save(s->r, s->session));
}

static const char *do_get(script *s)
{
    return get(s, s->session);
}

static const char *do_getnull(script *s)
{
    return get(s, NULL);
}

static const char *do_set(script *s)
{
    return set(s, s->session);
}

static const char *do_setnull(script *s)
{
    return set(s, NULL);
}

static const char *do_unset(script *s)
{
    return ops_show_number(s, session_set(s->r, s->session, s->arg, NULL));
}

static int show_entry(void *shown, const char *key, const char *value)
{
    apr_array_header_t *entries = shown;

    APR_ARRAY_PUSH(entries, const char *) = apr_pstrcat(entries->pool, key, "=", value, NULL);
    return 1;
}

static const char *do_entries(script *s)
{
    session_rec *z = s->session;
    apr_array_header_t *shown = apr_array_make(s->r->pool, 8, sizeof(const char *));

    if (!z)
        return "none";
    apr_table_do(show_entry, shown, z->entries, NULL);
    return apr_array_pstrcat(s->r->pool, shown, ' ');
}

static const char *do_raw(script *s)
{
    session_rec *z = s->session;

    if (!z)
        return "none";
    apr_table_set(z->entries, s->key, s->value);
    z->dirty = 1;
    return "0";
}

static const char *do_user(script *s)
{
    session_rec *z = s->session;

    if (!z)
        return "none";
    z->remote_user = s->arg ? apr_pstrdup(z->pool, s->arg) : NULL;
    z->dirty = 1;
    return "0";
}

static const char *do_maxage(script *s)
{
    session_rec *z = s->session;

    if (!z)
        return "none";
    z->maxage = ops_number(s->arg);
    z->dirty = 1;
    return "0";
}

static const char *do_run_load(script *s)
{
    int (*run)(request_rec *, session_rec **) = dlsym(RTLD_DEFAULT, "ap_run_session_load");
    session_rec *z = NULL;
    int status = run(s->r, &z);

    s->session = z;
    return ops_show_number(s, status);
}

static const char *do_run_save(script *s)
{
    int (*run)(request_rec *, session_rec *) = dlsym(RTLD_DEFAULT, "ap_run_session_save");

    return ops_show_number(s, run(s->r, s->session));
}

static const char *do_facts(script *s)
{
    session_rec *z = s->session;

    if (!z)
        return "none";
    return apr_psprintf(s->r->pool, "expiry=%" APR_INT64_T_FMT " maxage=%ld dirty=%d written=%d remote_user=%s",
                        z->expiry, z->maxage, z->dirty, z->written, z->remote_user ? z->remote_user : "-");
}

#define OP(name) { #name, do_##name }

static const operation OPERATIONS[] = {
    OP(load), OP(save), OP(get), OP(getnull), OP(set), OP(setnull), OP(unset), OP(incr), OP(entries), OP(raw), OP(user),
    OP(maxage), OP(facts), OP(run_load), OP(run_save),
    { NULL, NULL },
};

static int stockapi_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "stockapi"))
        return DECLINED;
    if (!session_load || !session_save || !session_get || !session_set)
        return ops_nothing_offered(r, "mod_session");
    return ops_run(r, OPERATIONS, "");
}

static void retrieve(void)
{
    session_load = APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
    session_save = APR_RETRIEVE_OPTIONAL_FN(ap_session_save);
    session_get = APR_RETRIEVE_OPTIONAL_FN(ap_session_get);
    session_set = APR_RETRIEVE_OPTIONAL_FN(ap_session_set);
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(stockapi_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA stockapi_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
