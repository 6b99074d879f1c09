
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../codec/ngx_iot_utf8.h"
#include "../ngx_http_iot_blob.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


/* the file of a package comes in a form, and goes as it is */

#define NGX_HTTP_IOT_TB_OTA_BODY   16777216
#define NGX_HTTP_IOT_TB_OTA_DEPTH  4
#define NGX_HTTP_IOT_TB_OTA_FIELDS 5
#define NGX_HTTP_IOT_TB_BOUNDARY   70       /* RFC 2046, section 5.1.1 */


typedef struct {
    ngx_str_t                   name;
    ngx_str_t                   type;
    ngx_str_t                   data;
} ngx_http_iot_tb_file_t;


static ngx_int_t ngx_http_iot_tb_ota_form(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_file_t *file);
static ngx_int_t ngx_http_iot_tb_ota_boundary(ngx_http_iot_call_t *call,
    ngx_str_t *boundary);
static u_char *ngx_http_iot_tb_ota_find(u_char *p, u_char *last,
    ngx_str_t *boundary);
static ngx_int_t ngx_http_iot_tb_ota_part(ngx_http_iot_tb_file_t *file,
    u_char *p, u_char *last);
static void ngx_http_iot_tb_ota_disposition(ngx_http_iot_tb_file_t *file,
    ngx_str_t *line, ngx_uint_t *found);
static void ngx_http_iot_tb_ota_done(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_ota_found(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_ota_blob(ngx_http_iot_call_t *call,
    ngx_str_t *json, ngx_http_iot_blob_t *blob);
static void ngx_http_iot_tb_ota_sent(ngx_http_iot_blob_t *blob,
    ngx_int_t rc);
static void *ngx_http_iot_tb_ota_alloc(void *pool, size_t size);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_ota_stmt = ngx_iot_db_stmt(
    "SELECT tb.ota_upload($1::iot.principal, $2::text[], $3::json, $4::json,"
    " $5, $6, $7, $8::bytea)");


ngx_int_t
ngx_http_iot_tb_ota_upload(ngx_http_iot_call_t *call)
{
    u_char                  *p;
    uint32_t                 crc;
    ngx_str_t                none, text;
    ngx_iot_db_call_t       *db;
    ngx_http_iot_tb_file_t   file;

    if (call->body.len > NGX_HTTP_IOT_TB_OTA_BODY) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                      "too_large",
                                      "Payload size exceeds the limit");
    }

    if (ngx_http_iot_tb_ota_form(call, &file) != NGX_OK) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "Required part 'file' is"
                                      " not present.");
    }

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_ota_stmt);
    if (db == NULL) {
        return NGX_ERROR;
    }

    ngx_str_null(&none);

    p = ngx_pnalloc(db->pool, file.data.len + 1);

    if (p == NULL || ngx_http_iot_call_params(call, db, &none) != NGX_OK
        || ngx_iot_db_text(db, &file.name) != NGX_OK
        || ngx_iot_db_text(db, &file.type) != NGX_OK)
    {
        return NGX_ERROR;
    }

    crc = ngx_crc32_long(file.data.data, file.data.len);

    /* the bytes in the order in which a little-endian machine has them */

    text.data = ngx_pnalloc(db->pool, 8);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_sprintf(text.data, "%02xD%02xD%02xD%02xD", crc & 0xff,
                           (crc >> 8) & 0xff, (crc >> 16) & 0xff, crc >> 24)
               - text.data;

    if (ngx_iot_db_text(db, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, file.data.data, file.data.len);
    ngx_iot_db_param(db, p, file.data.len, 1);

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_ota_done);
}


static void
ngx_http_iot_tb_ota_done(ngx_http_iot_call_t *call)
{
    PGresult  *res;

    if (call->db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &call->db->error);
        return;
    }

    res = call->db->result;
    call->db->result = NULL;

    (void) ngx_http_iot_call_result(call, res);
}


/* the part "file" of multipart/form-data (RFC 7578) */

static ngx_int_t
ngx_http_iot_tb_ota_form(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_file_t *file)
{
    u_char     *p, *last, *next;
    ngx_str_t   boundary;

    if (ngx_http_iot_tb_ota_boundary(call, &boundary) != NGX_OK) {
        return NGX_DECLINED;
    }

    p = call->body.data;
    last = p + call->body.len;

    p = ngx_http_iot_tb_ota_find(p, last, &boundary);

    while (p) {
        p += 2 + boundary.len;

        if (last - p < 2 || p[0] != CR || p[1] != LF) {
            /* the last one ends with "--" */
            return NGX_DECLINED;
        }

        p += 2;

        next = ngx_http_iot_tb_ota_find(p, last, &boundary);

        if (next == NULL || next - p < 2 || next[-2] != CR || next[-1] != LF) {
            return NGX_DECLINED;
        }

        if (ngx_http_iot_tb_ota_part(file, p, next - 2) == NGX_OK) {
            return NGX_OK;
        }

        p = next;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_iot_tb_ota_boundary(ngx_http_iot_call_t *call, ngx_str_t *boundary)
{
    u_char     *p, *last, *end;
    ngx_str_t   type;

    if (ngx_http_iot_call_header(call, "content-type", &type) != NGX_OK
        || type.len < 19
        || ngx_strncasecmp(type.data, (u_char *) "multipart/form-data", 19)
           != 0)
    {
        return NGX_DECLINED;
    }

    last = type.data + type.len;

    p = ngx_strlcasestrn(type.data, last, (u_char *) "boundary=", 9 - 1);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    p += 9;

    if (p < last && *p == '"') {
        p++;
        end = ngx_strlchr(p, last, '"');

    } else {
        for (end = p; end < last && *end != ';' && *end != ' '; end++) {
            /* void */
        }
    }

    if (end == NULL || end == p || end - p > NGX_HTTP_IOT_TB_BOUNDARY) {
        return NGX_DECLINED;
    }

    boundary->data = p;
    boundary->len = end - p;

    return NGX_OK;
}


/* where "--boundary" begins, at the start or behind the end of a line */

static u_char *
ngx_http_iot_tb_ota_find(u_char *p, u_char *last, ngx_str_t *boundary)
{
    u_char  *start;

    for (start = p; p < last; p++) {
        p = ngx_strlchr(p, last, '-');

        if (p == NULL || (size_t) (last - p) < 2 + boundary->len) {
            return NULL;
        }

        if (p[1] == '-'
            && (p == start || p[-1] == LF)
            && ngx_memcmp(p + 2, boundary->data, boundary->len) == 0)
        {
            return p;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_iot_tb_ota_part(ngx_http_iot_tb_file_t *file, u_char *p,
    u_char *last)
{
    u_char      *end;
    ngx_str_t    line;
    ngx_uint_t   found;

    ngx_memzero(file, sizeof(ngx_http_iot_tb_file_t));
    found = 0;

    for ( ;; ) {
        end = ngx_strlchr(p, last, CR);

        if (end == NULL || last - end < 2 || end[1] != LF) {
            return NGX_DECLINED;
        }

        line.data = p;
        line.len = end - p;
        p = end + 2;

        if (line.len == 0) {
            break;
        }

        if (line.len > 20
            && ngx_strncasecmp(line.data, (u_char *) "content-disposition:",
                               20)
               == 0)
        {
            ngx_http_iot_tb_ota_disposition(file, &line, &found);

        } else if (line.len > 13
                   && ngx_strncasecmp(line.data, (u_char *) "content-type:",
                                      13)
                      == 0)
        {
            file->type.data = line.data + 13;
            file->type.len = line.len - 13;

            while (file->type.len && file->type.data[0] == ' ') {
                file->type.data++;
                file->type.len--;
            }
        }
    }

    file->data.data = p;
    file->data.len = last - p;

    if (ngx_iot_utf8_check(file->name.data, file->name.len) != NGX_OK) {
        ngx_str_set(&file->name, "package");
    }

    if (ngx_iot_utf8_check(file->type.data, file->type.len) != NGX_OK) {
        ngx_str_null(&file->type);
    }

    return found ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_iot_tb_ota_disposition(ngx_http_iot_tb_file_t *file, ngx_str_t *line,
    ngx_uint_t *found)
{
    u_char  *p, *end, *last;

    last = line->data + line->len;

    if (ngx_strlcasestrn(line->data, last, (u_char *) " name=\"file\"",
                         12 - 1)
        || ngx_strlcasestrn(line->data, last, (u_char *) ";name=\"file\"",
                            12 - 1))
    {
        *found = 1;
    }

    p = ngx_strlcasestrn(line->data, last, (u_char *) "filename=\"", 10 - 1);

    if (p) {
        p += 10;
        end = ngx_strlchr(p, last, '"');

        if (end) {
            file->name.data = p;
            file->name.len = end - p;
        }
    }
}


ngx_int_t
ngx_http_iot_tb_ota_download(ngx_http_iot_call_t *call)
{
    ngx_str_t           none;
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_READ,
                                     &call->route->stmt);
    if (db == NULL) {
        return NGX_ERROR;
    }

    ngx_str_null(&none);

    if (ngx_http_iot_call_params(call, db, &none) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_ota_found);
}


static void
ngx_http_iot_tb_ota_found(ngx_http_iot_call_t *call)
{
    ngx_int_t             rc;
    ngx_str_t             json;
    ngx_http_iot_blob_t  *blob;

    if (call->db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &call->db->error);
        return;
    }

    blob = ngx_pcalloc(call->pool, sizeof(ngx_http_iot_blob_t));
    rc = NGX_ERROR;

    if (blob && PQntuples(call->db->result) == 1) {
        json.data = (u_char *) PQgetvalue(call->db->result, 0, 0);
        json.len = PQgetlength(call->db->result, 0, 0);

        rc = ngx_http_iot_tb_ota_blob(call, &json, blob);
    }

    if (rc != NGX_OK) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
        return;
    }

    ngx_http_iot_call_set_state(call, ngx_http_iot_answer_state);

    rc = ngx_http_iot_blob_send(blob);

    if (rc != NGX_AGAIN) {
        ngx_http_iot_call_finalize(call, rc);
    }
}


static ngx_int_t
ngx_http_iot_tb_ota_blob(ngx_http_iot_call_t *call, ngx_str_t *json,
    ngx_http_iot_blob_t *blob)
{
    ngx_uint_t             i;
    ngx_str_t              copy;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[NGX_HTTP_IOT_TB_OTA_FIELDS];

    static ngx_str_t  names[] = {
        ngx_string("id"), ngx_string("tenant"), ngx_string("size"),
        ngx_string("name"), ngx_string("type")
    };

    alloc.alloc = ngx_http_iot_tb_ota_alloc;
    alloc.data = call->pool;

    for (i = 0; i < NGX_HTTP_IOT_TB_OTA_FIELDS; i++) {
        fields[i].name = names[i];
    }

    copy.len = json->len;
    copy.data = ngx_pstrdup(call->pool, json);

    if (copy.data == NULL
        || ngx_iot_json_fields(&copy, &alloc, NGX_HTTP_IOT_TB_OTA_DEPTH,
                               fields, NGX_HTTP_IOT_TB_OTA_FIELDS, NULL)
           != NGX_OK
        || fields[0].text.len != sizeof(blob->package)
        || fields[1].text.len != sizeof(blob->tenant))
    {
        return NGX_ERROR;
    }

    ngx_memcpy(blob->package, fields[0].text.data, sizeof(blob->package));
    ngx_memcpy(blob->tenant, fields[1].text.data, sizeof(blob->tenant));

    blob->request = call->request;
    blob->end = ngx_atoof(fields[2].text.data, fields[2].text.len);
    blob->name = fields[3].text;
    blob->type = fields[4].text;
    blob->done = ngx_http_iot_tb_ota_sent;
    blob->data = call;

    return (blob->end > 0) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_iot_tb_ota_sent(ngx_http_iot_blob_t *blob, ngx_int_t rc)
{
    ngx_http_iot_call_finalize(blob->data, rc);
}


static void *
ngx_http_iot_tb_ota_alloc(void *pool, size_t size)
{
    return ngx_pnalloc(pool, size);
}
