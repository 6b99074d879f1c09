
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_TB_H_INCLUDED_
#define _NGX_HTTP_IOT_TB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_codec.h"
#include "../ngx_http_iot_call.h"
#include "../ngx_http_iot_dialect.h"


/* what JSON of ThingsBoard has where there is no tenant, customer, user */
#define NGX_HTTP_IOT_TB_NULL_ID  "13814000-1dd2-11b2-8080-808080808080"


extern ngx_http_iot_route_t  ngx_http_iot_tb_routes[];


/* handlers of routes: sessions */

ngx_int_t ngx_http_iot_tb_login(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_login_method(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_login_public(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_token(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_logout(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_change_password(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_activate(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_forgotten(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_reset_password(ngx_http_iot_call_t *call);

ngx_int_t ngx_http_iot_tb_second_save(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_second_check(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_jwt_settings(ngx_http_iot_call_t *call);

/* the function makes a link and is told what the request came by */

ngx_int_t ngx_http_iot_tb_with_base(ngx_http_iot_call_t *call);

/* the function begins a session and the answer is a pair of tokens */

ngx_int_t ngx_http_iot_tb_session(ngx_http_iot_call_t *call);

/* self-registration; a function of which a session may come */

ngx_int_t ngx_http_iot_tb_signup(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_new_session(ngx_http_iot_call_t *call);

/* credentials of devices: their ids are computed, then SQL goes on */

ngx_int_t ngx_http_iot_tb_credentials_save(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_device_with_credentials(ngx_http_iot_call_t *call);

/*
 * The text of a certificate gets the form that is stored, its id is the hash
 * of that.  NGX_OK, NGX_DECLINED (there is nothing), NGX_ERROR.
 */
ngx_int_t ngx_http_iot_tb_x509_id(ngx_str_t *value, ngx_str_t *id,
    ngx_iot_alloc_t *alloc);

/* the key of a profile that trusts an issuer of certificates likewise */

ngx_int_t ngx_http_iot_tb_device_profile_save(ngx_http_iot_call_t *call);

/* values written over REST: they are typed, then SQL goes on */

ngx_int_t ngx_http_iot_tb_timeseries_save(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_timeseries_save_ttl(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_attributes_save(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_attributes_save_device(ngx_http_iot_call_t *call);

/* a secret setting: its value is sealed, then SQL goes on */

ngx_int_t ngx_http_iot_tb_setting_put(ngx_http_iot_call_t *call);

/* the file of a package of firmware or software */

ngx_int_t ngx_http_iot_tb_ota_upload(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_ota_download(ngx_http_iot_call_t *call);

/* the settings of mail: passwords are sealed, then SQL goes on */

ngx_int_t ngx_http_iot_tb_mail_settings(ngx_http_iot_call_t *call);

ngx_int_t ngx_http_iot_tb_not_implemented(ngx_http_iot_call_t *call);


/*
 * Answer with a pair of tokens for the session that object tells of, the JSON
 * of iot.login_done() and its kin; with one token of that "lifetime", if there
 * is one.  Returns NGX_DONE.
 */
ngx_int_t ngx_http_iot_tb_pair(ngx_http_iot_call_t *call, ngx_str_t *object);

/*
 * Is the password within the policy?  NGX_OK, or NGX_DECLINED with the text
 * for the client (all that is wrong with it, a line each), or NGX_ERROR.
 */
ngx_int_t ngx_http_iot_tb_policy(ngx_str_t *password, ngx_str_t *text,
    ngx_pool_t *pool);


#endif /* _NGX_HTTP_IOT_TB_H_INCLUDED_ */
