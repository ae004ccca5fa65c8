/* Reads and writes request notes from a query string, and knows nothing else: what a PHP, Lua or Python page can do.
 * ops.h has the grammar; keys are whole names of notes, and the first ':' of `session:do` separates nothing:
 *
 *     get=session.n   set=session.n:5   set=session:do:regenerate   unset=session.n
 *     incr=session.n  reads the note as a number (0 if it is not there), writes one more and shows it
 *     all             how many notes begin with "session", and each on a line of its own as `key=value`
 *
 * A line is "op: value", where "-" means that there is no such note.
 */
#include "ops.h"

static const char *do_get(script *s)
{
    const char *value = apr_table_get(s->r->notes, s->arg);

    return value ? value : "-";
}

static const char *do_set(script *s)
{
    apr_table_set(s->r->notes, s->key, s->value);
    return s->value;
}

static const char *do_unset(script *s)
{
    apr_table_unset(s->r->notes, s->arg);
    return "-";
}

static const char *do_incr(script *s)
{
    const char *more = ops_show_number(s, ops_number(apr_table_get(s->r->notes, s->arg)) + 1);

    apr_table_setn(s->r->notes, s->arg, more);
    return more;
}

static int show_note(void *shown, const char *key, const char *value)
{
    apr_array_header_t *lines = shown;

    if (!strncmp(key, "session", 7))
        APR_ARRAY_PUSH(lines, const char *) = apr_pstrcat(lines->pool, "\n", key, "=", value, NULL);
    return 1;
}

static const char *do_all(script *s)
{
    apr_array_header_t *lines = apr_array_make(s->r->pool, 16, sizeof(const char *));

    apr_table_do(show_note, lines, s->r->notes, NULL);
    return apr_pstrcat(s->r->pool, ops_show_number(s, lines->nelts), apr_array_pstrcat(s->r->pool, lines, 0), NULL);
}

static const operation OPERATIONS[] = {
    { "get", do_get }, { "set", do_set }, { "unset", do_unset }, { "incr", do_incr }, { "all", do_all }, { NULL, NULL },
};

static int notesapi_handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "notesapi"))
        return DECLINED;
    return ops_run(r, OPERATIONS, "session:");
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_handler(notesapi_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA notesapi_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
