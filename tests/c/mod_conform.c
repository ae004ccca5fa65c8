/* The page of the conformance suite. Its words are such that a page in any language can offer them, on any server: see
 * tests/conformance/page.py.
 *
 *     /conform?set=user:ann&add=visits:1&all
 *
 * The query holds words, `word` or `word=argument`, carried out in order; each writes a line "word: answer". In an argument everything
 * may be percent-encoded; of `k:v` the key ends at the first colon. An answer that begins with `!` says why something was not done:
 * !none (there is no session), !gone (somebody else ended it meanwhile), !late (the headers have left), !too-large, !bad-key, !bad-type,
 * !busy, !store, !corrupt, !off.
 *
 * The session is opened, to read and to write, and begun where the client has none, at the first word that needs it. As the first word,
 *
 *     look          opens it to read only and begins none: 1 if the client has a session, else 0
 *     peek          as look, and does not count as a use of the session
 *
 *     new           1: the client had no session        invalidated   1: it presented an id that is none any more
 *     get=k         the text or number under k; - if there is nothing
 *     all           every k=v, sorted, with blanks between them
 *     set=k:v       a text                              unset=k       clear
 *     add=k:n       adds to a number, exactly, whoever else does: the sum
 *     incr=k        reads a number and writes one more, as a page without `add` would: the sum
 *     null=k  bool=k:1  int=k:5  float=k:0.5  text=k:HEX  bytes=k:HEX  list=k:a,b  map=k:a=1,b=2       a value of that type
 *     show=k        its type and itself, in that form
 *     fill=k:n      a text of n times 'x'               size=k        how long a text is
 *
 *     regenerate    the same values under a new id      login=user    the owner of the session; a change of privilege
 *     user          the owner, or -                     destroy       ends the session; what is set from now on is a new one
 *     delete        takes its storage away              save          stores the changes now
 *     revert        drops them                          timeout=s     how long it may be idle; without s: that time
 *     lock  unlock  others wait, others go on           sid=…         nothing, and no line: a page takes no id from there
 *
 * and from ops.h: sleep=ms, flush, body=n, pieces=n:size, pid, status=n, redirect=/path, internal=/path?query, sub=/path?query.
 *
 * Beside that, it logs each lifecycle event at level info: conform event=created ref=0123456789ab.
 */
#include "ops.h"
#include "session_api.h"
#include "http_main.h"

static const session_api *api;

/* What `look` opened where there is nothing. */
static char nothing;

static const char *said(script *s, session_status status, const char *text)
{
    static const char *const WHY[] = { "ok",        "none",    "gone",     "busy",    "off",   "late",
                                       "too-large", "bad-key", "bad-type", "corrupt", "store", "panic" };
    return status == SESSION_OK ? text : apr_pstrcat(s->r->pool, "!", WHY[status], NULL);
}

static session_status begin(script *s)
{
    session *handle;
    session_status status;

    if (s->session)
        return s->session == &nothing ? SESSION_NONE : SESSION_OK;
    status = api->open(s->r, SESSION_CREATE, &handle);
    if (status == SESSION_OK)
        s->session = handle;
    return status;
}

static const char *look(script *s, unsigned flags)
{
    session *handle;
    session_status status = api->open(s->r, SESSION_READ_ONLY | flags, &handle);

    if (status != SESSION_OK && status != SESSION_NONE)
        return said(s, status, NULL);
    s->session = status == SESSION_OK ? (void *)handle : &nothing;
    return status == SESSION_OK ? "1" : "0";
}

static const char *do_look(script *s)
{
    return look(s, 0);
}

static const char *do_peek(script *s)
{
    return look(s, SESSION_NO_TOUCH);
}

/* --- words that answer ok --- */

#define CHANGE(word, ...)                                                                                      \
    static const char *do_##word(script *s)                                                                    \
    {                                                                                                          \
        session_status status = begin(s);                                                                      \
                                                                                                               \
        return said(s, status ? status : api->__VA_ARGS__, "ok");                                              \
    }

CHANGE(set, set_text(s->session, s->key, s->value))
CHANGE(unset, unset(s->session, s->arg))
CHANGE(clear, clear(s->session))
CHANGE(regenerate, regenerate(s->session, 0))
CHANGE(login, set_user(s->session, s->arg))
CHANGE(destroy, invalidate(s->session))
CHANGE(delete, remove(s->session))
CHANGE(save, save(s->session))
CHANGE(revert, revert(s->session))
CHANGE(lock, lock(s->session, -1))
CHANGE(unlock, unlock(s->session))

#include "types.h"

static const char *do_fill(script *s)
{
    session_status status = begin(s);
    apr_size_t n = (apr_size_t)ops_number(s->value);
    char *text = apr_pcalloc(s->r->pool, n + 1);

    memset(text, 'x', n);
    return said(s, status ? status : api->set_text(s->session, s->key, text), "ok");
}

/* --- words that answer something else --- */

static const char *number(script *s, session_status status)
{
    apr_int64_t n = 0;

    if (status == SESSION_OK)
        status = api->get_int(s->session, s->key, &n);
    return said(s, status, ops_show_number(s, n));
}

static const char *do_add(script *s)
{
    session_status status = begin(s);

    return number(s, status ? status : api->add(s->session, s->key, ops_number(s->value)));
}

static const char *do_incr(script *s)
{
    apr_int64_t n = 0;
    session_status status = begin(s);

    if (status == SESSION_OK)
        status = api->get_int(s->session, s->key, &n);
    if (status == SESSION_OK || (status == SESSION_NONE && s->session != &nothing))
        status = api->set_int(s->session, s->key, n + 1);
    return number(s, status);
}

static const char *text_of(script *s, const char *key)
{
    apr_int64_t n = 0;
    const char *text = "-";
    session_status status = begin(s);

    if (status == SESSION_OK)
        status = api->get_text(s->session, key, &text);
    if (status == SESSION_BAD_TYPE && api->get_int(s->session, key, &n) == SESSION_OK)
        return ops_show_number(s, n);
    return said(s, status == SESSION_NONE ? SESSION_OK : status, text);
}

static const char *do_get(script *s)
{
    return text_of(s, s->arg);
}

typedef struct {
    script *s;
    apr_array_header_t *pairs;
} listing;

static int list_pair(void *ctx, const char *key, session_type type)
{
    listing *l = ctx;

    APR_ARRAY_PUSH(l->pairs, const char *) = apr_pstrcat(l->s->r->pool, key, "=", text_of(l->s, key), NULL);
    return 1;
}

static const char *do_all(script *s)
{
    listing l = { s, apr_array_make(s->r->pool, 8, sizeof(const char *)) };
    session_status status = begin(s);

    if (status == SESSION_OK)
        status = api->each(s->session, list_pair, &l);
    return said(s, status == SESSION_NONE ? SESSION_OK : status, apr_array_pstrcat(s->r->pool, l.pairs, ' '));
}

static const char *do_new(script *s)
{
    session_status status = begin(s);

    return said(s, status, status ? NULL : ops_show_number(s, api->is_new(s->session)));
}

static const char *do_invalidated(script *s)
{
    session_status status = begin(s);

    return said(s, status, status ? NULL : ops_show_number(s, api->was_invalidated(s->session)));
}

static const char *do_user(script *s)
{
    session_status status = begin(s);
    const char *user = status ? NULL : api->user(s->session);

    return said(s, status, user ? user : "-");
}

static const char *do_timeout(script *s)
{
    session_status status = begin(s);

    if (status == SESSION_OK && s->arg)
        return said(s, api->set_timeout(s->session, ops_number(s->arg)), "ok");
    return said(s, status, status ? NULL : ops_show_number(s, api->timeout(s->session)));
}

static const char *do_sid(script *s)
{
    return NULL;
}

#define WORD(name) { #name, do_##name }

static const operation WORDS[] = {
    WORD(look), WORD(peek), WORD(new), WORD(invalidated), WORD(get), WORD(all), WORD(set), WORD(unset), WORD(clear), WORD(add), WORD(incr),
    WORD(null), WORD(bool), WORD(int), WORD(float), WORD(text), WORD(bytes), WORD(list), WORD(map), WORD(show), WORD(fill), WORD(size),
    WORD(regenerate), WORD(login), WORD(user), WORD(destroy), WORD(delete), WORD(save), WORD(revert), WORD(timeout), WORD(lock), WORD(unlock),
    WORD(sid), { NULL, NULL },
};

static int conform_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "conform"))
        return DECLINED;
    return api ? ops_run(r, WORDS, "") : ops_nothing_offered(r, "session_api");
}

static int note_event(request_rec *r, const char *event, const char *ref)
{
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, r ? r->server : ap_server_conf, "conform event=%s ref=%s", event, ref);
    return OK;
}

static void retrieve(apr_pool_t *pool, server_rec *server)
{
    APR_OPTIONAL_FN_TYPE(session_api_get) *get = APR_RETRIEVE_OPTIONAL_FN(session_api_get);

    api = get ? get(1) : NULL;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_child_init(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(conform_handler, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(session, session_event, note_event, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA conform_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
