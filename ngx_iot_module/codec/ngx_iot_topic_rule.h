
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TOPIC_RULE_H_INCLUDED_
#define _NGX_IOT_TOPIC_RULE_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_topic_name.h"


/*
 * A rule of a tenant about its topics is a line of text:
 *
 *     allow|deny  publish|subscribe|all  device|customer|tenant|any  FILTER
 *
 * with one blank between the words.  In the filter, which may have blanks, %u
 * and %c stand for the id of the device or user and for the client id.
 */

#define NGX_IOT_TOPIC_PUBLISH    0x01
#define NGX_IOT_TOPIC_SUBSCRIBE  0x02

#define NGX_IOT_TOPIC_DEVICE     0x01
#define NGX_IOT_TOPIC_CUSTOMER   0x02
#define NGX_IOT_TOPIC_TENANT     0x04


typedef struct {
    ngx_str_t       filter;             /* points into the line */
    unsigned        deny:1;
    unsigned        access:2;
    unsigned        who:3;
} ngx_iot_topic_rule_t;


/* NGX_OK; NGX_ERROR: it is no such line */

ngx_int_t ngx_iot_topic_rule_parse(const ngx_str_t *line,
    ngx_iot_topic_rule_t *rule);

/*
 * The first rule that matches decides: NGX_OK, it allows; NGX_ABORT, it
 * denies; NGX_DECLINED, there is none.  topic is a name to publish to or to
 * receive from, or a filter to subscribe to (without its share): a rule
 * matches a filter when it matches all that the filter does.  Where a place
 * cannot be filled, a rule that allows matches nothing, one that denies all.
 */

ngx_int_t ngx_iot_topic_rules_ask(const ngx_iot_topic_rule_t *rules,
    ngx_uint_t n, ngx_uint_t who, ngx_uint_t access,
    const ngx_iot_topic_places_t *places, const ngx_str_t *topic);


#endif /* _NGX_IOT_TOPIC_RULE_H_INCLUDED_ */
