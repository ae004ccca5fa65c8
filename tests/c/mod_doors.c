/* The doors of one session in one handler, in any order: the stock interface (s...), the C interface (c...) and notes. ops.h has the grammar.
 *
 *     sload  sset=k:v  sget=k  suser=name  smaxage=s     ap_session_load, set, get; fields of the record, written in the request's pool
 *     cset=k:v  cget=k  cunset=k  cuser=name  whois      set_text, get_text, unset, set_user, user
 *     ctimeout=s  timeout  cinvalidate  crevert          set_timeout, timeout, invalidate, revert
 *     note=k:v  do=word                                  the notes session.k and session:do
 *     env=name  me                                       a variable of the environment, and r->user
 *     lookup=/path                                       a sub-request that is looked up and destroyed
 *     garbage                                            fills memory that was given back
 *
 * With the header X-Owner, parts of a page write that as the owner on the stock record, in their own pool. For paths with /no-pool
 * this module is a store that leaves session_rec.pool alone, and answers X-Saved.
 */
#include "ops.h"
#include "mod_session.h"
#include "session_api.h"

static APR_OPTIONAL_FN_TYPE(ap_session_load) *session_load;
static APR_OPTIONAL_FN_TYPE(ap_session_get) *session_get;
static APR_OPTIONAL_FN_TYPE(ap_session_set) *session_set;
static const session_api *api;

static session_rec *record(script *s)
{
    session_rec *z = s->session;

    if (!z) {
        session_load(s->r, &z);
        s->session = z;
    }
    return z;
}

static session *handle(script *s)
{
    session *handle = NULL;

    api->open(s->r, SESSION_CREATE, &handle);
    return handle;
}

static const char *do_sload(script *s)
{
    s->session = NULL;
    return record(s) ? "0" : "none";
}

static const char *do_sset(script *s)
{
    return ops_show_number(s, session_set(s->r, record(s), s->key, s->value));
}

static const char *do_sget(script *s)
{
    const char *value = NULL;

    session_get(s->r, record(s), s->arg, &value);
    return value ? value : "-";
}

static const char *do_suser(script *s)
{
    record(s)->remote_user = apr_pstrdup(s->r->pool, s->arg);
    return NULL;
}

static const char *do_smaxage(script *s)
{
    record(s)->maxage = ops_number(s->arg);
    return NULL;
}

static const char *do_cset(script *s)
{
    return ops_show_number(s, api->set_text(handle(s), s->key, s->value));
}

static const char *do_cget(script *s)
{
    const char *value = NULL;

    return api->get_text(handle(s), s->arg, &value) == SESSION_OK ? value : "-";
}

static const char *do_cunset(script *s)
{
    return ops_show_number(s, api->unset(handle(s), s->arg));
}

static const char *do_cuser(script *s)
{
    return ops_show_number(s, api->set_user(handle(s), s->arg));
}

static const char *do_whois(script *s)
{
    const char *user = api->user(handle(s));

    return user ? user : "-";
}

static const char *do_ctimeout(script *s)
{
    return ops_show_number(s, api->set_timeout(handle(s), ops_number(s->arg)));
}

static const char *do_timeout(script *s)
{
    return ops_show_number(s, api->timeout(handle(s)));
}

static const char *do_cinvalidate(script *s)
{
    return ops_show_number(s, api->invalidate(handle(s)));
}

static const char *do_crevert(script *s)
{
    return ops_show_number(s, api->revert(handle(s)));
}

static const char *do_note(script *s)
{
    apr_table_set(s->r->notes, apr_pstrcat(s->r->pool, "session.", s->key, NULL), s->value);
    return NULL;
}

static const char *do_do(script *s)
{
    apr_table_set(s->r->notes, "session:do", s->arg);
    return NULL;
}

static const char *do_env(script *s)
{
    const char *value = apr_table_get(s->r->subprocess_env, s->arg);

    return value ? value : "-";
}

static const char *do_me(script *s)
{
    return s->r->user ? s->r->user : "-";
}

static const char *do_lookup(script *s)
{
    ap_destroy_sub_req(ap_sub_req_lookup_uri(s->arg, s->r, NULL));
    return NULL;
}

static const char *do_garbage(script *s)
{
    int i;

    for (i = 0; i < 2000; i++)
        memset(apr_palloc(s->r->pool, 100), 'G', 100);
    return NULL;
}

#define OP(name) { #name, do_##name }

static const operation OPERATIONS[] = {
    OP(sload), OP(sset), OP(sget), OP(suser), OP(smaxage), OP(cset), OP(cget), OP(cunset), OP(cuser), OP(whois), OP(ctimeout),
    OP(timeout), OP(cinvalidate), OP(crevert), OP(note), OP(do), OP(env), OP(me), OP(lookup), OP(garbage), { NULL, NULL },
};

static int doors_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "doors"))
        return DECLINED;
    if (!session_load || !session_get || !session_set || !api)
        return ops_nothing_offered(r, "mod_session");
    return ops_run(r, OPERATIONS, "");
}

/* What an authentication module does. */
static int name_owner(request_rec *r)
{
    const char *owner = apr_table_get(r->headers_in, "X-Owner");
    session_rec *z = NULL;

    if (owner && r->main) {
        session_load(r, &z);
        if (z)
            z->remote_user = apr_pstrdup(r->pool, owner);
    }
    return DECLINED;
}

static int is_store(request_rec *r)
{
    return strstr(r->uri, "/no-pool") != NULL;
}

static apr_status_t load(request_rec *r, session_rec **z)
{
    if (!is_store(r))
        return DECLINED;
    *z = apr_pcalloc(r->pool, sizeof(**z));
    (*z)->entries = apr_table_make(r->pool, 4);
    return OK;
}

static apr_status_t save(request_rec *r, session_rec *z)
{
    if (!is_store(r))
        return DECLINED;
    apr_table_setn(r->err_headers_out, "X-Saved", z->encoded);
    return OK;
}

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(session_api_get) *get = APR_RETRIEVE_OPTIONAL_FN(session_api_get);

    api = get ? get(1) : NULL;
    session_load = APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
    session_get = APR_RETRIEVE_OPTIONAL_FN(ap_session_get);
    session_set = APR_RETRIEVE_OPTIONAL_FN(ap_session_set);
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(doors_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_fixups(name_owner, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_session_load(load, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_session_save(save, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA doors_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
