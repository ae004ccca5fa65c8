/* The page at /c: the same session through session_api.h, from a handler in C. */
#include "httpd.h"
#include "http_config.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "apr_strings.h"
#include "apr_tables.h"
#include "util_script.h"
#include <unistd.h>
#include "session_api.h"

APLOG_USE_MODULE(visits);

#define HERE "/c"

static const session_api *api;

/* ---- the session ---- */

/* What a note created is text; counted here once, it is a number, and stays one when notes change it. */
static session_status count(session *s)
{
    session_status st = api->add(s, "visits", 1);
    const char *text;

    if (st != SESSION_BAD_TYPE) return st;
    return api->set_int(s, "visits", api->get_text(s, "visits", &text) == SESSION_OK ? apr_atoi64(text) + 1 : 1);
}

static const char *shown(request_rec *r, session *s, const char *key, session_type type)
{
    const char *text;
    apr_int64_t i;
    double f;
    int b;

    switch (type) {
    case SESSION_TEXT:
        return api->get_text(s, key, &text) ? "" : ap_escape_html(r->pool, text);
    case SESSION_INT:
        return api->get_int(s, key, &i) ? "" : apr_psprintf(r->pool, "%" APR_INT64_T_FMT, i);
    case SESSION_FLOAT:
        return api->get_float(s, key, &f) ? "" : apr_psprintf(r->pool, "%g", f);
    case SESSION_BOOL:
        return api->get_bool(s, key, &b) ? "" : b ? "true" : "false";
    default:
        return "...";
    }
}

struct rows {
    request_rec *r;
    session *s;
    const char *html;
};

static int row(void *ctx, const char *key, session_type type)
{
    static const char *const names[] = { "null", "bool", "int", "float", "text", "bytes", "list", "map" };
    struct rows *rows = ctx;
    const char *name = ap_escape_html(rows->r->pool, key);

    rows->html = apr_psprintf(rows->r->pool,
        "%s      <tr><td>%s</td><td>%s <span class=\"type\">%s</span></td><td>"
        "<form method=\"post\" action=\"" HERE "\"><input type=\"hidden\" name=\"key\" value=\"%s\">"
        "<button name=\"do\" value=\"remove\" aria-label=\"Remove %s\">Remove</button></form></td></tr>\n",
        rows->html, name, shown(rows->r, rows->s, key, type), names[type], name, name);
    return 1;
}

/* ---- the page ---- */

static const char *ago(request_rec *r, apr_time_t then)
{
    apr_int64_t seconds = apr_time_sec(r->request_time - then);

    if (seconds < 1) return "just now";
    if (seconds < 60) return apr_psprintf(r->pool, "%" APR_INT64_T_FMT " s ago", seconds);
    if (seconds < 3600) return apr_psprintf(r->pool, "%" APR_INT64_T_FMT " min ago", seconds / 60);
    return apr_psprintf(r->pool, "%" APR_INT64_T_FMT " h ago", seconds / 3600);
}

static const char *span(request_rec *r, apr_int64_t seconds)
{
    if (seconds % 60) return apr_psprintf(r->pool, "%" APR_INT64_T_FMT " s", seconds);
    return apr_psprintf(r->pool, "%" APR_INT64_T_FMT " min", seconds / 60);
}

static const char *greeting(session *s)
{
    if (api->was_invalidated(s)) return "Your cookie names no session any more. This visit began a new one.";
    if (api->is_new(s)) return "Welcome. This visit began a session; your browser got its id in a cookie.";
    return "Welcome back. The server remembers you, in whichever of its processes you arrive.";
}

/* r->filename is page.html, by the Alias in demo.conf. */
static char *template(request_rec *r)
{
    apr_file_t *file;
    apr_finfo_t info;
    char *text;

    if (apr_file_open(&file, r->filename, APR_READ, 0, r->pool) != APR_SUCCESS
        || apr_file_info_get(&info, APR_FINFO_SIZE, file) != APR_SUCCESS) {
        return NULL;
    }
    text = apr_pcalloc(r->pool, (apr_size_t)info.size + 1);
    return apr_file_read_full(file, text, (apr_size_t)info.size, NULL) == APR_SUCCESS ? text : NULL;
}

static void fill(request_rec *r, char *text, const apr_table_t *fields)
{
    char *open, *close;

    while ((open = strstr(text, "{{")) && (close = strstr(open, "}}"))) {
        const char *value;
        *open = *close = '\0';
        value = apr_table_get(fields, open + 2);
        ap_rvputs(r, text, value ? value : "", NULL);
        text = close + 2;
    }
    ap_rputs(text, r);
}

static int page(request_rec *r, session *s, int status, const char *complaint)
{
    apr_table_t *f = apr_table_make(r->pool, 16);
    struct rows rows = { r, s, "" };
    apr_int64_t visits = 0;
    const char *ref = api->ref(s);
    char *text = template(r);

    if (!text) return HTTP_INTERNAL_SERVER_ERROR;
    api->each(s, row, &rows);
    api->get_int(s, "visits", &visits);

    apr_table_setn(f, "door", "c");
    apr_table_setn(f, "here", HERE);
    apr_table_setn(f, "error", complaint
        ? apr_pstrcat(r->pool, "<p class=\"error\" role=\"alert\">", complaint, "</p>", NULL) : "");
    apr_table_setn(f, "visits", apr_psprintf(r->pool, "%" APR_INT64_T_FMT, visits));
    apr_table_setn(f, "greeting", greeting(s));
    apr_table_setn(f, "ref", ref && *ref
        ? apr_pstrcat(r->pool, "<code>", ref, "</code>", NULL) : "from the next visit on");
    apr_table_setn(f, "created", api->is_new(s) ? "with this visit" : ago(r, api->created(s)));
    apr_table_setn(f, "accessed", api->is_new(s) ? "never before" : ago(r, api->accessed(s)));
    apr_table_setn(f, "timeout", span(r, api->timeout(s)));
    apr_table_setn(f, "pid", apr_psprintf(r->pool, "%" APR_PID_T_FMT, getpid()));
    apr_table_setn(f, "rows", rows.html);
    apr_table_setn(f, "dir", ap_escape_html(r->pool,
        apr_pstrcat(r->pool, ap_make_dirstr_parent(r->pool, r->filename), "sessions", NULL)));

    r->status = status;
    ap_set_content_type(r, "text/html; charset=utf-8");
    fill(r, text, f);
    return OK;
}

/* ---- requests ---- */

static apr_table_t *form(request_rec *r)
{
    apr_table_t *fields = apr_table_make(r->pool, 4);
    apr_array_header_t *pairs = NULL;
    int i;

    if (ap_parse_form_data(r, NULL, &pairs, 8, 16384) != OK || !pairs) return fields;
    for (i = 0; i < pairs->nelts; i++) {
        ap_form_pair_t *pair = &APR_ARRAY_IDX(pairs, i, ap_form_pair_t);
        char *value;
        apr_size_t len;
        if (apr_brigade_pflatten(pair->value, &value, &len, r->pool) == APR_SUCCESS) {
            apr_table_setn(fields, pair->name, apr_pstrmemdup(r->pool, value, len));
        }
    }
    return fields;
}

static int change(request_rec *r, session *s)
{
    apr_table_t *fields = form(r);
    const char *todo = apr_table_get(fields, "do");
    const char *key = apr_table_get(fields, "key");
    const char *value = apr_table_get(fields, "value");
    session_status st;

    if (!todo) return HTTP_BAD_REQUEST;
    if (!strcmp(todo, "logout")) {
        st = api->invalidate(s);
    } else if (!strcmp(todo, "remove")) {
        st = api->unset(s, key ? key : "");
        if (st == SESSION_NONE) st = SESSION_OK;
    } else if (!strcmp(todo, "set")) {
        st = api->set_text(s, key ? key : "", value ? value : "");
    } else {
        return HTTP_BAD_REQUEST;
    }
    if (st == SESSION_BAD_KEY) {
        return page(r, s, HTTP_UNPROCESSABLE_ENTITY,
            "A key is 1 to 128 bytes of text without control characters, and differs from others in more than case.");
    }
    if (st != SESSION_OK) return api->http_status(st);

    /* Not the page itself: a reload must not send the form again. */
    apr_table_setn(r->headers_out, "Location", HERE);
    return HTTP_SEE_OTHER;
}

static int handler(request_rec *r)
{
    session *s;
    session_status st;

    if (!r->handler || strcmp(r->handler, "visits")) return DECLINED;
    if (r->method_number != M_GET && r->method_number != M_POST) return HTTP_METHOD_NOT_ALLOWED;
    if (!api) return HTTP_SERVICE_UNAVAILABLE;

    st = api->open(r, SESSION_CREATE, &s);
    if (st == SESSION_OK && r->method_number == M_POST) return change(r, s);
    if (st == SESSION_OK && !r->header_only) st = count(s);
    return st == SESSION_OK ? page(r, s, HTTP_OK, NULL) : api->http_status(st);
}

static int find_api(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    APR_OPTIONAL_FN_TYPE(session_api_get) *get = APR_RETRIEVE_OPTIONAL_FN(session_api_get);

    api = get ? get(1) : NULL;
    if (!api) ap_log_error(APLOG_MARK, APLOG_ERR, 0, server, "mod_visits: session_api version 1 is not offered");
    return OK;
}

static void hooks(apr_pool_t *pool)
{
    ap_hook_post_config(find_api, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA visits_module = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks, AP_MODULE_FLAG_NONE };
