/* The words of mod_conform for values of all types: texts and bytes are spelled in hex, lists and maps hold short texts. Included once, where
 * `begin`, `said` and CHANGE are known. */
#ifndef TYPES_H
#define TYPES_H
#include "apr_escape.h"
#include <stdio.h>
#include <stdlib.h>

CHANGE(null, set_null(s->session, s->arg))
CHANGE(bool, set_bool(s->session, s->key, (int)ops_number(s->value)))
CHANGE(int, set_int(s->session, s->key, ops_number(s->value)))
CHANGE(float, set_float(s->session, s->key, s->value ? strtod(s->value, NULL) : 0))

static const char *do_bytes(script *s)
{
    session_status status = begin(s);
    apr_size_t len = 0;
    const void *bytes = s->value && *s->value ? apr_punescape_hex(s->r->pool, s->value, 0, &len) : "";

    return said(s, status ? status : api->set_bytes(s->session, s->key, bytes, len), "ok");
}

/* One that holds a NUL goes as the MessagePack form "str 32". */
static const char *do_text(script *s)
{
    session_status status = begin(s);
    apr_size_t len = 0;
    const void *bytes = s->value && *s->value ? apr_punescape_hex(s->r->pool, s->value, 0, &len) : "";
    unsigned char *packed = apr_palloc(s->r->pool, len + 5);

    packed[0] = 0xdb;
    packed[1] = packed[2] = 0;
    packed[3] = (unsigned char)(len >> 8);
    packed[4] = (unsigned char)len;
    memcpy(packed + 5, bytes, len);
    if (!memchr(bytes, 0, len))
        return said(s, status ? status : api->set_text(s->session, s->key, apr_pstrmemdup(s->r->pool, bytes, len)), "ok");
    return said(s, status ? status : api->set_msgpack(s->session, s->key, packed, len + 5), "ok");
}

/* "fixarray" or "fixmap" of "fixstr": no byte of it is 0. */
static const char *store_texts(script *s, int kind, const char *separators)
{
    session_status status = begin(s);
    char *texts = "", *rest = NULL, *text = apr_strtok(apr_pstrdup(s->r->pool, s->value), separators, &rest);
    int n = 0;

    for (; text; text = apr_strtok(NULL, separators, &rest), n++)
        texts = apr_psprintf(s->r->pool, "%s%c%s", texts, 0xa0 | (int)strlen(text), text);
    texts = apr_psprintf(s->r->pool, "%c%s", kind | n / (int)strlen(separators), texts);
    return said(s, status ? status : api->set_msgpack(s->session, s->key, texts, strlen(texts)), "ok");
}

static const char *do_list(script *s)
{
    return store_texts(s, 0x90, ",");
}

static const char *do_map(script *s)
{
    return store_texts(s, 0x80, "=,");
}

static const char *show_texts(script *s, const unsigned char *packed, const char *separators)
{
    int each = (int)strlen(separators), n = (*packed & 0x0f) * each, i;
    const char *text = "";

    for (i = 0, packed++; i < n; i++, packed += 1 + (*packed & 0x1f))
        text = apr_psprintf(s->r->pool, "%s%.*s%.1s", text, *packed & 0x1f, packed + 1, i + 1 < n ? separators + i % each : "");
    return text;
}

/* What stands behind the head of a text in MessagePack. */
static const unsigned char *text_in(const unsigned char *packed, apr_size_t *len)
{
    apr_size_t head = *packed == 0xdb ? 5 : *packed == 0xda ? 3 : *packed == 0xd9 ? 2 : 1;

    *len -= head;
    return packed + head;
}

static const char *do_size(script *s)
{
    const void *packed = NULL;
    apr_size_t len = 0;
    session_status status = begin(s);

    if (status == SESSION_OK)
        status = api->get_msgpack(s->session, s->arg, &packed, &len);
    if (status == SESSION_OK)
        text_in(packed, &len);
    return said(s, status, ops_show_number(s, (apr_int64_t)len));
}

static const char *in_hex(script *s, const char *type, const void *bytes, apr_size_t len)
{
    return apr_pstrcat(s->r->pool, type, " ", len ? apr_pescape_hex(s->r->pool, bytes, len, 0) : "", NULL);
}

static const char *show(script *s, session_type type)
{
    const void *value = NULL;
    apr_size_t len = 0;
    apr_int64_t n = 0;
    double x = 0;
    int truth = 0;
    char number[40];

    if (type == SESSION_BYTES)
        api->get_bytes(s->session, s->arg, &value, &len);
    else
        api->get_msgpack(s->session, s->arg, &value, &len);
    switch (type) {
    case SESSION_BOOL:
        api->get_bool(s->session, s->arg, &truth);
        return truth ? "bool 1" : "bool 0";
    case SESSION_INT:
        api->get_int(s->session, s->arg, &n);
        return apr_psprintf(s->r->pool, "int %" APR_INT64_T_FMT, n);
    case SESSION_FLOAT:
        api->get_float(s->session, s->arg, &x);
        snprintf(number, sizeof number, "float %.17g", x); /* apr_psprintf leaves the 0 before a point out */
        return apr_pstrdup(s->r->pool, number);
    case SESSION_TEXT:
        value = text_in(value, &len);
        return in_hex(s, "text", value, len);
    case SESSION_BYTES:
        return in_hex(s, "bytes", value, len);
    case SESSION_LIST:
        return apr_pstrcat(s->r->pool, "list ", show_texts(s, value, ","), NULL);
    case SESSION_MAP:
        return apr_pstrcat(s->r->pool, "map ", show_texts(s, value, "=,"), NULL);
    default:
        return "null";
    }
}

static const char *do_show(script *s)
{
    session_type type = SESSION_NULL;
    session_status status = begin(s);

    if (status == SESSION_OK)
        status = api->type_of(s->session, s->arg, &type);
    return status == SESSION_NONE ? "-" : said(s, status, status ? NULL : show(s, type));
}

#endif
