
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_id.h"
#include "ngx_http_iot_access.h"
#include "ngx_http_iot_module.h"


/* The directives of the gatekeeper. */


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   bits;
} ngx_http_iot_gate_name_t;


static char *ngx_http_iot_gate_param(ngx_conf_t *cf,
    ngx_http_iot_gate_conf_t *gate, ngx_str_t *param);
static char *ngx_http_iot_gate_uuid(ngx_conf_t *cf, ngx_str_t *dst,
    ngx_str_t *param, size_t skip);
static char *ngx_http_iot_gate_roles(ngx_conf_t *cf,
    ngx_http_iot_gate_conf_t *gate, ngx_str_t *text);
static char *ngx_http_iot_gate_permission(ngx_conf_t *cf,
    ngx_http_iot_gate_conf_t *gate, ngx_str_t *text);
static ngx_uint_t ngx_http_iot_gate_word(ngx_str_t *text);
static char *ngx_http_iot_gate_same_site(ngx_conf_t *cf, ngx_str_t *text,
    char **same_site);
static ngx_uint_t ngx_http_iot_gate_cookie_text(ngx_str_t *text,
    ngx_uint_t name);


static ngx_http_iot_gate_name_t  ngx_http_iot_gate_who[] = {
    { ngx_string("user"), NGX_HTTP_IOT_GATE_USER },
    { ngx_string("device"), NGX_HTTP_IOT_GATE_DEVICE },
    { ngx_string("key"), NGX_HTTP_IOT_GATE_KEY },
    { ngx_string("any"), NGX_HTTP_IOT_GATE_USER|NGX_HTTP_IOT_GATE_DEVICE },
    { ngx_null_string, 0 }
};


static ngx_http_iot_gate_name_t  ngx_http_iot_gate_role_names[] = {
    { ngx_string("SYS_ADMIN"), NGX_IOT_SYSTEM },
    { ngx_string("TENANT_ADMIN"), NGX_IOT_TENANT },
    { ngx_string("CUSTOMER_USER"), NGX_IOT_CUSTOMER },
    { ngx_null_string, 0 }
};


/* iot_gate off | user | key | device | any [condition ...]; */

char *
ngx_http_iot_gate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iot_loc_conf_t *ilcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_iot_gate_name_t  *who;
    ngx_http_iot_gate_conf_t  *gate;

    if (ilcf->gate != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        ilcf->gate = NULL;
        return NGX_CONF_OK;
    }

    gate = ngx_pcalloc(cf->pool, sizeof(ngx_http_iot_gate_conf_t));
    if (gate == NULL) {
        return NGX_CONF_ERROR;
    }

    for (who = ngx_http_iot_gate_who; who->name.len; who++) {
        if (ngx_strcmp(who->name.data, value[1].data) == 0) {
            gate->who = who->bits;
        }
    }

    if (gate->who == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"iot_gate\", it must be "
                           "\"off\", \"user\", \"key\", \"device\" or \"any\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_iot_gate_param(cf, gate, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if ((gate->who & NGX_HTTP_IOT_GATE_DEVICE)
        && (gate->roles || gate->permissions))
    {
        return "has a condition that no device can meet";
    }

    ilcf->gate = gate;

    return NGX_CONF_OK;
}


static char *
ngx_http_iot_gate_param(ngx_conf_t *cf, ngx_http_iot_gate_conf_t *gate,
    ngx_str_t *param)
{
    ngx_str_t  text;

    if (ngx_strncmp(param->data, "tenant=", 7) == 0) {
        return ngx_http_iot_gate_uuid(cf, &gate->tenant, param, 7);
    }

    if (ngx_strncmp(param->data, "customer=", 9) == 0) {
        return ngx_http_iot_gate_uuid(cf, &gate->customer, param, 9);
    }

    if (ngx_strncmp(param->data, "role=", 5) == 0) {
        text.data = param->data + 5;
        text.len = param->len - 5;

        return ngx_http_iot_gate_roles(cf, gate, &text);
    }

    if (ngx_strncmp(param->data, "permission=", 11) == 0) {
        text.data = param->data + 11;
        text.len = param->len - 11;

        return ngx_http_iot_gate_permission(cf, gate, &text);
    }

    if (ngx_strcmp(param->data, "public") == 0) {
        gate->is_public = 1;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\" of \"iot_gate\"", param);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_iot_gate_uuid(ngx_conf_t *cf, ngx_str_t *dst, ngx_str_t *param,
    size_t skip)
{
    u_char  uuid[NGX_IOT_UUID_SIZE];

    if (dst->len
        || ngx_iot_uuid_parse(uuid, param->data + skip, param->len - skip)
           != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"iot_gate\" must be one UUID", param);
        return NGX_CONF_ERROR;
    }

    dst->data = ngx_pnalloc(cf->pool, NGX_IOT_UUID_LEN);
    if (dst->data == NULL) {
        return NGX_CONF_ERROR;
    }

    dst->len = ngx_iot_uuid_text(dst->data, uuid) - dst->data;

    return NGX_CONF_OK;
}


/* names, with commas between them */

static char *
ngx_http_iot_gate_roles(ngx_conf_t *cf, ngx_http_iot_gate_conf_t *gate,
    ngx_str_t *text)
{
    size_t                     len;
    u_char                    *p, *last, *end;
    ngx_http_iot_gate_name_t  *role;

    p = text->data;
    last = p + text->len;

    do {
        end = ngx_strlchr(p, last, ',');

        if (end == NULL) {
            end = last;
        }

        len = end - p;

        for (role = ngx_http_iot_gate_role_names; role->name.len; role++) {
            if (role->name.len == len
                && ngx_strncmp(role->name.data, p, len) == 0)
            {
                break;
            }
        }

        if (role->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown role \"%*s\" in \"iot_gate\"", len,
                               p);
            return NGX_CONF_ERROR;
        }

        gate->roles |= role->bits;
        p = end + 1;

    } while (end < last);

    return NGX_CONF_OK;
}


/* DASHBOARD:READ */

static char *
ngx_http_iot_gate_permission(ngx_conf_t *cf, ngx_http_iot_gate_conf_t *gate,
    ngx_str_t *text)
{
    u_char                     *p;
    ngx_http_iot_permission_t   permission, *last;

    p = ngx_strlchr(text->data, text->data + text->len, ':');

    if (p) {
        permission.entity_type.data = text->data;
        permission.entity_type.len = p - text->data;
        permission.operation.data = p + 1;
        permission.operation.len = text->data + text->len - (p + 1);
    }

    if (p == NULL
        || !ngx_http_iot_gate_word(&permission.entity_type)
        || !ngx_http_iot_gate_word(&permission.operation))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "permission \"%V\" in \"iot_gate\" is not of the "
                           "form \"DASHBOARD:READ\"", text);
        return NGX_CONF_ERROR;
    }

    if (gate->permissions == NULL) {
        gate->permissions = ngx_array_create(cf->pool, 1,
                                        sizeof(ngx_http_iot_permission_t));
        if (gate->permissions == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    last = ngx_array_push(gate->permissions);
    if (last == NULL) {
        return NGX_CONF_ERROR;
    }

    *last = permission;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_iot_gate_word(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (!(text->data[i] == '_'
              || (text->data[i] >= 'A' && text->data[i] <= 'Z')))
        {
            return 0;
        }
    }

    return text->len != 0;
}


/* iot_gate_cookie off | name [path=] [domain=] [samesite=] [insecure]; */

char *
ngx_http_iot_gate_cookie(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iot_loc_conf_t *ilcf = conf;

    char                        *rv, *same_site, *secure;
    u_char                      *p;
    ngx_str_t                   *value, path, domain;
    ngx_uint_t                   i;
    ngx_http_iot_cookie_conf_t  *cookie;

    if (ilcf->cookie != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        ilcf->cookie = NULL;
        return NGX_CONF_OK;
    }

    same_site = "Lax";
    secure = "; Secure";
    ngx_str_set(&path, "/");
    ngx_str_null(&domain);

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "path=/", 6) == 0) {
            path.data = value[i].data + 5;
            path.len = value[i].len - 5;

        } else if (ngx_strncmp(value[i].data, "domain=", 7) == 0) {
            domain.data = value[i].data + 7;
            domain.len = value[i].len - 7;

        } else if (ngx_strncmp(value[i].data, "samesite=", 9) == 0) {
            value[i].data += 9;
            value[i].len -= 9;

            rv = ngx_http_iot_gate_same_site(cf, &value[i], &same_site);
            if (rv != NGX_CONF_OK) {
                return rv;
            }

        } else if (ngx_strcmp(value[i].data, "insecure") == 0) {
            secure = "";

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter \"%V\" of "
                               "\"iot_gate_cookie\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (!ngx_http_iot_gate_cookie_text(&value[1], 1)
        || !ngx_http_iot_gate_cookie_text(&path, 0)
        || !ngx_http_iot_gate_cookie_text(&domain, 0))
    {
        return "has characters that no cookie may have";
    }

    cookie = ngx_pcalloc(cf->pool, sizeof(ngx_http_iot_cookie_conf_t));
    if (cookie == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, sizeof("; Path=; Domain=; HttpOnly; Secure"
                                     "; SameSite=Strict")
                              + path.len + domain.len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    cookie->name = value[1];
    cookie->attributes.data = p;

    p = ngx_sprintf(p, "; Path=%V", &path);

    if (domain.len) {
        p = ngx_sprintf(p, "; Domain=%V", &domain);
    }

    p = ngx_sprintf(p, "; HttpOnly%s; SameSite=%s", secure, same_site);

    cookie->attributes.len = p - cookie->attributes.data;
    ilcf->cookie = cookie;

    return NGX_CONF_OK;
}


static char *
ngx_http_iot_gate_same_site(ngx_conf_t *cf, ngx_str_t *text,
    char **same_site)
{
    if (ngx_strcmp(text->data, "strict") == 0) {
        *same_site = "Strict";

    } else if (ngx_strcmp(text->data, "lax") == 0) {
        *same_site = "Lax";

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid samesite \"%V\", it must be \"lax\" or "
                           "\"strict\"", text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* RFC 6265 section 4.1.1 */

static ngx_uint_t
ngx_http_iot_gate_cookie_text(ngx_str_t *text, ngx_uint_t name)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < text->len; i++) {
        ch = text->data[i];

        if (ch <= 0x20 || ch >= 0x7f || ch == ';' || ch == ','
            || (name && ngx_strchr("()<>@:\\\"/[]?={}", ch)))
        {
            return 0;
        }
    }

    return !name || text->len;
}


/* iot_gate_realm off | text; */

char *
ngx_http_iot_gate_realm(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iot_loc_conf_t *ilcf = conf;

    size_t      i;
    u_char     *p;
    ngx_str_t  *value;

    if (ilcf->realm.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&ilcf->realm, "");
        return NGX_CONF_OK;
    }

    for (i = 0; i < value[1].len; i++) {
        if (value[1].data[i] < 0x20 || value[1].data[i] == '"'
            || value[1].data[i] == '\\' || value[1].data[i] == 0x7f)
        {
            return "has characters that no realm may have";
        }
    }

    p = ngx_pnalloc(cf->pool, sizeof("Basic realm=\"\", charset=\"UTF-8\"")
                              + value[1].len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    ilcf->realm.data = p;
    ilcf->realm.len = ngx_sprintf(p, "Basic realm=\"%V\", charset=\"UTF-8\"",
                                  &value[1])
                      - p;

    return NGX_CONF_OK;
}
