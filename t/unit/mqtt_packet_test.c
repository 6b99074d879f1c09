
/*
 * Copyright (C) the ngx_iot authors
 */


#include "mqtt_lib.h"
#include "mqtt_cases.h"


static ngx_iot_mqtt_limits_t  limits;


static int
setup(void **state)
{
    ngx_iot_mqtt_limits(&limits);

    limits.max_packet = 100000;
    limits.max_client_id = 32;
    limits.max_topic = 16;
    limits.depth = 3;
    limits.topic_alias_maximum = 10;

    return 0;
}


static void
start(ngx_iot_mqtt_parser_t *mp, ngx_uint_t version, ngx_uint_t server)
{
    ngx_iot_mqtt_parser(mp, &limits);

    mp->version = version;
    mp->from_server = server;

    if (server && version == 0) {
        mp->version = NGX_IOT_MQTT_V5;
    }
}


/* as a connection does it: what has come so far, from the start */

static ngx_int_t
feed(ngx_iot_mqtt_parser_t *mp, const ngx_str_t *bytes, size_t *used,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *copy)
{
    size_t                n;
    ngx_int_t             rc;
    ngx_iot_mqtt_frame_t  frame;

    for (n = 0; n <= bytes->len; n++) {
        *copy = lib_copy(bytes->data, n);

        rc = ngx_iot_mqtt_frame(mp, copy->data, copy->data + n, &frame);

        if (rc == NGX_OK) {
            assert_ptr_equal(frame.end, copy->data + n);
            rc = ngx_iot_mqtt_parse(mp, &frame, packet);
        }

        if (rc != NGX_AGAIN) {
            *used = n;
            return rc;
        }

        if (frame.need) {
            assert_int_equal(frame.need, bytes->len);
            assert_true(frame.need > n);
        }

        free(copy->data);
    }

    fail_msg("still waiting after the last byte");

    return NGX_AGAIN;
}


static void
test_bad(void **state)
{
    size_t                  i, used;
    ngx_int_t               rc;
    ngx_str_t               bytes, copy;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   packet;
    ngx_iot_mqtt_parser_t   mp;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bytes = lib_bytes(bad[i].bytes);

        start(&mp, bad[i].version, bad[i].server);

        rc = ngx_iot_mqtt_frame(&mp, bytes.data, bytes.data + bytes.len,
                                &frame);

        if (rc == NGX_OK) {
            rc = ngx_iot_mqtt_parse(&mp, &frame, &packet);
        }

        if (rc != (ngx_int_t) bad[i].reason) {
            fail_msg("%s: 0x%lx instead of 0x%lx", bad[i].name,
                     (unsigned long) rc, (unsigned long) bad[i].reason);
        }

        assert_int_equal(mp.reason, bad[i].reason);
        assert_non_null(mp.detail);

        /* an error is for good */

        assert_int_equal(ngx_iot_mqtt_frame(&mp, bytes.data,
                                            bytes.data + bytes.len, &frame),
                         bad[i].reason);

        start(&mp, bad[i].version, bad[i].server);

        rc = feed(&mp, &bytes, &used, &packet, &copy);

        if (rc != (ngx_int_t) bad[i].reason
            || used != (bad[i].found ? bad[i].found : bytes.len))
        {
            fail_msg("%s: 0x%lx after %lu bytes", bad[i].name,
                     (unsigned long) rc, (unsigned long) used);
        }

        free(copy.data);
        free(bytes.data);
    }
}


static void
check_built(const good_t *c, const ngx_str_t *bytes,
    const ngx_iot_mqtt_packet_t *packet)
{
    u_char  *end;
    size_t   size;
    ngx_str_t  built;

    size = ngx_iot_mqtt_build_size(packet);

    if (size != bytes->len) {
        fail_msg("%s: size %lu", c->bytes, (unsigned long) size);
    }

    built = lib_copy(bytes->data, size);
    memset(built.data, 0xa5, size);

    end = ngx_iot_mqtt_build(built.data, packet);

    assert_ptr_equal(end, built.data + size);

    if (memcmp(built.data, bytes->data, size) != 0) {
        fail_msg("%s: built otherwise", c->bytes);
    }

    free(built.data);
}


static void
test_round_trip(void **state)
{
    size_t                  i, used;
    ngx_int_t               rc;
    ngx_str_t               bytes, copy;
    ngx_iot_mqtt_packet_t   packet;
    ngx_iot_mqtt_parser_t   mp;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        bytes = lib_bytes(good[i].bytes);

        start(&mp, good[i].version, good[i].server);

        rc = feed(&mp, &bytes, &used, &packet, &copy);

        if (rc != NGX_OK) {
            fail_msg("%s: 0x%lx, %s", good[i].bytes, (unsigned long) rc,
                     mp.detail);
        }

        assert_int_equal(used, bytes.len);

        if (good[i].version) {
            assert_int_equal(packet.version, good[i].version);
        }

        check_built(&good[i], &bytes, &packet);

        free(copy.data);
        free(bytes.data);
    }
}


/*
 * Every beginning of every body, with a length that fits it, is either wrong
 * or the packet that a builder makes again.
 */

static void
test_cut_bodies(void **state)
{
    u_char                 *p;
    size_t                  i, n, body, whole, cut;
    ngx_int_t               rc;
    ngx_str_t               bytes, copy;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   packet;
    ngx_iot_mqtt_parser_t   mp;

    cut = 0;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        bytes = lib_bytes(good[i].bytes);

        whole = bytes.len > 129 ? 3 : 2;
        body = bytes.len - whole;

        for (n = 0; n < body; n++) {
            copy = lib_copy(bytes.data,
                            1 + ngx_iot_mqtt_varint_size(n) + n);
            p = ngx_iot_mqtt_varint_write(copy.data + 1, n);
            memcpy(p, bytes.data + whole, n);

            start(&mp, good[i].version, good[i].server);

            rc = ngx_iot_mqtt_frame(&mp, copy.data, copy.data + copy.len,
                                    &frame);

            if (rc == NGX_OK) {
                rc = ngx_iot_mqtt_parse(&mp, &frame, &packet);
            }

            if (rc == NGX_OK) {

                /* an empty reason 0 has a shorter form */

                assert_in_range(ngx_iot_mqtt_build_size(&packet), 2,
                                copy.len);

            } else {
                assert_in_range(rc, 0x81, 0x82);
                cut++;
            }

            free(copy.data);
        }

        free(bytes.data);
    }

    assert_true(cut > 500);
}


static void
test_length_only(void **state)
{
    u_char                  big[5] = { 0x82, 0xff, 0xff, 0xff, 0x7f };
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_limits_t   wide;
    ngx_iot_mqtt_parser_t   mp;

    ngx_iot_mqtt_limits(&wide);
    ngx_iot_mqtt_parser(&mp, &wide);

    mp.version = NGX_IOT_MQTT_V311;

    assert_int_equal(ngx_iot_mqtt_frame(&mp, big, big + 4, &frame),
                     NGX_AGAIN);
    assert_int_equal(frame.need, 0);

    assert_int_equal(ngx_iot_mqtt_frame(&mp, big, big + 5, &frame),
                     NGX_AGAIN);
    assert_int_equal(frame.need, 268435460);

    wide.max_packet = 268435459;

    assert_int_equal(ngx_iot_mqtt_frame(&mp, big, big + 5, &frame),
                     NGX_IOT_MQTT_TOO_LARGE);

    /* the limit counts the fixed header */

    ngx_iot_mqtt_parser(&mp, &wide);
    mp.version = NGX_IOT_MQTT_V311;
    wide.max_packet = 10;
    big[1] = 8;

    assert_int_equal(ngx_iot_mqtt_frame(&mp, big, big + 2, &frame),
                     NGX_AGAIN);
    assert_int_equal(frame.need, 10);

    big[1] = 9;

    assert_int_equal(ngx_iot_mqtt_frame(&mp, big, big + 2, &frame),
                     NGX_IOT_MQTT_TOO_LARGE);
}


/* parses bytes that live until the test ends */

static ngx_int_t
take(ngx_iot_mqtt_parser_t *mp, const char *text,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t             rc;
    ngx_str_t             bytes;
    static u_char         buf[512];
    ngx_iot_mqtt_frame_t  frame;

    bytes = lib_bytes(text);

    assert_true(bytes.len <= sizeof(buf));

    memcpy(buf, bytes.data, bytes.len);
    free(bytes.data);

    rc = ngx_iot_mqtt_frame(mp, buf, buf + bytes.len, &frame);

    return (rc == NGX_OK) ? ngx_iot_mqtt_parse(mp, &frame, packet) : rc;
}


static void
test_connect_fields(void **state)
{
    ngx_iot_mqtt_packet_t    packet;
    ngx_iot_mqtt_parser_t    mp;
    ngx_iot_mqtt_connect_t  *connect;

    start(&mp, 0, 0);

    assert_int_equal(take(&mp, "10 *0004'MQTT'05ee0102"
                          "[11ffffffff]0003'cid'[1800000007]"
                          " 0003'w/t'0003'bye'0004'user'0004'pass'", &packet),
                     NGX_OK);

    connect = &packet.connect;

    assert_int_equal(packet.type, NGX_IOT_MQTT_CONNECT);
    assert_int_equal(packet.version, NGX_IOT_MQTT_V5);
    assert_int_equal(mp.version, NGX_IOT_MQTT_V5);
    assert_int_equal(connect->keep_alive, 0x0102);
    assert_int_equal(connect->clean, 1);
    assert_int_equal(connect->bridge, 0);
    assert_int_equal(connect->will, 1);
    assert_int_equal(connect->will_qos, 1);
    assert_int_equal(connect->will_retain, 1);
    assert_int_equal(connect->has_user, 1);
    assert_int_equal(connect->has_password, 1);
    lib_assert_str(connect->client_id, "cid");
    lib_assert_str(connect->will_topic, "w/t");
    lib_assert_str(connect->will_payload, "bye");
    lib_assert_str(connect->user, "user");
    lib_assert_str(connect->password, "pass");
    assert_int_equal(packet.props.session_expiry, 0xffffffff);
    assert_int_equal(packet.props.receive_maximum, 65535);
    assert_int_equal(connect->will_props.will_delay, 7);

    /* 3.1: the remaining length has precedence over the flags */

    start(&mp, 0, 0);

    assert_int_equal(take(&mp, "10 *0006'MQIsdp'83c2000a0001'c'", &packet),
                     NGX_OK);
    assert_int_equal(connect->has_user, 0);
    assert_int_equal(connect->has_password, 0);
    assert_int_equal(connect->bridge, 1);

    start(&mp, 0, 0);

    assert_int_equal(take(&mp, "10 *0006'MQIsdp'03c2000a0001'c'0001'u'",
                          &packet),
                     NGX_OK);
    assert_int_equal(connect->has_user, 1);
    assert_int_equal(connect->has_password, 0);

    /* and its unused bits are not looked at */

    start(&mp, 0, 0);

    assert_int_equal(take(&mp, "10 *0006'MQIsdp'033b000a0001'c'", &packet),
                     NGX_OK);
    assert_int_equal(connect->will, 0);
    assert_int_equal(connect->will_qos, 0);
    assert_int_equal(connect->will_retain, 0);
}


/* a frame that ngx_iot_mqtt_frame() would not have let through */

static void
test_foreign_frame(void **state)
{
    u_char                  byte;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   packet;
    ngx_iot_mqtt_parser_t   mp;

    memset(&frame, 0, sizeof(frame));
    frame.start = &byte;
    frame.body = &byte;
    frame.end = &byte;

    start(&mp, 5, 0);
    assert_int_equal(ngx_iot_mqtt_parse(&mp, &frame, &packet),
                     NGX_IOT_MQTT_PROTOCOL_ERROR);

    frame.type = NGX_IOT_MQTT_PINGREQ;
    assert_int_equal(ngx_iot_mqtt_parse(&mp, &frame, &packet),
                     NGX_IOT_MQTT_PROTOCOL_ERROR);

    start(&mp, 5, 0);
    assert_int_equal(ngx_iot_mqtt_parse(&mp, &frame, &packet), NGX_OK);

    frame.type = 16;
    assert_int_equal(ngx_iot_mqtt_parse(&mp, &frame, &packet),
                     NGX_IOT_MQTT_PROTOCOL_ERROR);
}


static void
test_v31_flags(void **state)
{
    ngx_iot_mqtt_packet_t  packet;
    ngx_iot_mqtt_parser_t  mp;

    start(&mp, 3, 0);

    assert_int_equal(take(&mp, "6a020001", &packet), NGX_OK);
    assert_int_equal(take(&mp, "8a *00010001'a'00", &packet), NGX_OK);
    assert_int_equal(take(&mp, "aa *00010001'a'", &packet), NGX_OK);
}


static void
test_publish_fields(void **state)
{
    ngx_iot_mqtt_packet_t  packet;
    ngx_iot_mqtt_parser_t  mp;

    start(&mp, 5, 0);

    assert_int_equal(take(&mp, "3d *0003'a/b'1234 05 0200000009'data'",
                          &packet),
                     NGX_OK);
    assert_int_equal(packet.dup, 1);
    assert_int_equal(packet.qos, 2);
    assert_int_equal(packet.retain, 1);
    assert_int_equal(packet.packet_id, 0x1234);
    assert_int_equal(packet.props.message_expiry, 9);
    lib_assert_str(packet.topic, "a/b");
    lib_assert_str(packet.payload, "data");

    assert_int_equal(take(&mp, "30 *0000 03 23000a", &packet), NGX_OK);
    assert_int_equal(packet.topic.len, 0);
    assert_int_equal(packet.payload.len, 0);
    assert_int_equal(packet.packet_id, 0);
    assert_int_equal(packet.props.topic_alias, 10);
    assert_int_equal(packet.props.message_expiry, 0xffffffff);
}


static void
test_subscriptions(void **state)
{
    u_char                       *cursor;
    ngx_iot_mqtt_packet_t         packet;
    ngx_iot_mqtt_parser_t         mp;
    ngx_iot_mqtt_subscription_t   sub;

    start(&mp, 5, 0);

    assert_int_equal(take(&mp, "82 *0009 02 0b05 0003'a/+'2d"
                          " 000a'$share/g/#'02", &packet),
                     NGX_OK);
    assert_int_equal(packet.packet_id, 9);
    assert_int_equal(packet.count, 2);
    assert_int_equal(packet.props.subscription_id, 5);

    cursor = NULL;

    assert_int_equal(ngx_iot_mqtt_next_subscription(&packet, &cursor, &sub),
                     NGX_OK);
    lib_assert_str(sub.filter, "a/+");
    assert_int_equal(sub.options & NGX_IOT_MQTT_OPT_QOS, 1);
    assert_true(sub.options & NGX_IOT_MQTT_OPT_NO_LOCAL);
    assert_true(sub.options & NGX_IOT_MQTT_OPT_RETAIN_AS_PUBLISHED);
    assert_int_equal(ngx_iot_mqtt_opt_retain_handling(sub.options), 2);

    assert_int_equal(ngx_iot_mqtt_next_subscription(&packet, &cursor, &sub),
                     NGX_OK);
    lib_assert_str(sub.filter, "$share/g/#");
    assert_int_equal(sub.options, 2);

    assert_int_equal(ngx_iot_mqtt_next_subscription(&packet, &cursor, &sub),
                     NGX_DONE);

    assert_int_equal(take(&mp, "a2 *0009 00 0001'x'0001'y'", &packet), NGX_OK);
    assert_int_equal(packet.count, 2);

    cursor = NULL;

    (void) ngx_iot_mqtt_next_subscription(&packet, &cursor, &sub);
    assert_int_equal(ngx_iot_mqtt_next_subscription(&packet, &cursor, &sub),
                     NGX_OK);
    lib_assert_str(sub.filter, "y");
    assert_int_equal(ngx_iot_mqtt_next_subscription(&packet, &cursor, &sub),
                     NGX_DONE);
}


static void
test_limits(void **state)
{
    ngx_iot_mqtt_limits_t  narrow;
    ngx_iot_mqtt_packet_t  packet;
    ngx_iot_mqtt_parser_t  mp;

    ngx_iot_mqtt_limits(&narrow);

    narrow.max_qos = 1;
    narrow.retain = 0;
    narrow.max_connect = 40;
    narrow.versions = NGX_IOT_MQTT_ACCEPT_V5;

    ngx_iot_mqtt_parser(&mp, &narrow);
    mp.version = NGX_IOT_MQTT_V5;
    assert_int_equal(take(&mp, "34 *0001'a'000100", &packet),
                     NGX_IOT_MQTT_NO_QOS);

    ngx_iot_mqtt_parser(&mp, &narrow);
    mp.version = NGX_IOT_MQTT_V5;
    assert_int_equal(take(&mp, "33 *0001'a'000100", &packet),
                     NGX_IOT_MQTT_NO_RETAIN);

    ngx_iot_mqtt_parser(&mp, &narrow);
    mp.version = NGX_IOT_MQTT_V5;
    assert_int_equal(take(&mp, "32 *0001'a'000100", &packet), NGX_OK);

    /* what a server sends is not held to our own limits */

    ngx_iot_mqtt_parser(&mp, &narrow);
    mp.version = NGX_IOT_MQTT_V5;
    mp.from_server = 1;
    assert_int_equal(take(&mp, "35 *0001'a'000100", &packet), NGX_OK);

    ngx_iot_mqtt_parser(&mp, &narrow);
    assert_int_equal(take(&mp, "10 *0004'MQTT'0516003c00000000"
                          "0001'w'0000", &packet),
                     NGX_IOT_MQTT_NO_QOS);

    ngx_iot_mqtt_parser(&mp, &narrow);
    assert_int_equal(take(&mp, "10 *0004'MQTT'0526003c00000000"
                          "0001'w'0000", &packet),
                     NGX_IOT_MQTT_NO_RETAIN);

    ngx_iot_mqtt_parser(&mp, &narrow);
    assert_int_equal(take(&mp, "10 *0004'MQTT'0402003c0000", &packet),
                     NGX_IOT_MQTT_BAD_VERSION);
    assert_int_equal(mp.level, 4);

    ngx_iot_mqtt_parser(&mp, &narrow);
    assert_int_equal(take(&mp, "1027", &packet), NGX_IOT_MQTT_TOO_LARGE);

    ngx_iot_mqtt_parser(&mp, &narrow);
    assert_int_equal(take(&mp, "1026", &packet), NGX_AGAIN);
}


static void
check_refusal(ngx_uint_t version, ngx_uint_t accepted, const char *packet,
    ngx_uint_t reason, const char *expected)
{
    size_t                 n;
    u_char                 buf[NGX_IOT_MQTT_REFUSAL_MAX];
    ngx_str_t              bytes;
    ngx_iot_mqtt_packet_t  parsed;
    ngx_iot_mqtt_parser_t  mp;

    start(&mp, version, 0);

    mp.accepted = accepted;

    if (packet) {
        assert_int_equal(take(&mp, packet, &parsed), reason);
    }

    bytes = lib_bytes(expected);
    n = ngx_iot_mqtt_refusal(&mp, reason, buf);

    if (n != bytes.len || memcmp(buf, bytes.data, n) != 0) {
        fail_msg("refusal 0x%lx of version %lu: %lu bytes, not %s",
                 (unsigned long) reason, (unsigned long) version,
                 (unsigned long) n, expected);
    }

    free(bytes.data);
}


static void
test_refusals(void **state)
{
    /* nothing to who does not speak MQTT */

    check_refusal(0, 0, "c000", 0x82, "");
    check_refusal(0, 0, "11", 0x81, "");
    check_refusal(0, 0, "10 *0004'HTTP'0402003c0000", 0x82, "");
    check_refusal(0, 0, "10 *0004'MQTT'", 0x81, "");

    check_refusal(0, 0, "10 *0004'MQTT'0602003c0000", 0x84, "2003008400");
    check_refusal(0, 0, "10 *0006'MQIsdp'0202003c0000", 0x84, "2003008400");
    check_refusal(0, 0, "10 *0004'MQTT'0302003c0000", 0x84, "20020001");
    check_refusal(0, 0, "10 *0006'MQIsdp'0402003c0000", 0x84, "20020001");

    check_refusal(0, 0, "10 *0004'MQTT'0403003c0000", 0x81, "");
    check_refusal(0, 0, "10 *0004'MQTT'0400003c0000", 0x85, "20020002");
    check_refusal(0, 0, "10 *0004'MQTT'0503003c000000", 0x81, "2003008100");
    check_refusal(0, 0, "10 *0004'MQTT'0502003c03210000 0000", 0x82,
                  "2003008200");

    check_refusal(3, 0, NULL, 0x86, "20020004");
    check_refusal(4, 0, NULL, 0x87, "20020005");
    check_refusal(4, 0, NULL, 0x97, "20020003");
    check_refusal(4, 0, NULL, 0x8a, "20020005");
    check_refusal(4, 0, NULL, 0x90, "");
    check_refusal(5, 0, NULL, 0x86, "2003008600");
    check_refusal(5, 0, NULL, 0x9b, "2003009b00");
    check_refusal(5, 0, NULL, 0x94, "2003008000");

    check_refusal(3, 1, "c100", 0x81, "");
    check_refusal(4, 1, "36", 0x81, "");
    check_refusal(5, 1, "36", 0x81, "e00181");
    check_refusal(5, 1, "30 *0001'a'03230000", 0x94, "e00194");
    check_refusal(5, 1, NULL, 0x8e, "e0018e");
    check_refusal(5, 1, NULL, 0x00, "e000");
}


static void
test_build_refused(void **state)
{
    ngx_str_t                     text;
    ngx_iot_mqtt_packet_t         packet;
    ngx_iot_mqtt_subscription_t   list[2];

    memset(&packet, 0, sizeof(packet));
    memset(list, 0, sizeof(list));
    ngx_iot_mqtt_props_init(&packet.props);
    ngx_iot_mqtt_props_init(&packet.connect.will_props);

    text.len = 65536;
    text.data = calloc(1, text.len);

    packet.version = NGX_IOT_MQTT_V311;
    packet.type = 0;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.type = NGX_IOT_MQTT_AUTH;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.type = NGX_IOT_MQTT_PUBLISH;
    packet.topic = text;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.topic.len = 65535;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 4 + 2 + 65535);

    packet.qos = 1;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.packet_id = 65536;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.packet_id = 65535;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 4 + 2 + 65535 + 2);

    packet.qos = 3;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.qos = 0;
    packet.dup = 1;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    /* never read: the length alone is too much */

    packet.dup = 0;
    packet.payload.data = text.data;
    packet.payload.len = NGX_IOT_MQTT_VARINT_MAX;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);
    packet.payload.len = 0;

    packet.type = NGX_IOT_MQTT_CONNACK;
    packet.reason = NGX_IOT_MQTT_MALFORMED;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.version = NGX_IOT_MQTT_V5;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 5);

    packet.reason = NGX_IOT_MQTT_GRANTED_QOS1;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);
    packet.reason = 0;

    packet.type = NGX_IOT_MQTT_SUBSCRIBE;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    list[0].filter = lib_str("a");
    list[0].options = 0x2d;
    list[1].filter = lib_str("b/#");
    list[1].options = 2;
    packet.list = list;
    packet.count = 2;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 2 + 2 + 1 + 4 + 6);

    packet.version = NGX_IOT_MQTT_V311;
    (void) ngx_iot_mqtt_build(text.data, &packet);
    assert_memory_equal(text.data,
                        "\x82\x0c\xff\xff\0\1a\1\0\3b/#\2", 14);

    list[1].filter.len = 65536;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.type = NGX_IOT_MQTT_CONNECT;
    packet.connect.has_password = 1;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.connect.has_password = 0;
    packet.connect.keep_alive = 65536;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    /* nothing is written of what has no size */

    assert_ptr_equal(ngx_iot_mqtt_build(text.data, &packet), text.data);

    packet.version = NGX_IOT_MQTT_V5;
    packet.reason = 0x100;
    packet.type = NGX_IOT_MQTT_PUBREC;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.type = NGX_IOT_MQTT_DISCONNECT;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.reason = 0xff;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 3);

    packet.version = 6;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.version = NGX_IOT_MQTT_V5;
    packet.type = NGX_IOT_MQTT_UNSUBSCRIBE;
    packet.count = 0;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.type = NGX_IOT_MQTT_SUBACK;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    packet.type = 16;
    assert_int_equal(ngx_iot_mqtt_build_size(&packet), 0);

    free(text.data);
}


static void
test_suback_of_old(void **state)
{
    u_char                 buf[16], *end, reasons[] = { 1, 0x87, 2, 0x8f };
    ngx_iot_mqtt_packet_t  packet;

    memset(&packet, 0, sizeof(packet));
    ngx_iot_mqtt_props_init(&packet.props);

    packet.type = NGX_IOT_MQTT_SUBACK;
    packet.packet_id = 7;
    packet.payload.data = reasons;
    packet.payload.len = 4;

    packet.version = NGX_IOT_MQTT_V311;
    end = ngx_iot_mqtt_build(buf, &packet);
    assert_int_equal(end - buf, 8);
    assert_memory_equal(buf, "\x90\6\0\7\1\x80\2\x80", 8);

    packet.version = NGX_IOT_MQTT_V31;
    (void) ngx_iot_mqtt_build(buf, &packet);
    assert_memory_equal(buf, "\x90\6\0\7\1\0\2\0", 8);

    packet.version = NGX_IOT_MQTT_V5;
    end = ngx_iot_mqtt_build(buf, &packet);
    assert_int_equal(end - buf, 9);
    assert_memory_equal(buf, "\x90\7\0\7\0\1\x87\2\x8f", 9);

    end = ngx_iot_mqtt_build_ack(buf, 5, NGX_IOT_MQTT_PUBREL, 0x1234, 0x92);
    assert_int_equal(end - buf, 5);
    assert_memory_equal(buf, "\x62\3\x12\x34\x92", 5);

    end = ngx_iot_mqtt_build_ack(buf, 4, NGX_IOT_MQTT_PUBACK, 0x1234, 0x87);
    assert_int_equal(end - buf, 4);
    assert_memory_equal(buf, "\x40\2\x12\x34", 4);
}


static void
test_fit(void **state)
{
    u_char                 raw[32];
    ngx_str_t              name, value;
    ngx_iot_mqtt_packet_t  packet;

    memset(&packet, 0, sizeof(packet));
    ngx_iot_mqtt_props_init(&packet.props);

    name = lib_str("k");
    value = lib_str("v");

    packet.version = NGX_IOT_MQTT_V5;
    packet.type = NGX_IOT_MQTT_PUBACK;
    packet.packet_id = 1;
    packet.reason = 0x87;

    packet.props.raw.data = raw;
    packet.props.raw.len = ngx_iot_mqtt_props_put_user(raw, &name, &value)
                           - raw;
    packet.props.reason_string = lib_str("no");
    ngx_iot_mqtt_props_set(&packet.props, NGX_IOT_MQTT_PROP_USER);
    ngx_iot_mqtt_props_set(&packet.props, NGX_IOT_MQTT_PROP_REASON_STRING);

    assert_int_equal(ngx_iot_mqtt_fit(&packet, 100, 1), 5 + 1 + 5 + 7);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 18, 1), 18);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 17, 1), 11);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 10, 1), 5);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 4, 1), 0);

    ngx_iot_mqtt_props_set(&packet.props, NGX_IOT_MQTT_PROP_REASON_STRING);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 100, 0), 5);

    packet.type = NGX_IOT_MQTT_DISCONNECT;
    ngx_iot_mqtt_props_set(&packet.props, NGX_IOT_MQTT_PROP_REASON_STRING);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 100, 0), 2 + 1 + 1 + 5);

    packet.type = NGX_IOT_MQTT_PUBLISH;
    packet.props.present = 0;
    packet.topic = lib_str("a");
    ngx_iot_mqtt_props_set(&packet.props, NGX_IOT_MQTT_PROP_USER);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 100, 0), 2 + 3 + 1 + 7);
    assert_int_equal(ngx_iot_mqtt_fit(&packet, 12, 0), 0);
}


static void
test_reason_maps(void **state)
{
    ngx_uint_t  code;

    for (code = 0; code < 6; code++) {
        assert_int_equal(ngx_iot_mqtt_reason_to_return_code(
                             ngx_iot_mqtt_reason_from_return_code(code)),
                         code);
    }

    assert_int_equal(ngx_iot_mqtt_reason_from_return_code(6), NGX_ERROR);
    assert_int_equal(ngx_iot_mqtt_reason_to_return_code(0x81), NGX_DECLINED);
    assert_int_equal(ngx_iot_mqtt_reason_to_return_code(0x9d), 3);
    assert_int_equal(ngx_iot_mqtt_reason_to_return_code(0x1ff), NGX_DECLINED);

    lib_assert_str(*ngx_iot_mqtt_reason_name(0x00), "success");
    lib_assert_str(*ngx_iot_mqtt_reason_name(0x8e), "session taken over");
    lib_assert_str(*ngx_iot_mqtt_reason_name(0xa2),
                   "wildcard subscriptions not supported");
    lib_assert_str(*ngx_iot_mqtt_reason_name(0x03), "unknown");
    lib_assert_str(*ngx_iot_mqtt_reason_name(0xa3), "unknown");

    /* 0x04 is for clients, 0x8b for servers */

    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x04, 14, 0), 1);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x04, 14, 1), 0);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x8b, 14, 0), 0);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x8b, 14, 1), 1);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x87, 4, 0), 1);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x00, 15, 0), 0);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x00, 15, 1), 1);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x00, 3, 1), 0);
    assert_int_equal(ngx_iot_mqtt_reason_allowed(0x00, 64, 1), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_bodies),
        cmocka_unit_test(test_length_only),
        cmocka_unit_test(test_connect_fields),
        cmocka_unit_test(test_foreign_frame),
        cmocka_unit_test(test_v31_flags),
        cmocka_unit_test(test_publish_fields),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_build_refused),
        cmocka_unit_test(test_suback_of_old),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_reason_maps)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, setup, NULL);
}
