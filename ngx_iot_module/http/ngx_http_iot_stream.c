
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_module.h"


#define NGX_HTTP_IOT_STREAM_BUFFER  32768


static ngx_int_t ngx_http_iot_stream_header(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_stream_copy(ngx_http_iot_call_t *call,
    u_char *p, size_t len, ngx_chain_t **out);
static ngx_int_t ngx_http_iot_stream_output(ngx_http_iot_call_t *call,
    ngx_chain_t *out);
static ngx_int_t ngx_http_iot_stream_wait(ngx_http_request_t *r);
static void ngx_http_iot_stream_writer(ngx_http_request_t *r);


static ngx_str_t  ngx_http_iot_stream_type = ngx_string("application/json");


/*
 * A streamed answer: each row of the result is a piece of the body.  Status
 * and headers leave with the first row, so that an error before it is still
 * an ordinary error; one after it can only cut the answer off.  A row is
 * copied into buffers that are used again as soon as the client has read
 * them, and the database is not read while the socket takes no more.
 */

ngx_int_t
ngx_http_iot_answer_row(ngx_iot_db_call_t *db, PGresult *res)
{
    ngx_http_iot_call_t  *call = db->data;

    size_t        len;
    ngx_int_t     rc;
    ngx_chain_t  *out;

    if (call->state < ngx_http_iot_answer_state) {

        rc = ngx_http_iot_stream_header(call);

        if (rc == NGX_ERROR || rc > NGX_OK) {
            call->ended = 1;
            call->stream_rc = rc;
            return NGX_ERROR;
        }
    }

    if (call->request->header_only) {
        /* dropping the connection would cost more than reading on */
        return NGX_OK;
    }

    len = PQgetlength(res, 0, 0);

    if (len == 0) {
        return NGX_OK;
    }

    if (ngx_http_iot_stream_copy(call, (u_char *) PQgetvalue(res, 0, 0), len,
                                 &out)
        != NGX_OK
        || ngx_http_iot_stream_output(call, out) == NGX_ERROR)
    {
        call->ended = 1;
        call->stream_rc = NGX_ERROR;
        return NGX_ERROR;
    }

    if (call->request->connection->buffered & NGX_HTTP_WRITE_BUFFERED) {

        if (ngx_http_iot_stream_wait(call->request) != NGX_OK) {
            call->ended = 1;
            call->stream_rc = NGX_ERROR;
            return NGX_ERROR;
        }

        call->paused = 1;
        call->request->write_event_handler = ngx_http_iot_stream_writer;

        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_stream_header(ngx_http_iot_call_t *call)
{
    ngx_http_request_t  *r;

    r = call->request;

    ngx_http_iot_call_set_state(call, ngx_http_iot_answer_state);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    r->headers_out.content_type = ngx_http_iot_stream_type;
    r->headers_out.content_type_len = ngx_http_iot_stream_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->allow_ranges = 0;

    if (ngx_http_iot_answered(r) != NGX_OK
        || ngx_http_iot_cors_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_iot_stream_copy(ngx_http_iot_call_t *call, u_char *p, size_t len,
    ngx_chain_t **out)
{
    size_t        n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, **last;

    *out = NULL;
    last = out;

    while (len) {
        cl = ngx_chain_get_free_buf(call->pool, &call->free);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        b = cl->buf;

        if (b->start == NULL) {
            b->start = ngx_palloc(call->pool, NGX_HTTP_IOT_STREAM_BUFFER);
            if (b->start == NULL) {
                return NGX_ERROR;
            }

            b->end = b->start + NGX_HTTP_IOT_STREAM_BUFFER;
            b->temporary = 1;
            b->tag = (ngx_buf_tag_t) &ngx_http_iot_module;
        }

        n = ngx_min(len, (size_t) NGX_HTTP_IOT_STREAM_BUFFER);

        b->pos = b->start;
        b->last = ngx_cpymem(b->start, p, n);

        p += n;
        len -= n;

        cl->next = NULL;
        *last = cl;
        last = &cl->next;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_stream_output(ngx_http_iot_call_t *call, ngx_chain_t *out)
{
    ngx_int_t  rc;

    rc = ngx_http_output_filter(call->request, out);

    ngx_chain_update_chains(call->pool, &call->free, &call->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_iot_module);

    return rc;
}


static ngx_int_t
ngx_http_iot_stream_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_http_iot_stream_writer(ngx_http_request_t *r)
{
    ngx_event_t          *wev;
    ngx_connection_t     *c;
    ngx_http_iot_ctx_t   *ctx;
    ngx_http_iot_call_t  *call;

    c = r->connection;
    wev = c->write;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_module);
    call = ctx->call;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_iot_call_finalize(call, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (!wev->delayed) {

        if (ngx_http_iot_stream_output(call, NULL) == NGX_ERROR) {
            ngx_http_iot_call_finalize(call, NGX_ERROR);
            return;
        }
    }

    if (wev->delayed || (c->buffered & NGX_HTTP_WRITE_BUFFERED)) {

        if (ngx_http_iot_stream_wait(r) != NGX_OK) {
            ngx_http_iot_call_finalize(call, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    if (call->paused) {
        call->paused = 0;
        ngx_iot_db_resume(call->db);
    }
}


void
ngx_http_iot_answer_stream_done(ngx_iot_db_call_t *db)
{
    ngx_http_iot_call_t  *call = db->data;

    call->db = NULL;

    if (call->ended) {
        ngx_http_iot_call_finalize(call, call->stream_rc);
        return;
    }

    if (db->rc != NGX_OK) {

        if (call->state < ngx_http_iot_answer_state) {
            (void) ngx_http_iot_call_err(call, &db->error);
            return;
        }

        /* only a broken connection can say now that something is missing */

        ngx_log_error(NGX_LOG_ERR, call->log, 0,
                      "streamed answer of \"%s\" failed half way",
                      call->route->function);

        ngx_http_iot_call_finalize(call, NGX_ERROR);
        return;
    }

    if (call->state < ngx_http_iot_answer_state) {
        (void) ngx_http_iot_call_empty(call, NGX_HTTP_OK);
        return;
    }

    if (call->request->header_only) {
        ngx_http_iot_call_finalize(call, NGX_OK);
        return;
    }

    ngx_http_iot_call_finalize(call, ngx_http_send_special(call->request,
                                                           NGX_HTTP_LAST));
}
