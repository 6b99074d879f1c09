
/*
 * Copyright (C) the ngx_iot authors
 */


#include "mqtt_lib.h"


/* as bits: the packets in which either side may send a property */

#define WI  (1 << 0)
#define CO  (1 << 1)
#define CA  (1 << 2)
#define PU  (1 << 3)
#define AK  ((1 << 4) | (1 << 5) | (1 << 6) | (1 << 7))
#define SU  (1 << 8)
#define SA  (1 << 9)
#define UN  (1 << 10)
#define UA  (1 << 11)
#define DI  (1 << 14)
#define AU  (1 << 15)

#define CLIENT_PACKETS  (WI|CO|PU|AK|SU|UN|DI|AU)
#define SERVER_PACKETS  (CA|PU|AK|SA|UA|DI|AU)


typedef struct {
    ngx_uint_t     id;
    ngx_uint_t     client;
    ngx_uint_t     server;
    const char    *value;           /* one that is right */
    const char    *wrong;           /* out of range, or NULL */
} property_t;


/* MQTT 5.0, table 2-4 */

static const property_t  properties[] = {
    { 0x01, WI|PU, PU, "01", "02" },
    { 0x02, WI|PU, PU, "00000000", NULL },
    { 0x03, WI|PU, PU, "0001'x'", NULL },
    { 0x08, WI|PU, PU, "0001'x'", "0001'#'" },
    { 0x09, WI|PU, PU, "0002 00ff", NULL },
    { 0x0b, SU, PU, "ffffff7f", "00" },
    { 0x11, CO|DI, CA, "ffffffff", NULL },
    { 0x12, 0, CA, "0001'x'", NULL },
    { 0x13, 0, CA, "0000", NULL },
    { 0x15, CO|AU, CA|AU, "0000", NULL },
    { 0x16, CO|AU, CA|AU, "0001 80", NULL },
    { 0x17, CO, 0, "00", "02" },
    { 0x18, WI, 0, "00000001", NULL },
    { 0x19, CO, 0, "01", "ff" },
    { 0x1a, 0, CA, "0001'x'", NULL },
    { 0x1c, DI, CA|DI, "0001'x'", NULL },
    { 0x1f, AK|DI|AU, CA|AK|SA|UA|DI|AU, "0001'x'", NULL },
    { 0x21, CO, CA, "ffff", "0000" },
    { 0x22, CO, CA, "0000", NULL },
    { 0x23, PU, PU, "0001", NULL },
    { 0x24, 0, CA, "01", "02" },
    { 0x25, 0, CA, "00", "02" },
    { 0x26, CLIENT_PACKETS, SERVER_PACKETS, "00000000", NULL },
    { 0x27, CO, CA, "00000001", "00000000" },
    { 0x28, 0, CA, "01", "02" },
    { 0x29, 0, CA, "01", "02" },
    { 0x2a, 0, CA, "01", "02" }
};


#define nproperties  (sizeof(properties) / sizeof(properties[0]))


static ngx_int_t
parse(ngx_iot_mqtt_props_t *props, ngx_uint_t type, ngx_uint_t server,
    const ngx_str_t *bytes)
{
    u_char      *pos;
    ngx_int_t    rc;
    const char  *detail;

    pos = bytes->data;
    detail = NULL;

    rc = ngx_iot_mqtt_props_parse(props, type, server, &pos,
                                  bytes->data + bytes->len, &detail);

    if (rc == NGX_OK) {
        assert_ptr_equal(pos, bytes->data + bytes->len);

    } else {
        assert_non_null(detail);
    }

    return rc;
}


static ngx_int_t
parse_text(ngx_iot_mqtt_props_t *props, ngx_uint_t type, ngx_uint_t server,
    const char *text)
{
    ngx_int_t  rc;
    ngx_str_t  bytes;

    bytes = lib_bytes(text);
    rc = parse(props, type, server, &bytes);

    free(bytes.data);

    return rc;
}


/* data needs a method before it */

static const char *
companion(ngx_uint_t id)
{
    return (id == 0x16) ? "150001'm'" : "";
}


static void
test_where(void **state)
{
    char                    text[128];
    ngx_int_t               rc, expected;
    ngx_uint_t              i, type, server, mine, others, known;
    ngx_iot_mqtt_props_t    props;

    for (i = 0; i < nproperties; i++) {
        for (server = 0; server < 2; server++) {

            mine = server ? properties[i].server : properties[i].client;
            others = server ? properties[i].client : properties[i].server;
            known = server ? SERVER_PACKETS : CLIENT_PACKETS;

            for (type = 0; type <= NGX_IOT_MQTT_AUTH; type++) {

                if ((known & (1 << type)) == 0) {
                    continue;
                }

                (void) snprintf(text, sizeof(text), "[%s%02x%s]",
                                (mine & (1 << type))
                                ? companion(properties[i].id) : "",
                                (unsigned) properties[i].id,
                                properties[i].value);

                rc = parse_text(&props, type, server, text);

                expected = (mine & (1 << type)) ? NGX_OK
                           : (others & (1 << type))
                           ? NGX_IOT_MQTT_PROTOCOL_ERROR
                           : NGX_IOT_MQTT_MALFORMED;

                if (rc != expected) {
                    fail_msg("property 0x%lx in %lu from %lu: 0x%lx",
                             (unsigned long) properties[i].id,
                             (unsigned long) type, (unsigned long) server,
                             (unsigned long) rc);
                }

                if (rc == NGX_OK) {
                    assert_true(ngx_iot_mqtt_props_has(&props,
                                                       properties[i].id));
                }
            }
        }
    }
}


/* the first packet and side that may carry the property */

static void
home(const property_t *p, ngx_uint_t *type, ngx_uint_t *server)
{
    ngx_uint_t  bits;

    *server = p->client ? 0 : 1;
    bits = p->client ? p->client : p->server;

    for (*type = 0; (bits & 1) == 0; bits >>= 1) {
        (*type)++;
    }
}


static void
test_values(void **state)
{
    char                    text[128];
    ngx_int_t               rc;
    ngx_uint_t              i, type, server;
    ngx_iot_mqtt_props_t    props;

    for (i = 0; i < nproperties; i++) {
        home(&properties[i], &type, &server);

        if (properties[i].wrong) {
            (void) snprintf(text, sizeof(text), "[%02x%s]",
                            (unsigned) properties[i].id, properties[i].wrong);

            assert_int_equal(parse_text(&props, type, server, text),
                             NGX_IOT_MQTT_PROTOCOL_ERROR);
        }

        (void) snprintf(text, sizeof(text), "[%s%02x%s%02x%s]",
                        companion(properties[i].id),
                        (unsigned) properties[i].id, properties[i].value,
                        (unsigned) properties[i].id, properties[i].value);

        rc = parse_text(&props, type, server, text);

        assert_int_equal(rc, properties[i].id == NGX_IOT_MQTT_PROP_USER
                             ? NGX_OK : NGX_IOT_MQTT_PROTOCOL_ERROR);
    }

    assert_int_equal(parse_text(&props, NGX_IOT_MQTT_PUBLISH, 0,
                                "[230000]"),
                     NGX_IOT_MQTT_BAD_ALIAS);
}


static void
test_cut_short(void **state)
{
    char                    text[128];
    size_t                  n;
    ngx_int_t               rc;
    ngx_str_t               whole, cut;
    ngx_uint_t              i, type, server;
    ngx_iot_mqtt_props_t    props;

    for (i = 0; i < nproperties; i++) {
        home(&properties[i], &type, &server);

        (void) snprintf(text, sizeof(text), "[%02x%s]",
                        (unsigned) properties[i].id, properties[i].value);

        whole = lib_bytes(text);

        for (n = 1; n < whole.len; n++) {

            /* a block that is not all there */

            cut = lib_copy(whole.data, n);
            rc = parse(&props, type, server, &cut);
            assert_int_equal(rc, NGX_IOT_MQTT_MALFORMED);

            /* a property that does not fit into its block */

            if (n > 1) {
                cut.data[0] = (u_char) (n - 1);
                rc = parse(&props, type, server, &cut);
                assert_int_equal(rc, NGX_IOT_MQTT_MALFORMED);
            }

            free(cut.data);
        }

        free(whole.data);
    }
}


static void
test_unknown(void **state)
{
    char                    text[64];
    ngx_uint_t              id, i;
    ngx_iot_mqtt_props_t    props;

    for (id = 0; id < 128; id++) {

        for (i = 0; i < nproperties; i++) {
            if (properties[i].id == id) {
                break;
            }
        }

        if (i < nproperties) {
            continue;
        }

        (void) snprintf(text, sizeof(text), "[%02x00000000]", (unsigned) id);

        assert_int_equal(parse_text(&props, NGX_IOT_MQTT_CONNECT, 0, text),
                         NGX_IOT_MQTT_MALFORMED);
    }

    /* an identifier is a variable byte integer, in its shortest form */

    assert_int_equal(parse_text(&props, 1, 0, "[ff7f00]"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, "[970000]"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, "8000"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, "ffffffff01"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, ""), NGX_IOT_MQTT_MALFORMED);

    /* strings are UTF-8, binary data is not */

    assert_int_equal(parse_text(&props, 1, 0, "[150001 00]"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, "[260001 ff0000]"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, "[2600000002 c328]"),
                     NGX_IOT_MQTT_MALFORMED);
    assert_int_equal(parse_text(&props, 1, 0, "[160001 00]"),
                     NGX_IOT_MQTT_PROTOCOL_ERROR);
}


static void
test_defaults(void **state)
{
    ngx_iot_mqtt_props_t  props;

    memset(&props, 0xa5, sizeof(props));

    assert_int_equal(parse_text(&props, NGX_IOT_MQTT_CONNECT, 0, "00"),
                     NGX_OK);

    assert_true(props.present == 0);
    assert_int_equal(props.session_expiry, 0);
    assert_int_equal(props.message_expiry, 0xffffffff);
    assert_int_equal(props.maximum_packet, 0xffffffff);
    assert_int_equal(props.receive_maximum, 65535);
    assert_int_equal(props.request_problem, 1);
    assert_int_equal(props.request_response, 0);
    assert_int_equal(props.maximum_qos, 2);
    assert_int_equal(props.retain_available, 1);
    assert_int_equal(props.wildcard_available, 1);
    assert_int_equal(props.sub_id_available, 1);
    assert_int_equal(props.shared_available, 1);
    assert_int_equal(props.topic_alias_maximum, 0);
    assert_int_equal(props.nuser, 0);
    assert_null(props.content_type.data);
}


static void
test_repeated(void **state)
{
    u_char                *cursor;
    uint32_t               id;
    ngx_str_t              bytes, name, value;
    ngx_iot_mqtt_props_t   props;

    bytes = lib_bytes("[0b01 260001'a'0001'1' 030001'c' 0bffffff7f"
                      " 260001'b'0000 0b8001 260001'a'0001'2']");

    assert_int_equal(parse(&props, NGX_IOT_MQTT_PUBLISH, 1, &bytes), NGX_OK);

    assert_int_equal(props.nuser, 3);
    assert_int_equal(props.nsubscription_ids, 3);
    assert_int_equal(props.subscription_id, 1);

    cursor = NULL;

    assert_int_equal(ngx_iot_mqtt_props_next_user(&props, &cursor, &name,
                                                  &value),
                     NGX_OK);
    lib_assert_str(name, "a");
    lib_assert_str(value, "1");

    assert_int_equal(ngx_iot_mqtt_props_next_user(&props, &cursor, &name,
                                                  &value),
                     NGX_OK);
    lib_assert_str(name, "b");
    lib_assert_str(value, "");

    assert_int_equal(ngx_iot_mqtt_props_next_user(&props, &cursor, &name,
                                                  &value),
                     NGX_OK);
    lib_assert_str(name, "a");
    lib_assert_str(value, "2");

    assert_int_equal(ngx_iot_mqtt_props_next_user(&props, &cursor, &name,
                                                  &value),
                     NGX_DONE);
    assert_int_equal(ngx_iot_mqtt_props_next_user(&props, &cursor, &name,
                                                  &value),
                     NGX_DONE);

    cursor = NULL;

    (void) ngx_iot_mqtt_props_next_subscription_id(&props, &cursor, &id);
    assert_int_equal(id, 1);
    (void) ngx_iot_mqtt_props_next_subscription_id(&props, &cursor, &id);
    assert_int_equal(id, 268435455);
    assert_int_equal(ngx_iot_mqtt_props_next_subscription_id(&props, &cursor,
                                                             &id),
                     NGX_OK);
    assert_int_equal(id, 128);
    assert_int_equal(ngx_iot_mqtt_props_next_subscription_id(&props, &cursor,
                                                             &id),
                     NGX_DONE);

    free(bytes.data);
}


static void
test_forward(void **state)
{
    size_t                 size;
    u_char                 buf[64];
    ngx_str_t              bytes, expected;
    ngx_iot_mqtt_props_t   props;

    bytes = lib_bytes("[260001'z'0001'1' 0200000005 230001 0101"
                      " 260001'a'0001'2' 030001'c']");
    expected = lib_bytes("260001'z'0001'1' 0101 260001'a'0001'2' 030001'c'");

    assert_int_equal(parse(&props, NGX_IOT_MQTT_PUBLISH, 0, &bytes), NGX_OK);

    size = ngx_iot_mqtt_props_forward_size(&props);

    assert_int_equal(size, expected.len);
    assert_ptr_equal(ngx_iot_mqtt_props_forward(buf, &props), buf + size);
    assert_memory_equal(buf, expected.data, size);

    free(expected.data);

    /* made here, not received */

    props.parsed = 0;
    expected = lib_bytes("0101 030001'c' 260001'z'0001'1' 260001'a'0001'2'");

    assert_int_equal(ngx_iot_mqtt_props_forward_size(&props), expected.len);
    (void) ngx_iot_mqtt_props_forward(buf, &props);
    assert_memory_equal(buf, expected.data, expected.len);

    /* a stored block that was damaged */

    props.parsed = 1;
    props.raw.len -= 1;
    assert_true(ngx_iot_mqtt_props_forward_size(&props)
                == (size_t) NGX_ERROR);

    ngx_iot_mqtt_props_init(&props);
    props.parsed = 1;
    assert_int_equal(ngx_iot_mqtt_props_forward_size(&props), 0);

    free(expected.data);
    free(bytes.data);
}


static void
test_write_refused(void **state)
{
    u_char                 buf[8];
    ngx_str_t              name, value;
    ngx_iot_mqtt_props_t   props;

    ngx_iot_mqtt_props_init(&props);

    assert_int_equal(ngx_iot_mqtt_props_size(&props), 1);
    assert_ptr_equal(ngx_iot_mqtt_props_write(buf, &props), buf + 1);
    assert_int_equal(buf[0], 0);

    props.reason_string.len = 65536;
    ngx_iot_mqtt_props_set(&props, NGX_IOT_MQTT_PROP_REASON_STRING);
    assert_int_equal(ngx_iot_mqtt_props_size(&props), 0);

    ngx_iot_mqtt_props_clear(&props, NGX_IOT_MQTT_PROP_REASON_STRING);
    assert_true(props.present == 0);

    props.topic_alias = 65536;
    ngx_iot_mqtt_props_set(&props, NGX_IOT_MQTT_PROP_TOPIC_ALIAS);
    assert_int_equal(ngx_iot_mqtt_props_size(&props), 0);
    ngx_iot_mqtt_props_clear(&props, NGX_IOT_MQTT_PROP_TOPIC_ALIAS);

    props.subscription_id = 268435456;
    ngx_iot_mqtt_props_set(&props, NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID);
    assert_int_equal(ngx_iot_mqtt_props_size(&props), 0);

    props.subscription_id = 268435455;
    assert_int_equal(ngx_iot_mqtt_props_size(&props), 6);

    name = lib_str("k");
    value.data = NULL;
    value.len = 65536;
    assert_int_equal(ngx_iot_mqtt_props_user_size(&name, &value), 0);
    assert_int_equal(ngx_iot_mqtt_props_user_size(&value, &name), 0);
    assert_int_equal(ngx_iot_mqtt_props_user_size(&name, &name), 7);
}


static void
test_varint(void **state)
{
    size_t     i, n;
    u_char     buf[5], *pos;
    uint32_t   value;

    static const uint32_t  edges[] = {
        0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455
    };

    for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        n = ngx_iot_mqtt_varint_write(buf, edges[i]) - buf;

        assert_int_equal(n, ngx_iot_mqtt_varint_size(edges[i]));

        pos = buf;
        assert_int_equal(ngx_iot_mqtt_varint_read(&pos, buf + n, &value),
                         NGX_OK);
        assert_int_equal(value, edges[i]);
        assert_ptr_equal(pos, buf + n);

        while (n--) {
            pos = buf;
            assert_int_equal(ngx_iot_mqtt_varint_read(&pos, buf + n, &value),
                             NGX_AGAIN);
            assert_ptr_equal(pos, buf);
        }
    }

    assert_int_equal(ngx_iot_mqtt_varint_size(268435456), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_write_refused),
        cmocka_unit_test(test_varint)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
