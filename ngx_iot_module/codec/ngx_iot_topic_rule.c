
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_topic_rule.h"


#define NGX_IOT_TOPIC_RULE_MAX  1024    /* of a filter with its places filled */


typedef struct {
    ngx_str_t       name;
    ngx_uint_t      value;
} ngx_iot_topic_word_t;


static ngx_int_t ngx_iot_topic_rule_word(u_char **pos, u_char *last,
    const ngx_iot_topic_word_t *words, ngx_uint_t *value);
static ngx_uint_t ngx_iot_topic_rule_matches(const ngx_iot_topic_rule_t *rule,
    const ngx_iot_topic_places_t *places, const ngx_str_t *topic);


static const ngx_iot_topic_word_t  ngx_iot_topic_effects[] = {
    { ngx_string("allow"), 0 },
    { ngx_string("deny"), 1 },
    { { 0, NULL }, 0 }
};

static const ngx_iot_topic_word_t  ngx_iot_topic_accesses[] = {
    { ngx_string("publish"), NGX_IOT_TOPIC_PUBLISH },
    { ngx_string("subscribe"), NGX_IOT_TOPIC_SUBSCRIBE },
    { ngx_string("all"), NGX_IOT_TOPIC_PUBLISH|NGX_IOT_TOPIC_SUBSCRIBE },
    { { 0, NULL }, 0 }
};

static const ngx_iot_topic_word_t  ngx_iot_topic_whos[] = {
    { ngx_string("device"), NGX_IOT_TOPIC_DEVICE },
    { ngx_string("customer"), NGX_IOT_TOPIC_CUSTOMER },
    { ngx_string("tenant"), NGX_IOT_TOPIC_TENANT },
    { ngx_string("any"), NGX_IOT_TOPIC_DEVICE|NGX_IOT_TOPIC_CUSTOMER
                         |NGX_IOT_TOPIC_TENANT },
    { { 0, NULL }, 0 }
};


ngx_int_t
ngx_iot_topic_rule_parse(const ngx_str_t *line, ngx_iot_topic_rule_t *rule)
{
    u_char      *p, *last;
    ngx_uint_t   deny, access, who;

    p = line->data;
    last = p + line->len;

    if (ngx_iot_topic_rule_word(&p, last, ngx_iot_topic_effects, &deny)
        != NGX_OK
        || ngx_iot_topic_rule_word(&p, last, ngx_iot_topic_accesses, &access)
           != NGX_OK
        || ngx_iot_topic_rule_word(&p, last, ngx_iot_topic_whos, &who)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rule->deny = deny;
    rule->access = access;
    rule->who = who;
    rule->filter.data = p;
    rule->filter.len = last - p;

    if (rule->filter.len > NGX_IOT_TOPIC_RULE_MAX) {
        return NGX_ERROR;
    }

    return ngx_iot_topic_filter_check(&rule->filter, 0);
}


/* a word of the list and the blank behind it */

static ngx_int_t
ngx_iot_topic_rule_word(u_char **pos, u_char *last,
    const ngx_iot_topic_word_t *words, ngx_uint_t *value)
{
    u_char                      *p;
    const ngx_iot_topic_word_t  *w;

    p = *pos;

    for (w = words; w->name.len; w++) {

        if ((size_t) (last - p) > w->name.len
            && ngx_memcmp(p, w->name.data, w->name.len) == 0
            && p[w->name.len] == ' ')
        {
            *value = w->value;
            *pos = p + w->name.len + 1;

            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_iot_topic_rules_ask(const ngx_iot_topic_rule_t *rules, ngx_uint_t n,
    ngx_uint_t who, ngx_uint_t access, const ngx_iot_topic_places_t *places,
    const ngx_str_t *topic)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if ((rules[i].who & who)
            && (rules[i].access & access)
            && ngx_iot_topic_rule_matches(&rules[i], places, topic))
        {
            return rules[i].deny ? NGX_ABORT : NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_iot_topic_rule_matches(const ngx_iot_topic_rule_t *rule,
    const ngx_iot_topic_places_t *places, const ngx_str_t *topic)
{
    u_char     buf[NGX_IOT_TOPIC_RULE_MAX];
    ngx_str_t  filter;

    if (memchr(rule->filter.data, '%', rule->filter.len) == NULL) {
        return ngx_iot_topic_covers(&rule->filter, topic);
    }

    filter.data = NULL;

    if (ngx_iot_topic_expand(&rule->filter, places, &filter) != NGX_OK
        || filter.len > sizeof(buf))
    {
        /* a place without a value, or one that would reach further */
        return rule->deny;
    }

    filter.data = buf;

    if (ngx_iot_topic_expand(&rule->filter, places, &filter) != NGX_OK) {
        return rule->deny;
    }

    return ngx_iot_topic_covers(&filter, topic);
}
