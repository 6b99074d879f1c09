
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_pson_wire.h"


typedef struct {
    u_char                *pos;
    u_char                *end;
    ngx_iot_alloc_t       *alloc;

    /* what it means to run into "end": wait, or a broken container */
    ngx_int_t              more;

    ngx_uint_t             version;
    ngx_uint_t             nodes;
    ngx_iot_tree_limit_t   limit;
} ngx_iot_pson_ctx_t;


typedef enum {
    NGX_IOT_PSON1_HAS_NOTHING = 0,
    NGX_IOT_PSON1_HAS_VARINT,
    NGX_IOT_PSON1_HAS_BITS,
    NGX_IOT_PSON1_HAS_LENGTH
} ngx_iot_pson1_content_e;


typedef struct {
    ngx_uint_t              type;
    int64_t                 value;
    ngx_uint_t              content;
} ngx_iot_pson1_type_t;


static ngx_int_t ngx_iot_pson_run(ngx_iot_tree_t *root, ngx_uint_t version,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit,
    ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_iot_pson_value(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *node, ngx_uint_t depth);
static ngx_int_t ngx_iot_pson_list(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *node, size_t len, ngx_uint_t depth);
static ngx_int_t ngx_iot_pson_item(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *list, ngx_uint_t depth);
static ngx_int_t ngx_iot_pson_key(ngx_iot_pson_ctx_t *ctx, ngx_str_t *key);
static ngx_int_t ngx_iot_pson1_head(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *node, size_t *len);
static ngx_int_t ngx_iot_pson1_integer(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *node, ngx_uint_t type);
static ngx_int_t ngx_iot_pson2_head(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *node, size_t *len);
static ngx_int_t ngx_iot_pson2_tag(ngx_iot_pson_ctx_t *ctx, ngx_uint_t *type,
    uint64_t *number);
static ngx_int_t ngx_iot_pson_u32(ngx_iot_pson_ctx_t *ctx, uint32_t *value);
static ngx_int_t ngx_iot_pson_u64(ngx_iot_pson_ctx_t *ctx, uint64_t *value);
static ngx_int_t ngx_iot_pson_take(ngx_iot_pson_ctx_t *ctx, size_t len,
    ngx_str_t *str);
static void ngx_iot_pson_unsigned(ngx_iot_tree_t *node, uint64_t n);
static ngx_int_t ngx_iot_pson_negative(ngx_iot_tree_t *node, uint64_t n);
static ngx_int_t ngx_iot_pson_floating(ngx_iot_pson_ctx_t *ctx,
    ngx_iot_tree_t *node, ngx_uint_t type);


/* by the type in the tag of version 1 */

static const ngx_iot_pson1_type_t  ngx_iot_pson1_types[] = {
    { NGX_IOT_TREE_NULL, 0, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_INT, 0, NGX_IOT_PSON1_HAS_VARINT },
    { NGX_IOT_TREE_INT, 0, NGX_IOT_PSON1_HAS_VARINT },
    { NGX_IOT_TREE_FLOAT, 0, NGX_IOT_PSON1_HAS_BITS },
    { NGX_IOT_TREE_DOUBLE, 0, NGX_IOT_PSON1_HAS_BITS },
    { NGX_IOT_TREE_BOOL, 1, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_BOOL, 0, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_INT, 0, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_INT, 1, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_TEXT, 0, NGX_IOT_PSON1_HAS_LENGTH },
    { NGX_IOT_TREE_TEXT, 0, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_BYTES, 0, NGX_IOT_PSON1_HAS_LENGTH },
    { NGX_IOT_TREE_BYTES, 0, NGX_IOT_PSON1_HAS_NOTHING },
    { NGX_IOT_TREE_OBJECT, 0, NGX_IOT_PSON1_HAS_LENGTH },
    { NGX_IOT_TREE_ARRAY, 0, NGX_IOT_PSON1_HAS_LENGTH },
    { NGX_IOT_TREE_EMPTY, 0, NGX_IOT_PSON1_HAS_NOTHING },
};


ngx_int_t
ngx_iot_pson_decode(ngx_iot_tree_t **out, ngx_uint_t version, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit, ngx_iot_alloc_t *alloc)
{
    ngx_int_t        rc;
    ngx_iot_tree_t  *root;

    root = ngx_iot_tree_new(alloc, NGX_IOT_TREE_NULL);
    if (root == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_iot_pson_run(root, version, pos, end, limit, alloc);

    if (rc == NGX_OK) {
        *out = root;
    }

    return rc;
}


ngx_int_t
ngx_iot_pson_skip(ngx_uint_t version, u_char **pos, u_char *end,
    ngx_iot_tree_limit_t *limit)
{
    ngx_iot_tree_t  root;

    return ngx_iot_pson_scalar(&root, version, pos, end, limit);
}


ngx_int_t
ngx_iot_pson_scalar(ngx_iot_tree_t *value, ngx_uint_t version, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit)
{
    ngx_memzero(value, sizeof(ngx_iot_tree_t));

    return ngx_iot_pson_run(value, version, pos, end, limit, NULL);
}


static ngx_int_t
ngx_iot_pson_run(ngx_iot_tree_t *root, ngx_uint_t version, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit, ngx_iot_alloc_t *alloc)
{
    ngx_int_t           rc;
    ngx_iot_pson_ctx_t  ctx;

    ctx.pos = *pos;
    ctx.end = end;
    ctx.alloc = alloc;
    ctx.more = NGX_AGAIN;
    ctx.version = version & NGX_IOT_PSON_VERSION;
    ctx.nodes = 0;

    ngx_iot_tree_limit(&ctx.limit, limit);

    rc = ngx_iot_pson_value(&ctx, root, 0);

    if (rc == NGX_OK) {
        *pos = ctx.pos;
    }

    return rc;
}


static ngx_int_t
ngx_iot_pson_value(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *node,
    ngx_uint_t depth)
{
    size_t     len;
    ngx_int_t  rc;

    if (ctx->nodes == ctx->limit.nodes) {
        return NGX_BUSY;
    }

    ctx->nodes++;

    len = 0;

    rc = (ctx->version == NGX_IOT_PSON_V1)
         ? ngx_iot_pson1_head(ctx, node, &len)
         : ngx_iot_pson2_head(ctx, node, &len);

    if (rc != NGX_OK) {
        return rc;
    }

    switch (node->type) {

    case NGX_IOT_TREE_TEXT:
    case NGX_IOT_TREE_BYTES:
        return ngx_iot_pson_take(ctx, len, &node->u.s);

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:

        if (depth == ctx->limit.depth) {
            return NGX_BUSY;
        }

        return ngx_iot_pson_list(ctx, node, len, depth + 1);

    default:
        return NGX_OK;
    }
}


/* "len" is bytes in version 1 and items or pairs in version 2 */

static ngx_int_t
ngx_iot_pson_list(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *node, size_t len,
    ngx_uint_t depth)
{
    size_t      i;
    u_char     *end;
    ngx_int_t   rc, more;

    node->u.list.first = NULL;
    node->u.list.last = NULL;
    node->u.list.n = 0;
    node->u.list.size = 0;

    if (ctx->version == NGX_IOT_PSON_V1) {

        if (len > ctx->limit.size) {
            return NGX_BUSY;
        }

        if (len > (size_t) (ctx->end - ctx->pos)) {
            return ctx->more;
        }

        end = ctx->end;
        more = ctx->more;

        ctx->end = ctx->pos + len;
        ctx->more = NGX_DECLINED;

        while (ctx->pos < ctx->end) {
            rc = ngx_iot_pson_item(ctx, node, depth);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        ctx->end = end;
        ctx->more = more;

    } else {

        if (len > ctx->limit.nodes - ctx->nodes) {
            return NGX_BUSY;
        }

        for (i = 0; i < len; i++) {

            /*
             * each item takes a byte, each pair two: a count that cannot
             * come true costs nothing
             */

            if (len - i > (size_t) (ctx->end - ctx->pos)
                          / (node->type == NGX_IOT_TREE_OBJECT ? 2 : 1))
            {
                return ctx->more;
            }

            rc = ngx_iot_pson_item(ctx, node, depth);
            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    if (node->type == NGX_IOT_TREE_OBJECT && ctx->alloc) {
        return ngx_iot_tree_unique(node, ctx->alloc);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_pson_item(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *list,
    ngx_uint_t depth)
{
    ngx_int_t        rc;
    ngx_str_t        key;
    ngx_iot_tree_t  *node, scratch;

    if (list->type == NGX_IOT_TREE_OBJECT) {
        rc = ngx_iot_pson_key(ctx, &key);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ctx->alloc == NULL) {
        return ngx_iot_pson_value(ctx, &scratch, depth);
    }

    node = ngx_iot_tree_new(ctx->alloc, NGX_IOT_TREE_NULL);
    if (node == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_iot_pson_value(ctx, node, depth);
    if (rc != NGX_OK) {
        return rc;
    }

    if (list->type == NGX_IOT_TREE_OBJECT) {
        ngx_iot_tree_put(list, &key, node);

    } else {
        ngx_iot_tree_add(list, node);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_pson_key(ngx_iot_pson_ctx_t *ctx, ngx_str_t *key)
{
    uint32_t    n;
    uint64_t    number;
    ngx_int_t   rc;
    ngx_uint_t  type;

    if (ctx->version == NGX_IOT_PSON_V1) {
        rc = ngx_iot_pson_u32(ctx, &n);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_iot_pson_take(ctx, n, key);
    }

    if (ctx->pos < ctx->end && *ctx->pos >> 5 != NGX_IOT_PSON2_TEXT) {
        return NGX_DECLINED;
    }

    rc = ngx_iot_pson2_tag(ctx, &type, &number);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iot_pson_take(ctx, number, key);
}


static ngx_int_t
ngx_iot_pson1_head(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *node, size_t *len)
{
    uint32_t                     tag, n;
    ngx_int_t                    rc;
    const ngx_iot_pson1_type_t  *type;

    rc = ngx_iot_pson_u32(ctx, &tag);
    if (rc != NGX_OK) {
        return rc;
    }

    if (tag >> 3 > NGX_IOT_PSON1_EMPTY) {
        return NGX_DECLINED;
    }

    type = &ngx_iot_pson1_types[tag >> 3];

    /*
     * the real decoder asks for this wire where a length is due and goes by
     * the type alone elsewhere
     */

    if (((tag & 7) == NGX_IOT_PSON1_WIRE_LENGTH)
        != (type->content == NGX_IOT_PSON1_HAS_LENGTH))
    {
        return NGX_DECLINED;
    }

    node->type = type->type;
    node->u.i = type->value;

    switch (type->content) {

    case NGX_IOT_PSON1_HAS_LENGTH:
        rc = ngx_iot_pson_u32(ctx, &n);
        *len = n;
        return rc;

    case NGX_IOT_PSON1_HAS_VARINT:
        return ngx_iot_pson1_integer(ctx, node, tag >> 3);

    case NGX_IOT_PSON1_HAS_BITS:
        return ngx_iot_pson_floating(ctx, node, type->type);

    default:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_iot_pson1_integer(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *node,
    ngx_uint_t type)
{
    uint64_t   number;
    ngx_int_t  rc;

    rc = ngx_iot_pson_u64(ctx, &number);
    if (rc != NGX_OK) {
        return rc;
    }

    if (type == NGX_IOT_PSON1_NEGATIVE) {
        return ngx_iot_pson_negative(node, number);
    }

    ngx_iot_pson_unsigned(node, number);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_pson2_head(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *node, size_t *len)
{
    uint64_t    number;
    ngx_int_t   rc;
    ngx_uint_t  type;

    rc = ngx_iot_pson2_tag(ctx, &type, &number);
    if (rc != NGX_OK) {
        return rc;
    }

    *len = number;

    switch (type) {

    case NGX_IOT_PSON2_UNSIGNED:
        ngx_iot_pson_unsigned(node, number);
        return NGX_OK;

    case NGX_IOT_PSON2_NEGATIVE:
        return ngx_iot_pson_negative(node, number);

    case NGX_IOT_PSON2_FLOATING:

        if (number > NGX_IOT_PSON2_DOUBLE) {
            return NGX_DECLINED;
        }

        return ngx_iot_pson_floating(ctx, node,
                                     number == NGX_IOT_PSON2_FLOAT
                                     ? NGX_IOT_TREE_FLOAT
                                     : NGX_IOT_TREE_DOUBLE);

    case NGX_IOT_PSON2_DISCRETE:

        if (number > NGX_IOT_PSON2_NULL) {
            return NGX_DECLINED;
        }

        if (number == NGX_IOT_PSON2_NULL) {
            node->type = NGX_IOT_TREE_NULL;
            return NGX_OK;
        }

        node->type = NGX_IOT_TREE_BOOL;
        node->u.i = (number == NGX_IOT_PSON2_TRUE);
        return NGX_OK;

    case NGX_IOT_PSON2_TEXT:
        node->type = NGX_IOT_TREE_TEXT;
        return NGX_OK;

    case NGX_IOT_PSON2_BYTES:
        node->type = NGX_IOT_TREE_BYTES;
        return NGX_OK;

    case NGX_IOT_PSON2_OBJECT:
        node->type = NGX_IOT_TREE_OBJECT;
        return NGX_OK;

    default: /* NGX_IOT_PSON2_ARRAY */
        node->type = NGX_IOT_TREE_ARRAY;
        return NGX_OK;
    }
}


/* the number is a value in the first two types and a 32-bit count elsewhere */

static ngx_int_t
ngx_iot_pson2_tag(ngx_iot_pson_ctx_t *ctx, ngx_uint_t *type, uint64_t *number)
{
    uint32_t   n;
    ngx_int_t  rc;

    if (ctx->pos == ctx->end) {
        return ctx->more;
    }

    *type = *ctx->pos >> 5;
    *number = *ctx->pos & 0x1f;
    ctx->pos++;

    if (*number != NGX_IOT_PSON2_FOLLOWS) {
        return NGX_OK;
    }

    if (*type <= NGX_IOT_PSON2_NEGATIVE) {
        return ngx_iot_pson_u64(ctx, number);
    }

    rc = ngx_iot_pson_u32(ctx, &n);
    *number = n;

    return rc;
}


static ngx_int_t
ngx_iot_pson_u32(ngx_iot_pson_ctx_t *ctx, uint32_t *value)
{
    ngx_int_t  rc;

    *value = 0;

    rc = ngx_iot_varint32(&ctx->pos, ctx->end, value);

    return (rc == NGX_AGAIN) ? ctx->more : rc;
}


static ngx_int_t
ngx_iot_pson_u64(ngx_iot_pson_ctx_t *ctx, uint64_t *value)
{
    ngx_int_t  rc;

    *value = 0;

    rc = ngx_iot_varint64(&ctx->pos, ctx->end, value);

    return (rc == NGX_AGAIN) ? ctx->more : rc;
}


static ngx_int_t
ngx_iot_pson_take(ngx_iot_pson_ctx_t *ctx, size_t len, ngx_str_t *str)
{
    if (len > ctx->limit.size) {
        return NGX_BUSY;
    }

    if (len > (size_t) (ctx->end - ctx->pos)) {
        return ctx->more;
    }

    str->len = len;
    str->data = ctx->pos;

    ctx->pos += len;

    return NGX_OK;
}


static void
ngx_iot_pson_unsigned(ngx_iot_tree_t *node, uint64_t n)
{
    node->type = (n > INT64_MAX) ? NGX_IOT_TREE_UINT : NGX_IOT_TREE_INT;
    node->u.n = n;
}


static ngx_int_t
ngx_iot_pson_negative(ngx_iot_tree_t *node, uint64_t n)
{
    if (n > (uint64_t) INT64_MAX + 1) {
        return NGX_DECLINED;
    }

    node->type = NGX_IOT_TREE_INT;
    node->u.i = (n == 0) ? 0 : -1 - (int64_t) (n - 1);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_pson_floating(ngx_iot_pson_ctx_t *ctx, ngx_iot_tree_t *node,
    ngx_uint_t type)
{
    float       f;
    size_t      size, i;
    uint32_t    narrow;
    uint64_t    bits;

    size = (type == NGX_IOT_TREE_FLOAT) ? 4 : 8;

    if (size > (size_t) (ctx->end - ctx->pos)) {
        return ctx->more;
    }

    bits = 0;

    for (i = 0; i < size; i++) {
        bits |= (uint64_t) ctx->pos[i] << (8 * i);
    }

    ctx->pos += size;
    node->type = type;

    if (type == NGX_IOT_TREE_FLOAT) {
        narrow = (uint32_t) bits;
        ngx_memcpy(&f, &narrow, sizeof(float));
        node->u.d = f;

    } else {
        ngx_memcpy(&node->u.d, &bits, sizeof(double));
    }

    return NGX_OK;
}
