
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TOPIC_NAME_H_INCLUDED_
#define _NGX_IOT_TOPIC_NAME_H_INCLUDED_


#include "ngx_iot_codec.h"


/* MQTT 5.0, section 4.7.3 */

#define NGX_IOT_TOPIC_MAX  65535


/* "$share/GROUP/FILTER"; of other filters the group is empty */

typedef struct {
    ngx_str_t       group;
    ngx_str_t       filter;
} ngx_iot_topic_share_t;


/* what the places of a pattern stand for; data NULL if not known */

typedef struct {
    ngx_str_t       user;               /* %u */
    ngx_str_t       client_id;          /* %c */
} ngx_iot_topic_places_t;


/*
 * MQTT 5.0, section 4.7: NGX_OK or NGX_ERROR.  1 to 65535 bytes of UTF-8 as in
 * ngx_iot_utf8_check_mqtt(); no wildcards in a name, rightly placed ones in a
 * filter; at most "depth" separators "/", where 0 is no limit.  A filter that
 * starts with "$share/" must be a right shared one.
 */

ngx_int_t ngx_iot_topic_name_check(const ngx_str_t *name, ngx_uint_t depth);
ngx_int_t ngx_iot_topic_filter_check(const ngx_str_t *filter,
    ngx_uint_t depth);

/*
 * NGX_OK: shared, both parts are set.  NGX_DECLINED: not shared, "filter" is
 * all of it.  NGX_ERROR: "$share" without a group or without a filter, or a
 * group with a wildcard (MQTT 5.0, section 4.8.2).
 */

ngx_int_t ngx_iot_topic_share(const ngx_str_t *filter,
    ngx_iot_topic_share_t *share);

/* 1 or 0, for a checked filter (without its share) and a checked name */

ngx_uint_t ngx_iot_topic_match(const ngx_str_t *filter, const ngx_str_t *name);

/*
 * 1 if every name that "inner" matches is matched by "outer" too, else 0: may
 * who is allowed the one subscribe to the other.
 */

ngx_uint_t ngx_iot_topic_covers(const ngx_str_t *outer,
    const ngx_str_t *inner);

/*
 * Takes the next level off [*pos, end): NGX_OK, or NGX_DONE after the last;
 * *pos is NULL then.
 */

ngx_int_t ngx_iot_topic_next_level(u_char **pos, u_char *end,
    ngx_str_t *level);

/*
 * Replaces %u and %c, and %% by one %; any other % stays.  NGX_OK with
 * result->len; NGX_DECLINED if a place has no value or one that could reach
 * beyond its level (empty, with "+", "#", "/" or NUL, or starting with "$"
 * where the pattern starts or anywhere in a shared one); NGX_ERROR if it is
 * over 65535 bytes.  With result->data NULL only the length is found, else
 * there is room for it.
 */

ngx_int_t ngx_iot_topic_expand(const ngx_str_t *pattern,
    const ngx_iot_topic_places_t *places, ngx_str_t *result);


#endif /* _NGX_IOT_TOPIC_NAME_H_INCLUDED_ */
