
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_blob.h"
#include "ngx_http_iot_module.h"


#define NGX_HTTP_IOT_BLOB_PIECE  262144


static ngx_int_t ngx_http_iot_blob_header(ngx_http_iot_blob_t *blob);
static ngx_int_t ngx_http_iot_blob_file(ngx_http_iot_blob_t *blob);
static ngx_int_t ngx_http_iot_blob_read(ngx_http_iot_blob_t *blob);
static ngx_int_t ngx_http_iot_blob_number(ngx_iot_db_call_t *call,
    off_t n);
static void ngx_http_iot_blob_piece(ngx_iot_db_call_t *call);
static ngx_int_t ngx_http_iot_blob_write(ngx_http_iot_blob_t *blob);
static void ngx_http_iot_blob_writer(ngx_http_request_t *r);
static void ngx_http_iot_blob_finish(ngx_http_iot_blob_t *blob,
    ngx_int_t rc);
static void ngx_http_iot_blob_cleanup(void *data);


static ngx_iot_db_stmt_t  ngx_http_iot_blob_stmt = ngx_iot_db_stmt(
    "SELECT iot.ota_read($1::uuid, $2::uuid, $3::bigint, $4::int)");


ngx_int_t
ngx_http_iot_blob_send(ngx_http_iot_blob_t *blob)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;
    ngx_pool_cleanup_t  *cln;

    r = blob->request;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_iot_blob_cleanup;
    cln->data = blob;

    if (ngx_http_iot_blob_header(blob) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (blob->pos >= blob->end) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    return ngx_http_iot_blob_read(blob);
}


static ngx_int_t
ngx_http_iot_blob_header(ngx_http_iot_blob_t *blob)
{
    ngx_http_request_t  *r;

    r = blob->request;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = ngx_max(blob->end - blob->pos, 0);
    r->headers_out.content_type = blob->type;
    r->headers_out.content_type_len = blob->type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->allow_ranges = 0;

    if (ngx_exiting) {
        r->keepalive = 0;
    }

    if (ngx_http_iot_answered(r) != NGX_OK
        || ngx_http_iot_cors_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_blob_file(blob);
}


/* a name that could end the header or the quotes is made harmless */

static ngx_int_t
ngx_http_iot_blob_file(ngx_http_iot_blob_t *blob)
{
    u_char     *p;
    size_t      i;
    ngx_str_t   name, value;

    p = ngx_pnalloc(blob->request->pool,
                    2 * blob->name.len + sizeof("attachment;filename="));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    p = ngx_cpymem(p, "attachment;filename=", 20);
    name.data = p;

    for (i = 0; i < blob->name.len; i++) {
        *p = blob->name.data[i];

        if (*p < 0x20 || *p == 0x7f || *p == '"' || *p == ';' || *p == '\\') {
            *p = '_';
        }

        p++;
    }

    name.len = p - name.data;
    value.len = p - value.data;

    if (ngx_http_iot_add_header(blob->request, "Content-Disposition", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_add_header(blob->request, "x-filename", &name);
}


static ngx_int_t
ngx_http_iot_blob_read(ngx_http_iot_blob_t *blob)
{
    ngx_str_t           id;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_READ, &ngx_http_iot_blob_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    id.len = sizeof(blob->tenant);
    id.data = blob->tenant;

    if (ngx_iot_db_text(call, &id) != NGX_OK) {
        goto failed;
    }

    id.data = blob->package;

    if (ngx_iot_db_text(call, &id) != NGX_OK
        || ngx_http_iot_blob_number(call, blob->pos) != NGX_OK
        || ngx_http_iot_blob_number(call, ngx_min(NGX_HTTP_IOT_BLOB_PIECE,
                                                  blob->end - blob->pos))
           != NGX_OK)
    {
        goto failed;
    }

    call->binary = 1;
    call->data = blob;
    call->done = ngx_http_iot_blob_piece;

    if (ngx_iot_db_send(call) == NGX_OK) {
        blob->call = call;
        return NGX_AGAIN;
    }

failed:

    ngx_destroy_pool(call->pool);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_iot_blob_number(ngx_iot_db_call_t *call, off_t n)
{
    u_char     buf[NGX_OFF_T_LEN];
    ngx_str_t  text;

    text.data = buf;
    text.len = ngx_sprintf(buf, "%O", n) - buf;

    return ngx_iot_db_text(call, &text);
}


static void
ngx_http_iot_blob_piece(ngx_iot_db_call_t *call)
{
    size_t                len;
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_http_iot_blob_t  *blob;

    blob = call->data;
    blob->call = NULL;

    b = &blob->buf;

    len = (call->rc == NGX_OK && PQntuples(call->result) == 1)
          ? PQgetlength(call->result, 0, 0) : 0;

    if (len == 0 || (off_t) len > blob->end - blob->pos
        || len > NGX_HTTP_IOT_BLOB_PIECE)
    {
        /* deleted meanwhile; only a broken connection can say so */
        ngx_http_iot_blob_finish(blob, NGX_ERROR);
        return;
    }

    if (b->start == NULL) {
        b->start = ngx_palloc(blob->request->pool,
                              ngx_min(NGX_HTTP_IOT_BLOB_PIECE,
                                      blob->end - blob->pos));
        if (b->start == NULL) {
            ngx_http_iot_blob_finish(blob, NGX_ERROR);
            return;
        }
    }

    b->pos = b->start;
    b->last = ngx_cpymem(b->start, PQgetvalue(call->result, 0, 0), len);
    b->memory = 1;
    b->flush = 1;

    blob->pos += len;
    b->last_buf = (blob->pos == blob->end);
    b->last_in_chain = 1;

    blob->out.buf = b;
    blob->out.next = NULL;

    rc = ngx_http_output_filter(blob->request, &blob->out);

    if (rc == NGX_ERROR || b->last_buf) {
        ngx_http_iot_blob_finish(blob, rc);
        return;
    }

    rc = ngx_http_iot_blob_write(blob);

    if (rc != NGX_AGAIN) {
        ngx_http_iot_blob_finish(blob, NGX_ERROR);
    }
}


/* the buffer is used again when all of it is out */

static ngx_int_t
ngx_http_iot_blob_write(ngx_http_iot_blob_t *blob)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = blob->request;
    wev = r->connection->write;

    if (blob->buf.pos == blob->buf.last
        && !(r->connection->buffered & NGX_HTTP_WRITE_BUFFERED))
    {
        r->write_event_handler = ngx_http_request_empty_handler;

        if (wev->timer_set) {
            ngx_del_timer(wev);
        }

        return ngx_http_iot_blob_read(blob);
    }

    ngx_http_iot_get_ctx(r)->blob = blob;
    r->write_event_handler = ngx_http_iot_blob_writer;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK
           ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_http_iot_blob_writer(ngx_http_request_t *r)
{
    ngx_http_iot_blob_t  *blob;

    blob = ngx_http_iot_get_ctx(r)->blob;

    if (r->connection->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;
        ngx_http_iot_blob_finish(blob, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR
        || ngx_http_iot_blob_write(blob) == NGX_ERROR)
    {
        ngx_http_iot_blob_finish(blob, NGX_ERROR);
    }
}


static void
ngx_http_iot_blob_finish(ngx_http_iot_blob_t *blob, ngx_int_t rc)
{
    blob->request->write_event_handler = ngx_http_request_empty_handler;

    blob->done(blob, rc);
}


static void
ngx_http_iot_blob_cleanup(void *data)
{
    ngx_http_iot_blob_t  *blob = data;

    if (blob->call) {
        ngx_iot_db_abandon(blob->call);
        blob->call = NULL;
    }
}
