
/*
 * Copyright (C) the ngx_iot authors
 */


#include "mqtt_lib.h"
#include "ngx_iot_mqtt_image.h"


static const ngx_uint_t  shapes[] = { NGX_IOT_MQTT_V311, NGX_IOT_MQTT_V5 };
static const ngx_uint_t  versions[] = { NGX_IOT_MQTT_V31, NGX_IOT_MQTT_V311,
                                        NGX_IOT_MQTT_V5 };


static ngx_iot_mqtt_limits_t  limits;


static void
make_image(ngx_iot_mqtt_image_t *image, const ngx_iot_mqtt_packet_t *publish,
    ngx_uint_t shape)
{
    size_t     size;
    u_char    *p;

    size = ngx_iot_mqtt_image_size(publish, shape);
    assert_true(size > 0);

    p = malloc(size);
    assert_non_null(p);

    ngx_iot_mqtt_image_write(image, p, publish, shape);

    assert_ptr_equal(image->start, p);
    assert_ptr_equal(image->end, p + size);
}


/* the pieces, put together, are the copy; both have the announced size */

static ngx_str_t
deliver(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery, ngx_uint_t *npieces)
{
    size_t      size, done;
    u_char     *end, *scratch;
    ngx_str_t   copy, pieces[NGX_IOT_MQTT_PIECES];
    ngx_uint_t  i;

    size = ngx_iot_mqtt_delivery_size(image, delivery);
    assert_true(size > 0);

    copy.len = size;
    copy.data = malloc(size);
    scratch = malloc(ngx_iot_mqtt_scratch_size(delivery->nsubscription_ids));

    assert_non_null(copy.data);
    assert_non_null(scratch);

    end = ngx_iot_mqtt_delivery_copy(copy.data, image, delivery);
    assert_ptr_equal(end, copy.data + size);

    *npieces = ngx_iot_mqtt_delivery_cut(image, delivery, scratch, pieces);
    assert_in_range(*npieces, 1, NGX_IOT_MQTT_PIECES);

    done = 0;

    for (i = 0; i < *npieces; i++) {
        assert_in_range(pieces[i].len, 1, size - done);
        assert_memory_equal(pieces[i].data, copy.data + done, pieces[i].len);
        done += pieces[i].len;
    }

    assert_int_equal(done, size);

    free(scratch);

    return copy;
}


static void
check_delivery(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_packet_t *publish,
    const ngx_iot_mqtt_delivery_t *delivery)
{
    u_char                 *cursor;
    uint32_t                id;
    ngx_str_t               bytes;
    ngx_uint_t              npieces, i, modern;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   got;
    ngx_iot_mqtt_parser_t   mp;

    bytes = deliver(image, delivery, &npieces);

    ngx_iot_mqtt_parser(&mp, &limits);
    mp.version = delivery->version;
    mp.from_server = 1;

    assert_int_equal(ngx_iot_mqtt_frame(&mp, bytes.data,
                                        bytes.data + bytes.len, &frame),
                     NGX_OK);
    assert_ptr_equal(frame.end, bytes.data + bytes.len);
    assert_int_equal(ngx_iot_mqtt_parse(&mp, &frame, &got), NGX_OK);

    modern = (delivery->version == NGX_IOT_MQTT_V5);

    assert_int_equal(got.qos, delivery->qos);
    assert_int_equal(got.retain, delivery->retain);
    assert_int_equal(got.dup, delivery->qos ? delivery->dup : 0);
    assert_int_equal(got.packet_id, delivery->qos ? delivery->packet_id : 0);

    assert_int_equal(got.payload.len, publish->payload.len);

    if (got.payload.len) {
        assert_memory_equal(got.payload.data, publish->payload.data,
                            got.payload.len);
    }

    if (modern && delivery->known_alias && delivery->topic_alias) {
        assert_int_equal(got.topic.len, 0);

    } else {
        assert_int_equal(got.topic.len, publish->topic.len);
        assert_memory_equal(got.topic.data, publish->topic.data,
                            got.topic.len);
    }

    if (modern) {
        assert_int_equal(got.props.topic_alias, delivery->topic_alias);
        assert_int_equal(got.props.nsubscription_ids,
                         delivery->nsubscription_ids);
        assert_int_equal(got.props.message_expiry,
                         delivery->has_expiry ? delivery->expiry
                                              : 0xffffffff);

        cursor = NULL;

        for (i = 0; i < delivery->nsubscription_ids; i++) {
            (void) ngx_iot_mqtt_props_next_subscription_id(&got.props,
                                                           &cursor, &id);
            assert_int_equal(id, delivery->subscription_ids[i]);
        }

        if (image->version == NGX_IOT_MQTT_V5) {
            assert_int_equal(got.props.nuser, publish->props.nuser);
            assert_int_equal(got.props.content_type.len,
                             publish->props.content_type.len);
        }
    }

    free(bytes.data);
}


/* every combination of what may differ between subscribers */

static void
check_all(const ngx_iot_mqtt_packet_t *publish)
{
    uint32_t                  ids[] = { 1, 268435455, 128 };
    ngx_uint_t                s, v, bits;
    ngx_iot_mqtt_image_t      image;
    ngx_iot_mqtt_delivery_t   d;

    for (s = 0; s < 2; s++) {
        make_image(&image, publish, shapes[s]);

        for (v = 0; v < 3; v++) {
            for (bits = 0; bits < 3 * 128; bits++) {
                memset(&d, 0, sizeof(d));

                d.version = versions[v];
                d.qos = bits / 128;
                d.packet_id = 0xfffe;
                d.retain = bits & 1;
                d.dup = bits >> 1 & 1;
                d.has_expiry = bits >> 2 & 1;
                d.expiry = 0x01020304;
                d.topic_alias = (bits >> 3 & 1) ? 0xabcd : 0;
                d.known_alias = bits >> 4 & 1;
                d.subscription_ids = ids;
                d.nsubscription_ids = bits >> 5 & 3;

                check_delivery(&image, publish, &d);
            }
        }

        free(image.start);
    }
}


static void
test_received(void **state)
{
    ngx_str_t               bytes;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   publish;
    ngx_iot_mqtt_parser_t   mp;

    bytes = lib_bytes("3d *0003'a/b'0007[260001'k'0001'v' 02000000ff 23abcd"
                      " 030004'text' 260001'k'0001'w']'payload'");

    ngx_iot_mqtt_parser(&mp, &limits);
    mp.version = NGX_IOT_MQTT_V5;

    assert_int_equal(ngx_iot_mqtt_frame(&mp, bytes.data,
                                        bytes.data + bytes.len, &frame),
                     NGX_OK);
    assert_int_equal(ngx_iot_mqtt_parse(&mp, &frame, &publish), NGX_OK);

    check_all(&publish);

    free(bytes.data);
}


static void
test_made_here(void **state)
{
    u_char                  *big;
    ngx_iot_mqtt_packet_t    publish;

    memset(&publish, 0, sizeof(publish));
    ngx_iot_mqtt_props_init(&publish.props);

    publish.type = NGX_IOT_MQTT_PUBLISH;
    publish.topic = lib_str("$SYS/broker/uptime");

    check_all(&publish);

    /* around the steps of the remaining length */

    big = calloc(1, 16384);
    assert_non_null(big);

    publish.payload.data = big;

    for (publish.payload.len = 90; publish.payload.len < 112;
         publish.payload.len += 3)
    {
        check_all(&publish);
    }

    publish.payload.len = 16355;

    check_all(&publish);

    free(big);
}


static void
test_one_piece(void **state)
{
    ngx_str_t                 bytes;
    ngx_uint_t                n;
    ngx_iot_mqtt_image_t      image;
    ngx_iot_mqtt_packet_t     publish;
    ngx_iot_mqtt_delivery_t   d;

    memset(&publish, 0, sizeof(publish));
    memset(&d, 0, sizeof(d));
    ngx_iot_mqtt_props_init(&publish.props);

    publish.topic = lib_str("a");
    publish.payload = lib_str("x");

    make_image(&image, &publish, NGX_IOT_MQTT_V311);

    d.version = NGX_IOT_MQTT_V31;
    bytes = deliver(&image, &d, &n);
    assert_int_equal(n, 1);
    assert_int_equal(bytes.len, 6);
    assert_memory_equal(bytes.data, "\x30\4\0\1ax", 6);
    free(bytes.data);

    d.version = NGX_IOT_MQTT_V5;
    bytes = deliver(&image, &d, &n);
    assert_int_equal(n, 4);
    assert_memory_equal(bytes.data, "\x30\5\0\1a\0x", 7);
    free(bytes.data);

    d.retain = 1;
    d.version = NGX_IOT_MQTT_V311;
    bytes = deliver(&image, &d, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes.data, "\x31\4\0\1ax", 6);
    free(bytes.data);

    free(image.start);
}


static void
test_refused(void **state)
{
    uint32_t                  id;
    ngx_str_t                 pieces[NGX_IOT_MQTT_PIECES];
    u_char                    scratch[ngx_iot_mqtt_scratch_size(1)], *big;
    ngx_iot_mqtt_image_t      image;
    ngx_iot_mqtt_packet_t     publish;
    ngx_iot_mqtt_delivery_t   d;

    memset(&publish, 0, sizeof(publish));
    memset(&d, 0, sizeof(d));
    ngx_iot_mqtt_props_init(&publish.props);

    assert_int_equal(ngx_iot_mqtt_image_size(&publish, 5), 0);

    big = calloc(1, 65536);
    assert_non_null(big);

    publish.topic.data = big;
    publish.topic.len = 65536;
    assert_int_equal(ngx_iot_mqtt_image_size(&publish, 5), 0);

    publish.topic.len = 1;
    publish.payload.data = big;
    publish.payload.len = NGX_IOT_MQTT_VARINT_MAX - 3;
    assert_int_equal(ngx_iot_mqtt_image_size(&publish, 5), 0);
    assert_int_equal(ngx_iot_mqtt_image_size(&publish, 4),
                     NGX_IOT_MQTT_VARINT_MAX + 5);

    publish.payload.len = 0;
    publish.props.content_type.len = 65536;
    ngx_iot_mqtt_props_set(&publish.props, NGX_IOT_MQTT_PROP_CONTENT_TYPE);
    assert_int_equal(ngx_iot_mqtt_image_size(&publish, 5), 0);
    publish.props.present = 0;

    publish.topic = lib_str("a");
    make_image(&image, &publish, NGX_IOT_MQTT_V5);

    id = 268435456;
    d.version = NGX_IOT_MQTT_V5;
    d.subscription_ids = &id;
    d.nsubscription_ids = 1;

    assert_int_equal(ngx_iot_mqtt_delivery_size(&image, &d), 0);
    assert_int_equal(ngx_iot_mqtt_delivery_cut(&image, &d, scratch, pieces),
                     0);
    assert_ptr_equal(ngx_iot_mqtt_delivery_copy(scratch, &image, &d),
                     scratch);

    free(image.start);
    free(big);
}


static int
setup(void **state)
{
    ngx_iot_mqtt_limits(&limits);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_made_here),
        cmocka_unit_test(test_one_piece),
        cmocka_unit_test(test_refused)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, setup, NULL);
}
