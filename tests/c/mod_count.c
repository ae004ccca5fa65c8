/* The counter page that a session module is measured by, with as little as possible around it: the answer of mod_floor's `hello`, and
 * one value read, changed and stored. With a query string, whatever it says, a new session gets nine texts beside the counter, 1 kB in all.
 *
 * count:       through our C API
 * count-read:  the same, and nothing is changed once there is a session
 * count-stock: through the stock API, which any session module serves
 * count-notes: through request notes
 */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "apr_strings.h"
#include "mod_session.h"
#include "session_api.h"
#include <stdlib.h>
#include <string.h>

static const session_api *api;
static APR_OPTIONAL_FN_TYPE(ap_session_load) *load;
static APR_OPTIONAL_FN_TYPE(ap_session_get) *get;
static APR_OPTIONAL_FN_TYPE(ap_session_set) *set;

enum { TEXTS = 9, PREFIX = 8 };

/* As notes; behind the prefix they are keys. */
static const char *const NAMES[TEXTS] = { "session.text1", "session.text2", "session.text3", "session.text4", "session.text5",
                                          "session.text6", "session.text7", "session.text8", "session.text9" };
static const char TEXT[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

static int fill(request_rec *r, session *s)
{
    int i;

    for (i = 0; r->args && i < TEXTS; i++)
        if (api->set_text(s, NAMES[i] + PREFIX, TEXT))
            return 0;
    return 1;
}

static apr_int64_t count(request_rec *r)
{
    session *s;
    apr_int64_t n;

    if (!api || api->open(r, SESSION_CREATE, &s) || (api->is_new(s) && !fill(r, s)) || api->add(s, "n", 1) || api->get_int(s, "n", &n))
        return 0;
    return n;
}

static apr_int64_t count_read(request_rec *r)
{
    session *s;
    apr_int64_t n;
    session_status status = api ? api->open(r, SESSION_READ_ONLY, &s) : SESSION_OFF;

    if (status == SESSION_NONE)
        return count(r);
    return status || api->get_int(s, "n", &n) ? 0 : n;
}

static apr_int64_t count_stock(request_rec *r)
{
    session_rec *z = NULL;
    const char *text = NULL;
    apr_int64_t n;
    int i;

    if (!load || load(r, &z) || !z || get(r, z, "n", &text))
        return 0;
    for (i = 0; r->args && !text && i < TEXTS; i++)
        if (set(r, z, NAMES[i] + PREFIX, TEXT))
            return 0;
    n = (text ? apr_atoi64(text) : 0) + 1;
    return set(r, z, "n", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, n)) ? 0 : n;
}

static apr_int64_t count_notes(request_rec *r)
{
    const char *text = apr_table_get(r->notes, "session.n");
    apr_int64_t n = (text ? apr_atoi64(text) : 0) + 1;
    int i;

    for (i = 0; r->args && !text && i < TEXTS; i++)
        apr_table_setn(r->notes, NAMES[i], TEXT);
    apr_table_setn(r->notes, "session.n", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, n));
    return n;
}

static const struct {
    const char *handler;
    apr_int64_t (*run)(request_rec *r); /* the counter; 0: there is none */
} PAGES[] = { { "count", count }, { "count-read", count_read }, { "count-stock", count_stock }, { "count-notes", count_notes } };

static int count_handler(request_rec *r)
{
    apr_int64_t n;
    size_t i = 0;

    if (!r->handler || strncmp(r->handler, "count", 5))
        return DECLINED;
    while (strcmp(r->handler, PAGES[i].handler))
        if (++i == sizeof PAGES / sizeof *PAGES)
            return DECLINED;
    n = PAGES[i].run(r);
    if (!n)
        return HTTP_INTERNAL_SERVER_ERROR;
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "hello %" APR_INT64_T_FMT "\n", n);
    return OK;
}

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(session_api_get) *api_get = APR_RETRIEVE_OPTIONAL_FN(session_api_get);

    api = api_get ? api_get(1) : NULL;
    load = APR_RETRIEVE_OPTIONAL_FN(ap_session_load);
    get = APR_RETRIEVE_OPTIONAL_FN(ap_session_get);
    set = APR_RETRIEVE_OPTIONAL_FN(ap_session_set);
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(count_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA count_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
