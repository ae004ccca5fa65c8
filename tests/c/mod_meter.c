/* Pages whose instructions `make bench-check` counts, beside `hello` of mod_floor and `count` of mod_count.
 *
 * meter: calls meter_mark, at which callgrind writes down what it has counted since the last call.
 * peek:  one value read through our C API, and nothing changed.
 * noted: one value read and changed through the request notes.
 */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "apr_strings.h"
#include "session_api.h"
#include <string.h>

static const session_api *api;

/* The profiler knows it by its name, so it must not vanish in its caller. */
void meter_mark(void);
__attribute__((noinline)) void meter_mark(void)
{
    __asm__ volatile("");
}

static apr_int64_t peek(request_rec *r)
{
    session *s;
    apr_int64_t n;

    return api && !api->open(r, SESSION_READ_ONLY, &s) && !api->get_int(s, "n", &n) ? n : 0;
}

static apr_int64_t noted(request_rec *r)
{
    const char *text = apr_table_get(r->notes, "session.n");
    apr_int64_t n = text ? apr_atoi64(text) + 1 : 0;

    apr_table_setn(r->notes, "session.n", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, n));
    return n;
}

static int meter_handler(request_rec *r)
{
    apr_int64_t n = 1;

    if (r->handler && !strcmp(r->handler, "meter"))
        meter_mark();
    else if (r->handler && !strcmp(r->handler, "peek"))
        n = peek(r);
    else if (r->handler && !strcmp(r->handler, "noted"))
        n = noted(r);
    else
        return DECLINED;
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
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(meter_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA meter_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE };
