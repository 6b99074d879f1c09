
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"


#define NGX_IOT_NEXUS_TEST_SECONDS  127
#define NGX_IOT_NEXUS_SHORT_TEST    10
#define NGX_IOT_NEXUS_HOUR_TEST     60
#define NGX_IOT_NEXUS_TESTS_MAX     5


static uint32_t ngx_iot_nexus_window_bits(const ngx_iot_nexus_window_t *w);
static void ngx_iot_nexus_window_move(ngx_iot_nexus_window_t *w, uint32_t id);
static ngx_iot_nexus_feedback_e ngx_iot_nexus_device_apply(
    ngx_iot_nexus_device_t *d, const ngx_iot_nexus_message_t *m);
static ngx_iot_nexus_feedback_e ngx_iot_nexus_device_test(
    ngx_iot_nexus_device_t *d, const ngx_iot_nexus_message_t *m);
static void ngx_iot_nexus_device_wipe(ngx_iot_nexus_device_t *d,
    int64_t target);


void
ngx_iot_nexus_window_init(ngx_iot_nexus_window_t *w)
{
    w->center = NGX_IOT_NEXUS_CENTER;
    w->used = 0;
    w->below = NGX_IOT_NEXUS_BELOW;
    w->above = NGX_IOT_NEXUS_ABOVE;
}


void
ngx_iot_nexus_window_init_channel(ngx_iot_nexus_window_t *w)
{
    w->center = NGX_IOT_NEXUS_CHANNEL_CENTER;
    w->used = 0;
    w->below = NGX_IOT_NEXUS_CHANNEL_BELOW;
    w->above = NGX_IOT_NEXUS_CHANNEL_ABOVE;
}


ngx_iot_nexus_id_e
ngx_iot_nexus_window_state(const ngx_iot_nexus_window_t *w, int64_t id)
{
    int64_t  center;

    center = w->center;

    if (id < 0
        || id > UINT32_MAX
        || id < center - (int64_t) w->below
        || id > center + (int64_t) w->above)
    {
        return NGX_IOT_NEXUS_ID_OUTSIDE;
    }

    if (id > center || center - id > 31) {
        return NGX_IOT_NEXUS_ID_FRESH;
    }

    return ((w->used >> (center - id)) & 1) ? NGX_IOT_NEXUS_ID_USED
                                            : NGX_IOT_NEXUS_ID_FRESH;
}


void
ngx_iot_nexus_window_mark(ngx_iot_nexus_window_t *w, uint32_t id)
{
    if (id > w->center) {
        ngx_iot_nexus_window_move(w, id);
    }

    if (w->center - id < 32) {
        w->used |= (uint32_t) 1 << (w->center - id);
        w->used &= ngx_iot_nexus_window_bits(w);
    }
}


void
ngx_iot_nexus_window_mark_to(ngx_iot_nexus_window_t *w, uint32_t id)
{
    if (id > w->center) {
        ngx_iot_nexus_window_move(w, id);
    }

    if (w->center - id < 32) {
        w->used |= UINT32_MAX << (w->center - id);
        w->used &= ngx_iot_nexus_window_bits(w);
    }
}


static uint32_t
ngx_iot_nexus_window_bits(const ngx_iot_nexus_window_t *w)
{
    return (w->below >= 31) ? UINT32_MAX
                            : ((uint32_t) 1 << (w->below + 1)) - 1;
}


static void
ngx_iot_nexus_window_move(ngx_iot_nexus_window_t *w, uint32_t id)
{
    uint32_t  step;

    step = id - w->center;

    w->used = (step < 32) ? w->used << step : 0;
    w->center = id;
}


int64_t
ngx_iot_nexus_window_id(uint32_t center, ngx_uint_t field)
{
    int64_t  first, id;

    first = (int64_t) center - NGX_IOT_NEXUS_BELOW;

    if (first < 0 || field > 63) {
        return -1;
    }

    id = first + (((int64_t) field - first) & 63);

    return (id > NGX_IOT_NEXUS_ID_MAX) ? -1 : id;
}


void
ngx_iot_nexus_device_init(ngx_iot_nexus_device_t *d)
{
    ngx_memzero(d, sizeof(ngx_iot_nexus_device_t));
    ngx_iot_nexus_window_init(&d->window);
}


void
ngx_iot_nexus_device_elapse(ngx_iot_nexus_device_t *d, uint64_t seconds)
{
    if (d->unlocked) {
        return;
    }

    d->credit -= ngx_min(d->credit, seconds);
}


ngx_iot_nexus_feedback_e
ngx_iot_nexus_device_enter(ngx_iot_nexus_device_t *d, const ngx_str_t *secret,
    const u_char *p, size_t len)
{
    ngx_iot_nexus_message_t  m;

    if (ngx_iot_nexus_full_read(p, len, secret, d->window.center, &m)
        != NGX_IOT_KEYCODE_OK)
    {
        return NGX_IOT_NEXUS_INVALID;
    }

    switch (m.type) {

    case NGX_IOT_NEXUS_ALLOW_TEST:
    case NGX_IOT_NEXUS_OQC_TEST:
        return ngx_iot_nexus_device_test(d, &m);

    case NGX_IOT_NEXUS_DISPLAY_PAYG_ID:
        return NGX_IOT_NEXUS_DISPLAY_ID;

    case NGX_IOT_NEXUS_DEVICE_ID:
        return (d->id != 0 && d->id == m.value) ? NGX_IOT_NEXUS_APPLIED
                                                : NGX_IOT_NEXUS_INVALID;

    case NGX_IOT_NEXUS_PASSTHROUGH:
        return NGX_IOT_NEXUS_PASSED;

    default:
        return ngx_iot_nexus_device_apply(d, &m);
    }
}


static ngx_iot_nexus_feedback_e
ngx_iot_nexus_device_apply(ngx_iot_nexus_device_t *d,
    const ngx_iot_nexus_message_t *m)
{
    if (ngx_iot_nexus_window_state(&d->window, m->message_id)
        != NGX_IOT_NEXUS_ID_FRESH)
    {
        return NGX_IOT_NEXUS_DUPLICATE;
    }

    if (m->type == NGX_IOT_NEXUS_ADD_CREDIT) {

        ngx_iot_nexus_window_mark(&d->window, (uint32_t) m->message_id);

        if (d->unlocked) {
            return NGX_IOT_NEXUS_DUPLICATE;
        }

        d->credit += (uint64_t) m->value * 3600;

        return NGX_IOT_NEXUS_APPLIED;
    }

    ngx_iot_nexus_window_mark_to(&d->window, (uint32_t) m->message_id);

    switch (m->type) {

    case NGX_IOT_NEXUS_SET_CREDIT:
        d->credit = (uint64_t) m->value * 3600;
        d->unlocked = 0;
        break;

    case NGX_IOT_NEXUS_UNLOCK:
        d->unlocked = 1;
        break;

    default:
        ngx_iot_nexus_device_wipe(d, m->value);
        break;
    }

    return NGX_IOT_NEXUS_APPLIED;
}


static void
ngx_iot_nexus_device_wipe(ngx_iot_nexus_device_t *d, int64_t target)
{
    switch (target) {

    case 0:
        d->credit = 0;
        d->unlocked = 0;
        break;

    case 1:
        d->credit = 0;
        d->unlocked = 0;
        ngx_iot_nexus_window_init(&d->window);
        break;

    case 2:
        ngx_iot_nexus_window_init(&d->window);
        break;

    default:
        d->restricted = 0;
        break;
    }
}


static ngx_iot_nexus_feedback_e
ngx_iot_nexus_device_test(ngx_iot_nexus_device_t *d,
    const ngx_iot_nexus_message_t *m)
{
    ngx_uint_t  *tests;

    if (d->unlocked) {
        return NGX_IOT_NEXUS_DUPLICATE;
    }

    if (m->type == NGX_IOT_NEXUS_ALLOW_TEST) {

        if (d->credit > 0) {
            return NGX_IOT_NEXUS_DUPLICATE;
        }

        d->credit = NGX_IOT_NEXUS_TEST_SECONDS;

        return NGX_IOT_NEXUS_APPLIED;
    }

    if (d->credit > 0 && m->value != NGX_IOT_NEXUS_HOUR_TEST) {
        return NGX_IOT_NEXUS_DUPLICATE;
    }

    tests = (m->value <= NGX_IOT_NEXUS_SHORT_TEST) ? &d->short_tests
                                                   : &d->long_tests;

    if (*tests >= NGX_IOT_NEXUS_TESTS_MAX) {
        return NGX_IOT_NEXUS_DUPLICATE;
    }

    (*tests)++;
    d->credit += (uint64_t) m->value * 60;

    return NGX_IOT_NEXUS_APPLIED;
}
