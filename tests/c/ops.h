/* A test handler is a table of operations; the query string names those to run, in order:
 *
 *     /capi?open=create&add=n:1&get_int=n
 *
 * Each `op` or `op=arg` writes one line, "op: text". Lines are sent when all have run: headers must not leave before an
 * operation asks for it (flush, sub). Arguments are decoded after they are split, so `%26` and `%3A` are an `&` and a `:`
 * that separate nothing. An unknown operation is logged as an error, which fails the test that misspelt it.
 *
 * Every handler has these beside its own; those without a text write no line:
 *
 *     pid               process id
 *     sub=/path?query   runs a sub-request after sending the lines so far: what it returned, 0 for OK
 *     sleep=ms
 *     fork=ms           forks a process that does nothing, for so long
 *     body=n            n times 'x', and a newline
 *     pieces=n:size     sends the lines so far, and n bytes in pieces of this size
 *     file=/path        sends the lines so far, and a file as one bucket
 *     header=name:text  a header of the response
 *     flush             sends the lines so far, and everything below them
 *
 * and these, which say how the request ends once all operations have run:
 *
 *     status=403        the handler returns this; lines not yet sent are dropped
 *     suspend=ms        the handler returns SUSPENDED, and the request ends after that time (event MPM)
 *     bucket=403        passes an error bucket down the filters, as mod_security does, instead of returning the status
 *     redirect=/path    302 to there
 *     internal=/path?q  internal redirect; if it leads to a test handler, that one sends our lines before its own
 */
#ifndef OPS_H
#define OPS_H

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "ap_mpm.h"
#include "apr_strings.h"
#include <string.h>
#include <unistd.h>

typedef struct script {
    request_rec *r;
    void *session;             /* what the handler has open; NULL: nothing */
    const char *arg;           /* behind the '='; NULL: there is none */
    const char *key, *value;   /* arg split at its ':'; value is NULL without one */
    apr_array_header_t *lines; /* not yet sent */
    int status;                /* what the handler returns in the end */
    const char *internal;      /* where to redirect to in the end */
} script;

typedef struct {
    const char *name;
    const char *(*run)(script *s); /* the text of the line; NULL: no line */
} operation;

/* Carries the lines of a request over its internal redirect. */
#define OPS_LINES "ops-lines"

static inline apr_int64_t ops_number(const char *text)
{
    return text ? apr_atoi64(text) : 0;
}

static inline const char *ops_show_number(script *s, apr_int64_t number)
{
    return apr_psprintf(s->r->pool, "%" APR_INT64_T_FMT, number);
}

static inline void ops_print(script *s, const char *text)
{
    APR_ARRAY_PUSH(s->lines, const char *) = text;
}

static inline void ops_send(script *s)
{
    ap_rputs(apr_array_pstrcat(s->r->pool, s->lines, 0), s->r);
    apr_array_clear(s->lines);
}

static inline const char *ops_pid(script *s)
{
    return ops_show_number(s, getpid());
}

static inline const char *ops_sub(script *s)
{
    request_rec *sub;
    int answer;

    ops_send(s);
    sub = ap_sub_req_lookup_uri(s->arg, s->r, s->r->output_filters);
    answer = sub->status == HTTP_OK ? ap_run_sub_req(sub) : sub->status;
    ap_destroy_sub_req(sub);
    return ops_show_number(s, answer);
}

/* To the end, although a graceful restart interrupts it (prefork). */
static inline const char *ops_sleep(script *s)
{
    apr_time_t end = apr_time_now() + ops_number(s->arg) * 1000, now;

    while ((now = apr_time_now()) < end)
        apr_sleep(end - now);
    return NULL;
}

static inline const char *ops_fork(script *s)
{
    if (fork() == 0) {
        usleep((useconds_t)ops_number(s->arg) * 1000);
        _exit(0);
    }
    return NULL;
}

static inline const char *ops_body(script *s)
{
    apr_size_t n = (apr_size_t)ops_number(s->arg);
    char *body = apr_palloc(s->r->pool, n + 2);

    memset(body, 'x', n);
    memcpy(body + n, "\n", 2);
    ops_print(s, body);
    return NULL;
}

static inline const char *ops_pieces(script *s)
{
    apr_int64_t rest = ops_number(s->key);
    apr_size_t size = (apr_size_t)ops_number(s->value);
    char *piece = memset(apr_palloc(s->r->pool, size), 'x', size);

    ops_send(s);
    for (; rest > 0; rest -= size)
        if (ap_rwrite(piece, (int)size, s->r) < 0)
            break;
    return NULL;
}

static inline const char *ops_file(script *s)
{
    apr_finfo_t info;
    apr_size_t sent;
    apr_file_t *file;

    ops_send(s);
    if (apr_file_open(&file, s->arg, APR_FOPEN_READ | APR_FOPEN_SENDFILE_ENABLED, 0, s->r->pool)
        || apr_file_info_get(&info, APR_FINFO_SIZE, file) || ap_send_fd(file, s->r, 0, (apr_size_t)info.size, &sent))
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, s->r, "cannot send %s", s->arg);
    return NULL;
}

/* What is not flushed here would wait for an MPM that knows nothing of it. */
static inline void ops_resume(void *baton)
{
    conn_rec *c = ((request_rec *)baton)->connection;

    ap_finalize_request_protocol(baton);
    ap_flush_conn(c);
    ap_process_request_after_handler(baton);
}

static inline const char *ops_suspend(script *s)
{
    ops_send(s);
    s->status = ap_mpm_register_timed_callback(apr_time_from_msec(ops_number(s->arg)), ops_resume, s->r) ? HTTP_NOT_IMPLEMENTED : SUSPENDED;
    return NULL;
}

static inline const char *ops_flush(script *s)
{
    ops_send(s);
    ap_rflush(s->r);
    return NULL;
}

static inline const char *ops_bucket(script *s)
{
    apr_bucket_alloc_t *alloc = s->r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(s->r->pool, alloc);

    APR_BRIGADE_INSERT_TAIL(brigade, ap_bucket_error_create((int)ops_number(s->arg), NULL, s->r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(alloc));
    ap_pass_brigade(s->r->output_filters, brigade);
    s->status = AP_FILTER_ERROR;
    return NULL;
}

static inline const char *ops_status(script *s)
{
    s->status = (int)ops_number(s->arg);
    return NULL;
}

static inline const char *ops_header(script *s)
{
    apr_table_set(s->r->headers_out, s->key, s->value);
    return NULL;
}

static inline const char *ops_redirect(script *s)
{
    apr_table_setn(s->r->headers_out, "Location", s->arg);
    s->status = HTTP_MOVED_TEMPORARILY;
    return NULL;
}

static inline const char *ops_internal(script *s)
{
    s->internal = s->arg;
    return NULL;
}

static const operation ops_common[] = {
    { "pid", ops_pid },       { "sub", ops_sub },       { "sleep", ops_sleep },       { "fork", ops_fork },       { "body", ops_body },         { "flush", ops_flush },
    { "pieces", ops_pieces }, { "file", ops_file },     { "suspend", ops_suspend },   { "header", ops_header },
    { "status", ops_status }, { "bucket", ops_bucket }, { "redirect", ops_redirect }, { "internal", ops_internal }, { NULL, NULL },
};

static inline const operation *ops_find(const operation *table, const char *name)
{
    for (; table->name; table++)
        if (!strcmp(table->name, name))
            return table;
    return NULL;
}

static inline char *ops_decode(script *s, const char *text)
{
    char *decoded = apr_pstrdup(s->r->pool, text);

    ap_unescape_urlencoded(decoded);
    return decoded;
}

static inline void ops_run_word(script *s, const operation *own, const char *key_prefix, char *word)
{
    char *arg = strchr(word, '='), *value = NULL;
    apr_size_t prefix = strlen(key_prefix);
    const operation *op;
    const char *text;

    if (arg) {
        *arg++ = '\0';
        s->arg = ops_decode(s, arg);
        value = strchr(arg + (strncmp(arg, key_prefix, prefix) ? 0 : prefix), ':');
        if (value)
            *value++ = '\0';
    }
    else
        s->arg = NULL;
    s->key = arg ? ops_decode(s, arg) : NULL;
    s->value = value ? ops_decode(s, value) : NULL;

    op = ops_find(own, word);
    if (!op)
        op = ops_find(ops_common, word);
    if (!op)
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, s->r, "%s knows no operation '%s'", s->r->handler, word);
    text = op ? op->run(s) : "UNKNOWN";
    if (text)
        ops_print(s, apr_pstrcat(s->r->pool, word, ": ", text, "\n", NULL));
}

/* Runs the query string. A key may begin with key_prefix although that holds a ':' ("": no such keys). */
static inline int ops_run(request_rec *r, const operation *own, const char *key_prefix)
{
    script s = { .r = r, .lines = apr_array_make(r->pool, 16, sizeof(const char *)), .status = OK };
    char *query = apr_pstrdup(r->pool, r->args ? r->args : ""), *rest = NULL, *word;
    const char *earlier = r->prev ? apr_table_get(r->prev->notes, OPS_LINES) : NULL;

    ap_set_content_type(r, "text/plain; charset=utf-8");
    if (earlier)
        ops_print(&s, earlier);
    for (word = apr_strtok(query, "&", &rest); word; word = apr_strtok(NULL, "&", &rest))
        ops_run_word(&s, own, key_prefix, word);

    if (s.internal) {
        apr_table_setn(r->notes, OPS_LINES, apr_array_pstrcat(r->pool, s.lines, 0));
        ap_internal_redirect(s.internal, r);
        return OK;
    }
    if (s.status == OK)
        ops_send(&s);
    return s.status;
}

/* The answer of a handler whose module under test offers nothing. */
static inline int ops_nothing_offered(request_rec *r, const char *what)
{
    ap_set_content_type(r, "text/plain");
    r->status = HTTP_INTERNAL_SERVER_ERROR;
    ap_rprintf(r, "%s is not offered\n", what);
    return OK;
}

#endif
