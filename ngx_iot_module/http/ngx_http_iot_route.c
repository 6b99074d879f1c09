
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_utf8.h"
#include "ngx_http_iot_call.h"


#define NGX_HTTP_IOT_MAX_SEGMENTS  32


/*
 * The routes of a dialect as a trie of path segments: a node has children by
 * literal (sorted when the trie is complete), one child for any segment, and
 * one list of routes for "the rest".
 */

typedef struct ngx_http_iot_node_s  ngx_http_iot_node_t;

struct ngx_http_iot_node_s {
    ngx_str_t              segment;
    ngx_array_t            children;       /* ngx_http_iot_node_t * */
    ngx_http_iot_node_t   *any;
    ngx_array_t            routes;         /* ngx_http_iot_route_t * */
    ngx_array_t            rest;           /* ngx_http_iot_route_t * */
};


struct ngx_http_iot_router_s {
    ngx_http_iot_node_t   *root;
    ngx_http_iot_route_t  *routes;
};


typedef struct {
    ngx_str_t              segments[NGX_HTTP_IOT_MAX_SEGMENTS];
    ngx_uint_t             n;
    ngx_uint_t             method;
    ngx_uint_t             allow;
    ngx_uint_t             npath;
    ngx_uint_t             path[NGX_HTTP_IOT_MAX_PATH];
} ngx_http_iot_walk_t;


static ngx_int_t ngx_http_iot_router_add(ngx_conf_t *cf,
    ngx_http_iot_router_t *router, ngx_http_iot_route_t *route);
static ngx_int_t ngx_http_iot_router_push(ngx_conf_t *cf,
    ngx_array_t *routes, ngx_http_iot_route_t *route);
static ngx_int_t ngx_http_iot_route_statement(ngx_conf_t *cf,
    ngx_http_iot_route_t *route);
static ngx_http_iot_node_t *ngx_http_iot_node_create(ngx_conf_t *cf,
    ngx_str_t *segment);
static ngx_http_iot_node_t *ngx_http_iot_node_child(ngx_conf_t *cf,
    ngx_http_iot_node_t *node, ngx_str_t *segment);
static void ngx_http_iot_node_sort(ngx_http_iot_node_t *node);
static int ngx_libc_cdecl ngx_http_iot_node_cmp(const void *one,
    const void *two);
static ngx_http_iot_node_t *ngx_http_iot_node_find(ngx_http_iot_node_t *node,
    ngx_str_t *segment);
static ngx_int_t ngx_http_iot_segments(ngx_http_request_t *r,
    ngx_http_iot_walk_t *walk);
static ngx_int_t ngx_http_iot_segment(ngx_http_request_t *r, u_char *start,
    u_char *end, ngx_uint_t encoded, ngx_str_t *segment);
static ngx_http_iot_route_t *ngx_http_iot_router_walk(
    ngx_http_iot_node_t *node, ngx_uint_t depth, ngx_http_iot_walk_t *walk);
static ngx_http_iot_route_t *ngx_http_iot_route_by_method(ngx_array_t *routes,
    ngx_http_iot_walk_t *walk);
static ngx_uint_t ngx_http_iot_pattern_next(u_char **pos, u_char *end,
    ngx_str_t *segment);


static ngx_conf_enum_t  ngx_http_iot_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_null_string, 0 }
};


ngx_http_iot_router_t *
ngx_http_iot_router_create(ngx_conf_t *cf, ngx_http_iot_route_t *routes)
{
    ngx_str_t               root;
    ngx_uint_t              i, n;
    ngx_http_iot_router_t  *router;

    router = ngx_palloc(cf->pool, sizeof(ngx_http_iot_router_t));
    if (router == NULL) {
        return NULL;
    }

    ngx_str_null(&root);

    router->root = ngx_http_iot_node_create(cf, &root);
    if (router->root == NULL) {
        return NULL;
    }

    for (n = 0; routes[n].pattern.len; n++) { /* void */ }

    /*
     * a copy, because the statements live in the pool of this cycle while
     * the table of the module serves all cycles
     */

    router->routes = ngx_palloc(cf->pool,
                                (n + 1) * sizeof(ngx_http_iot_route_t));
    if (router->routes == NULL) {
        return NULL;
    }

    ngx_memcpy(router->routes, routes,
               (n + 1) * sizeof(ngx_http_iot_route_t));

    for (i = 0; i < n; i++) {
        if (ngx_http_iot_router_add(cf, router, &router->routes[i])
            != NGX_OK)
        {
            return NULL;
        }
    }

    ngx_http_iot_node_sort(router->root);

    return router;
}


static ngx_int_t
ngx_http_iot_router_add(ngx_conf_t *cf, ngx_http_iot_router_t *router,
    ngx_http_iot_route_t *route)
{
    u_char               *p, *end;
    ngx_str_t             segment;
    ngx_uint_t            npath, depth;
    ngx_array_t          *routes;
    ngx_http_iot_node_t  *node;

    if (route->method == 0
        || route->who == 0
        || (route->function == NULL && route->handler == NULL)
        || route->pattern.data[0] != '/')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "incomplete route \"%V\"", &route->pattern);
        return NGX_ERROR;
    }

    node = router->root;
    routes = NULL;
    npath = 0;
    depth = 0;

    p = route->pattern.data;
    end = p + route->pattern.len;

    while (ngx_http_iot_pattern_next(&p, end, &segment)) {

        if (routes || ++depth > NGX_HTTP_IOT_MAX_SEGMENTS) {
            goto invalid;
        }

        if (segment.len == 1 && segment.data[0] == '*') {
            routes = &node->rest;
            continue;
        }

        if (segment.data[0] == '{') {

            if (segment.len < 3 || segment.data[segment.len - 1] != '}'
                || ++npath > NGX_HTTP_IOT_MAX_PATH)
            {
                goto invalid;
            }

            if (node->any == NULL) {
                node->any = ngx_http_iot_node_create(cf, &segment);
                if (node->any == NULL) {
                    return NGX_ERROR;
                }
            }

            node = node->any;
            continue;
        }

        node = ngx_http_iot_node_child(cf, node, &segment);
        if (node == NULL) {
            return NGX_ERROR;
        }
    }

    if (routes == NULL) {
        routes = &node->routes;
    }

    if (ngx_http_iot_router_push(cf, routes, route) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_route_statement(cf, route);

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid route pattern \"%V\"", &route->pattern);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_iot_router_push(ngx_conf_t *cf, ngx_array_t *routes,
    ngx_http_iot_route_t *route)
{
    ngx_uint_t              i;
    ngx_http_iot_route_t  **rp;

    rp = routes->elts;

    for (i = 0; i < routes->nelts; i++) {
        if (rp[i]->method & route->method) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "conflicting routes \"%V\" and \"%V\"",
                               &rp[i]->pattern, &route->pattern);
            return NGX_ERROR;
        }
    }

    if (routes->elts == NULL
        && ngx_array_init(routes, cf->pool, 2,
                          sizeof(ngx_http_iot_route_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rp = ngx_array_push(routes);
    if (rp == NULL) {
        return NGX_ERROR;
    }

    *rp = route;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_route_statement(ngx_conf_t *cf, ngx_http_iot_route_t *route)
{
    size_t   len;
    u_char  *p;

    if (route->function == NULL) {
        return NGX_OK;
    }

    len = sizeof("SELECT * FROM "
                 "($1::iot.principal,$2::text[],$3::json,$4::json)")
          + ngx_strlen(route->function);

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    route->stmt.text.data = p;

    p = ngx_sprintf(p, "SELECT * FROM %s"
                    "($1::iot.principal,$2::text[],$3::json,$4::json)",
                    route->function);

    route->stmt.text.len = p - route->stmt.text.data;
    *p = '\0';

    return NGX_OK;
}


static ngx_http_iot_node_t *
ngx_http_iot_node_create(ngx_conf_t *cf, ngx_str_t *segment)
{
    ngx_http_iot_node_t  *node;

    node = ngx_pcalloc(cf->pool, sizeof(ngx_http_iot_node_t));
    if (node == NULL) {
        return NULL;
    }

    node->segment = *segment;

    return node;
}


static ngx_http_iot_node_t *
ngx_http_iot_node_child(ngx_conf_t *cf, ngx_http_iot_node_t *node,
    ngx_str_t *segment)
{
    ngx_uint_t             i;
    ngx_http_iot_node_t  **children, *child;

    children = node->children.elts;

    for (i = 0; i < node->children.nelts; i++) {
        if (children[i]->segment.len == segment->len
            && ngx_memcmp(children[i]->segment.data, segment->data,
                          segment->len)
               == 0)
        {
            return children[i];
        }
    }

    if (children == NULL
        && ngx_array_init(&node->children, cf->pool, 4,
                          sizeof(ngx_http_iot_node_t *))
           != NGX_OK)
    {
        return NULL;
    }

    child = ngx_http_iot_node_create(cf, segment);
    if (child == NULL) {
        return NULL;
    }

    children = ngx_array_push(&node->children);
    if (children == NULL) {
        return NULL;
    }

    *children = child;

    return child;
}


static void
ngx_http_iot_node_sort(ngx_http_iot_node_t *node)
{
    ngx_uint_t             i;
    ngx_http_iot_node_t  **children;

    if (node->children.nelts) {
        children = node->children.elts;

        ngx_qsort(children, node->children.nelts,
                  sizeof(ngx_http_iot_node_t *), ngx_http_iot_node_cmp);

        for (i = 0; i < node->children.nelts; i++) {
            ngx_http_iot_node_sort(children[i]);
        }
    }

    if (node->any) {
        ngx_http_iot_node_sort(node->any);
    }
}


static int ngx_libc_cdecl
ngx_http_iot_node_cmp(const void *one, const void *two)
{
    ngx_http_iot_node_t *const *first = one;
    ngx_http_iot_node_t *const *second = two;

    return (int) ngx_memn2cmp((*first)->segment.data, (*second)->segment.data,
                              (*first)->segment.len, (*second)->segment.len);
}


static ngx_http_iot_node_t *
ngx_http_iot_node_find(ngx_http_iot_node_t *node, ngx_str_t *segment)
{
    ngx_int_t              rc;
    ngx_uint_t             left, right, middle;
    ngx_http_iot_node_t  **children;

    children = node->children.elts;

    left = 0;
    right = node->children.nelts;

    while (left < right) {
        middle = (left + right) / 2;

        rc = ngx_memn2cmp(segment->data, children[middle]->segment.data,
                          segment->len, children[middle]->segment.len);

        if (rc == 0) {
            return children[middle];
        }

        if (rc < 0) {
            right = middle;

        } else {
            left = middle + 1;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_iot_router_find(ngx_http_iot_router_t *router,
    ngx_http_iot_call_t *call)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    ngx_http_iot_walk_t  walk;

    call->route = NULL;
    call->allow = 0;
    call->npath = 0;

    rc = ngx_http_iot_segments(call->request, &walk);
    if (rc != NGX_OK) {
        return rc;
    }

    walk.method = call->request->method;
    walk.allow = 0;
    walk.npath = 0;

    if (walk.method == NGX_HTTP_HEAD) {
        walk.method = NGX_HTTP_GET;
    }

    call->route = ngx_http_iot_router_walk(router->root, 0, &walk);
    call->allow = walk.allow;

    if (call->route) {
        call->npath = walk.npath;

        for (i = 0; i < walk.npath; i++) {
            call->path[i] = walk.segments[walk.path[i]];
        }
    }

    return NGX_OK;
}


/*
 * The segments are taken from the path as it was sent, so that "%2F" inside
 * of one does not part it; only a path with "//" or dots, or one that was
 * changed inside nginx, is taken as nginx normalized it.
 */

static ngx_int_t
ngx_http_iot_segments(ngx_http_request_t *r, ngx_http_iot_walk_t *walk)
{
    u_char      *p, *end, *start;
    ngx_str_t    path;
    ngx_int_t    rc;
    ngx_uint_t   encoded;

    walk->n = 0;

    if (r->complex_uri || r->internal || !r->valid_unparsed_uri) {
        path = r->uri;
        encoded = 0;

    } else {
        path = r->unparsed_uri;
        encoded = 1;
    }

    p = path.data;
    end = p + path.len;

    while (p < end) {

        if (encoded && (*p == '?' || *p == '#')) {
            break;
        }

        if (*p == '/') {
            p++;
            continue;
        }

        start = p;

        while (p < end && *p != '/') {
            if (encoded && (*p == '?' || *p == '#')) {
                break;
            }

            p++;
        }

        if (walk->n == NGX_HTTP_IOT_MAX_SEGMENTS) {
            return NGX_DECLINED;
        }

        rc = ngx_http_iot_segment(r, start, p, encoded,
                                  &walk->segments[walk->n]);
        if (rc != NGX_OK) {
            return rc;
        }

        walk->n++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_segment(ngx_http_request_t *r, u_char *start, u_char *end,
    ngx_uint_t encoded, ngx_str_t *segment)
{
    u_char     *p, *dst;
    ngx_int_t   n;

    segment->data = start;
    segment->len = end - start;

    if (encoded && ngx_strlchr(start, end, '%')) {

        dst = ngx_pnalloc(r->pool, end - start);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        segment->data = dst;

        for (p = start; p < end; p++) {

            if (*p != '%') {
                *dst++ = *p;
                continue;
            }

            if (end - p < 3) {
                return NGX_DECLINED;
            }

            n = ngx_hextoi(p + 1, 2);
            if (n == NGX_ERROR) {
                return NGX_DECLINED;
            }

            *dst++ = (u_char) n;
            p += 2;
        }

        segment->len = dst - segment->data;
    }

    if (ngx_strlchr(segment->data, segment->data + segment->len, '\0')
        || ngx_iot_utf8_check(segment->data, segment->len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_http_iot_route_t *
ngx_http_iot_router_walk(ngx_http_iot_node_t *node, ngx_uint_t depth,
    ngx_http_iot_walk_t *walk)
{
    ngx_http_iot_node_t   *child;
    ngx_http_iot_route_t  *route;

    if (depth == walk->n) {
        route = ngx_http_iot_route_by_method(&node->routes, walk);

    } else {
        route = NULL;

        child = ngx_http_iot_node_find(node, &walk->segments[depth]);

        if (child) {
            route = ngx_http_iot_router_walk(child, depth + 1, walk);
        }

        if (route == NULL && node->any) {
            walk->path[walk->npath++] = depth;

            route = ngx_http_iot_router_walk(node->any, depth + 1, walk);

            if (route == NULL) {
                walk->npath--;
            }
        }
    }

    if (route) {
        return route;
    }

    return ngx_http_iot_route_by_method(&node->rest, walk);
}


static ngx_http_iot_route_t *
ngx_http_iot_route_by_method(ngx_array_t *routes, ngx_http_iot_walk_t *walk)
{
    ngx_uint_t              i;
    ngx_http_iot_route_t  **rp;

    rp = routes->elts;

    for (i = 0; i < routes->nelts; i++) {

        if (rp[i]->method & walk->method) {
            return rp[i];
        }

        walk->allow |= rp[i]->method;
    }

    return NULL;
}


static ngx_uint_t
ngx_http_iot_pattern_next(u_char **pos, u_char *end, ngx_str_t *segment)
{
    u_char  *p;

    for (p = *pos; p < end && *p == '/'; p++) { /* void */ }

    segment->data = p;

    while (p < end && *p != '/') {
        p++;
    }

    segment->len = p - segment->data;
    *pos = p;

    return segment->len != 0;
}


ngx_int_t
ngx_http_iot_route_allow(ngx_uint_t methods, ngx_str_t *value,
    ngx_pool_t *pool)
{
    u_char      *p;
    ngx_uint_t   i;

    if (methods & NGX_HTTP_GET) {
        methods |= NGX_HTTP_HEAD;
    }

    methods |= NGX_HTTP_OPTIONS;

    p = ngx_pnalloc(pool,
                    sizeof("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    for (i = 0; ngx_http_iot_methods[i].name.len; i++) {

        if (!(methods & ngx_http_iot_methods[i].value)) {
            continue;
        }

        if (p != value->data) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, ngx_http_iot_methods[i].name.data,
                       ngx_http_iot_methods[i].name.len);
    }

    value->len = p - value->data;

    return NGX_OK;
}
