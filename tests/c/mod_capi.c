/* Drives every function of session_api.h from a query string, and nothing else: what a C module can know of a session.
 * ops.h has the grammar. An operation on a session before one is open passes NULL, which the API must survive; so does
 * a key or a text for which the query has nothing.
 *
 *     open[=create,read_only,no_lock,no_touch]   open_by_id=ID[:flags]   exists=ID
 *     type_of=k  get_text=k  get_int=k  get_float=k  get_bool=k  get_bytes=k (hex)  get_msgpack=k (hex)
 *     set_null=k  set_text=k:v  set_int=k:v  set_float=k:v  set_bool=k:v  set_bytes=k:hex  set_msgpack=k:hex
 *     incr=k (get_int, set_int of one more)  add=k:delta  unset=k  clear  each  len  visitget=k  thread_get=k:threads
 *     load  save  revert  remove  invalidate  regenerate=0|1  expire  touch
 *     lock=microseconds  trylock  unlock  set_timeout=seconds  set_user=name
 *     id  ref  cookie_name  user  is_new  was_invalidated  created  accessed  timeout  http_status=number
 *
 * A line is "op: STATUS" or "op: STATUS value"; for len and the last row it is "op: value", where "-" is NULL.
 */
#include "ops.h"
#include "session_api.h"
#include "apr_optional_hooks.h"
#include "http_main.h"
#include "apr_escape.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const session_api *api;

static const char *status_name(session_status status)
{
    static const char *const NAMES[] = { "OK",        "NONE",    "GONE",     "BUSY",    "OFF",   "TOO_LATE",
                                         "TOO_LARGE", "BAD_KEY", "BAD_TYPE", "CORRUPT", "STORE", "PANIC" };
    return (unsigned)status < sizeof NAMES / sizeof *NAMES ? NAMES[status] : "UNNAMED";
}

static const char *type_name(session_type type)
{
    static const char *const NAMES[] = { "NULL", "BOOL", "INT", "FLOAT", "TEXT", "BYTES", "LIST", "MAP" };
    return (unsigned)type < sizeof NAMES / sizeof *NAMES ? NAMES[type] : "UNNAMED";
}

/* A value counts only if the status is OK; an empty one leaves no blank behind. */
static const char *answer(script *s, session_status status, const char *value)
{
    if (status != SESSION_OK || !value || !*value)
        return status_name(status);
    return apr_pstrcat(s->r->pool, status_name(status), " ", value, NULL);
}

/* --- opening --- */

static unsigned flags(script *s, const char *names)
{
    static const struct { const char *name; unsigned flag; } FLAGS[] = {
        { "create", SESSION_CREATE }, { "read_only", SESSION_READ_ONLY }, { "no_lock", SESSION_NO_LOCK }, { "no_touch", SESSION_NO_TOUCH },
    };
    char *rest = NULL, *name = apr_strtok(apr_pstrdup(s->r->pool, names ? names : ""), ",", &rest);
    unsigned found = 0, i;

    for (; name; name = apr_strtok(NULL, ",", &rest)) {
        for (i = 0; i < 4 && strcmp(FLAGS[i].name, name); i++)
            ;
        if (i == 4)
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, s->r, "open knows no flag '%s'", name);
        else
            found |= FLAGS[i].flag;
    }
    return found;
}

static const char *opened(script *s, session_status status, session *handle)
{
    if (status == SESSION_OK)
        s->session = handle;
    return status_name(status);
}

static const char *do_open(script *s)
{
    session *handle = NULL;
    session_status status = api->open(s->r, flags(s, s->arg), &handle);

    return opened(s, status, handle);
}

static const char *do_open_by_id(script *s)
{
    session *handle = NULL;
    session_status status = api->open_by_id(s->r, s->key, flags(s, s->value), &handle);

    return opened(s, status, handle);
}

/* One request at a time loses nothing; two at once may. */
static const char *do_incr(script *s)
{
    apr_int64_t n = 0;
    session_status status = api->get_int(s->session, s->arg, &n);

    if (status == SESSION_OK || status == SESSION_NONE)
        status = api->set_int(s->session, s->arg, n + 1);
    return answer(s, status, ops_show_number(s, n + 1));
}

/* --- operations that answer a status alone --- */

#define STATUS(name, ...)                                                                                      \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        return status_name(api->name(__VA_ARGS__));                                                            \
    }

STATUS(exists, s->r, s->arg)
STATUS(set_null, s->session, s->arg)
STATUS(set_text, s->session, s->key, s->value)
STATUS(set_int, s->session, s->key, ops_number(s->value))
STATUS(set_float, s->session, s->key, s->value ? strtod(s->value, NULL) : 0)
STATUS(set_bool, s->session, s->key, (int)ops_number(s->value))
STATUS(add, s->session, s->key, ops_number(s->value))
STATUS(unset, s->session, s->arg)
STATUS(clear, s->session)
STATUS(load, s->session)
STATUS(save, s->session)
STATUS(revert, s->session)
STATUS(remove, s->session)
STATUS(invalidate, s->session)
STATUS(regenerate, s->session, (int)ops_number(s->arg))
STATUS(expire, s->session)
STATUS(touch, s->session)
STATUS(lock, s->session, ops_number(s->arg))
STATUS(trylock, s->session)
STATUS(unlock, s->session)
STATUS(set_timeout, s->session, ops_number(s->arg))
STATUS(set_user, s->session, s->arg)

#define SET_HEX(name)                                                                                          \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        apr_size_t len = 0;                                                                                    \
        const void *bytes = s->value ? apr_punescape_hex(s->r->pool, s->value, 0, &len) : NULL;                \
                                                                                                               \
        return status_name(api->name(s->session, s->key, bytes, len));                                         \
    }

SET_HEX(set_bytes)
SET_HEX(set_msgpack)

/* --- operations that answer a value --- */

/* The shortest text that reads as the same number; APR's own %g drops digits. */
static const char *show_float(script *s, double value)
{
    char text[32];
    int digits = 0;

    do
        snprintf(text, sizeof text, "%.*g", ++digits, value);
    while (digits < 17 && strtod(text, NULL) != value);
    return apr_pstrdup(s->r->pool, text);
}

#define GET(name, type, shown)                                                                                 \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        type value = 0;                                                                                        \
        session_status status = api->name(s->session, s->arg, &value);                                         \
                                                                                                               \
        return answer(s, status, shown);                                                                       \
    }

GET(get_text, const char *, value)
GET(get_int, apr_int64_t, ops_show_number(s, value))
GET(get_float, double, show_float(s, value))
GET(get_bool, int, ops_show_number(s, value))
GET(type_of, session_type, type_name(value))

#define GET_HEX(name)                                                                                          \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        const void *bytes = NULL;                                                                              \
        apr_size_t len = 0;                                                                                    \
        session_status status = api->name(s->session, s->arg, &bytes, &len);                                   \
                                                                                                               \
        return answer(s, status, len ? apr_pescape_hex(s->r->pool, bytes, len, 0) : NULL);                     \
    }

GET_HEX(get_bytes)
GET_HEX(get_msgpack)

/* --- facts --- */

#define TEXT(name)                                                                                             \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        const char *text = api->name(s->session);                                                              \
                                                                                                               \
        return text ? text : "-";                                                                              \
    }

#define NUMBER(name, ...)                                                                                      \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        return ops_show_number(s, (apr_int64_t)api->name(__VA_ARGS__));                                        \
    }

TEXT(id)
TEXT(ref)
TEXT(cookie_name)
TEXT(user)
NUMBER(is_new, s->session)
NUMBER(was_invalidated, s->session)
NUMBER(created, s->session)
NUMBER(accessed, s->session)
NUMBER(timeout, s->session)
NUMBER(len, s->session)
NUMBER(http_status, (session_status)ops_number(s->arg))

/* --- visiting: each shows `key=TYPE`, visitget what get_text answers from inside the visit, as `key=STATUS value` --- */

typedef struct {
    script *s;
    apr_array_header_t *shown;
} visit;

static const char *visited(script *s, int (*visitor)(void *ctx, const char *key, session_type type))
{
    visit v = { s, apr_array_make(s->r->pool, 8, sizeof(const char *)) };
    session_status status = api->each(s->session, visitor, &v);

    return answer(s, status, apr_array_pstrcat(s->r->pool, v.shown, ' '));
}

#define VISIT(name, text)                                                                                      \
    static int visit_##name(void *ctx, const char *key, session_type type)                                     \
    {                                                                                                          \
        visit *v = ctx;                                                                                        \
                                                                                                               \
        APR_ARRAY_PUSH(v->shown, const char *) = apr_pstrcat(v->s->r->pool, key, "=", text, NULL);             \
        return 1;                                                                                              \
    }                                                                                                          \
                                                                                                               \
    static const char *do_##name(script *s)                                                                    \
    {                                                                                                          \
        return visited(s, visit_##name);                                                                       \
    }

VISIT(each, type_name(type))
VISIT(visitget, do_get_text(v->s))

/* --- thread_get: what several threads get that add on one handle at once, 1000 times each --- */

typedef struct {
    script *s;
    int ok, busy, other;
} adder;

/* Closed until all threads are there, or the first would be done before the last begins. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *add_often(void *data)
{
    adder *a = data;
    int i;

    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    for (i = 0; i < 1000; i++)
        switch (api->add(a->s->session, a->s->key, 1)) {
        case SESSION_OK: a->ok++; break;
        case SESSION_BUSY: a->busy++; break;
        default: a->other++;
        }
    return NULL;
}

static const char *do_thread_get(script *s)
{
    enum { MOST = 64 };
    pthread_t threads[MOST];
    adder adders[MOST], sum = { s, 0, 0, 0 };
    int wanted = (int)ops_number(s->value), started = 0, i;

    pthread_mutex_lock(&gate);
    while (started < wanted && started < MOST) {
        adders[started] = sum;
        if (pthread_create(&threads[started], NULL, add_often, &adders[started]))
            break;
        started++;
    }
    pthread_mutex_unlock(&gate);
    for (i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        sum.ok += adders[i].ok;
        sum.busy += adders[i].busy;
        sum.other += adders[i].other;
    }
    return apr_psprintf(s->r->pool, "OK=%d BUSY=%d other=%d", sum.ok, sum.busy, sum.other);
}

#define OP(name) { #name, do_##name }

static const operation OPERATIONS[] = {
    OP(open), OP(open_by_id), OP(exists),
    OP(type_of), OP(get_text), OP(get_int), OP(get_float), OP(get_bool), OP(get_bytes), OP(get_msgpack),
    OP(set_null), OP(set_text), OP(set_int), OP(set_float), OP(set_bool), OP(set_bytes), OP(set_msgpack),
    OP(incr), OP(add), OP(unset), OP(clear), OP(each), OP(len), OP(visitget), OP(thread_get),
    OP(load), OP(save), OP(revert), OP(remove), OP(invalidate), OP(regenerate), OP(expire), OP(touch),
    OP(lock), OP(trylock), OP(unlock), OP(set_timeout), OP(set_user),
    OP(id), OP(ref), OP(cookie_name), OP(user), OP(is_new), OP(was_invalidated), OP(created), OP(accessed), OP(timeout), OP(http_status),
    { NULL, NULL },
};

static int capi_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "capi"))
        return DECLINED;
    return api ? ops_run(r, OPERATIONS, "") : ops_nothing_offered(r, "session_api");
}

static void retrieve(apr_pool_t *pool, server_rec *server)
{
    APR_OPTIONAL_FN_TYPE(session_api_get) *get = APR_RETRIEVE_OPTIONAL_FN(session_api_get);

    api = get ? get(1) : NULL;
}

/* What the module tells us, as it tells the log. */
static int told(request_rec *r, const char *event, const char *ref)
{
    session *s = NULL;

    ap_log_error(APLOG_MARK, APLOG_INFO, 0, r ? r->server : ap_server_conf, "hook event=%s ref=%s", event, ref);
    /* Whoever is told may use the session of the request. */
    if (r && api && api->open(r, SESSION_READ_ONLY | SESSION_NO_TOUCH, &s) == SESSION_BUSY)
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "the session is locked while event=%s is told", event);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    APR_OPTIONAL_HOOK(session, session_event, told, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(capi_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA capi_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
