/* The counter page that a session module is measured by, with as little as possible around it: the answer of mod_floor's `hello`, and
 * one value read, changed and stored. count: through our C API. count-stock: through the stock API, which any session module serves. */
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

static apr_int64_t count(request_rec *r)
{
    session *s;
    apr_int64_t n;

    if (!api || api->open(r, SESSION_CREATE, &s) || api->add(s, "n", 1) || api->get_int(s, "n", &n))
        return 0;
    return n;
}

static apr_int64_t count_stock(request_rec *r)
{
    session_rec *z = NULL;
    const char *text = NULL;
    apr_int64_t n;

    if (!load || load(r, &z) || !z || get(r, z, "n", &text))
        return 0;
    n = (text ? apr_atoi64(text) : 0) + 1;
    return set(r, z, "n", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, n)) ? 0 : n;
}

static int count_handler(request_rec *r)
{
    apr_int64_t n;

    if (!r->handler || strncmp(r->handler, "count", 5))
        return DECLINED;
    n = strcmp(r->handler, "count") ? count_stock(r) : count(r);
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
