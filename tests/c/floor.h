/* How the floor handlers know whose counter it is: the cookie `sid` with 32 characters of base64url, as our own. */
#ifndef FLOOR_H
#define FLOOR_H

#include "httpd.h"
#include "apr_base64.h"
#include "apr_strings.h"
#include <string.h>

enum { FLOOR_ID_BYTES = 24, FLOOR_ID_LENGTH = 32 };

static const char FLOOR_ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The id becomes a file name, so nothing but 32 characters of our alphabet will do. */
static const char *floor_presented_id(request_rec *r)
{
    const char *cookie = apr_table_get(r->headers_in, "Cookie");

    while (cookie && strncmp(cookie, "sid=", 4)) {
        cookie = strchr(cookie, ';');
        if (cookie)
            cookie += 1 + strspn(cookie + 1, " ");
    }
    if (!cookie || strspn(cookie + 4, FLOOR_ALPHABET) != FLOOR_ID_LENGTH)
        return NULL;
    return apr_pstrndup(r->pool, cookie + 4, FLOOR_ID_LENGTH);
}

/* NULL: there are no random bytes. */
static const char *floor_new_id(request_rec *r)
{
    unsigned char random[FLOOR_ID_BYTES];
    char *id = apr_palloc(r->pool, FLOOR_ID_LENGTH + 1), *c;

    if (apr_generate_random_bytes(random, sizeof random) != APR_SUCCESS)
        return NULL;
    apr_base64_encode_binary(id, random, sizeof random);
    for (c = id; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return id;
}

static void floor_send_id(request_rec *r, const char *id)
{
    apr_table_addn(r->err_headers_out, "Set-Cookie", apr_pstrcat(r->pool, "sid=", id, "; Path=/; HttpOnly", NULL));
}

#endif
