
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _MQTT_CASES_H_INCLUDED_
#define _MQTT_CASES_H_INCLUDED_


/* what no side may send, and packets in the form that the builders give */

typedef struct {
    const char   *name;
    ngx_uint_t    version;          /* 0 before CONNECT */
    ngx_uint_t    server;
    const char   *bytes;
    ngx_uint_t    reason;
    size_t        found;            /* after this many bytes, 0: all */
} bad_t;


typedef struct {
    ngx_uint_t    version;
    ngx_uint_t    server;
    const char   *bytes;
} good_t;


/* MQTT 5.0, chapters 2 and 3; statement numbers where there is one */

static const bad_t  bad[] = {

    /* the fixed header */

    { "first packet PINGREQ", 0, 0, "c000", 0x82, 1 },
    { "first packet type 0", 0, 0, "0000", 0x82, 1 },
    { "type 0", 5, 0, "0000", 0x82, 1 },
    { "CONNACK from a client", 5, 0, "20 *0000", 0x82, 1 },
    { "SUBACK from a client", 4, 0, "90 *000100", 0x82, 1 },
    { "UNSUBACK from a client", 4, 0, "b0 *0001", 0x82, 1 },
    { "PINGRESP from a client", 3, 0, "d000", 0x82, 1 },
    { "CONNECT from a server", 0, 1, "1000", 0x82, 1 },
    { "SUBSCRIBE from a server", 5, 1, "8200", 0x82, 1 },
    { "UNSUBSCRIBE from a server", 5, 1, "a200", 0x82, 1 },
    { "PINGREQ from a server", 5, 1, "c000", 0x82, 1 },
    { "DISCONNECT from a server of 3.1.1", 4, 1, "e000", 0x82, 1 },
    { "second CONNECT", 5, 0, "10 *0004'MQTT'0502003c000000", 0x82, 1 },
    { "AUTH in 3.1.1", 4, 0, "f000", 0x82, 1 },
    { "AUTH in 3.1", 3, 0, "f000", 0x82, 1 },
    { "flags of CONNECT", 0, 0, "110e", 0x81, 1 },
    { "flags of PUBACK", 5, 0, "41020001", 0x81, 1 },
    { "flags of PUBREC", 5, 0, "52020001", 0x81, 1 },
    { "flags of PUBREL", 5, 0, "60020001", 0x81, 1 },
    { "DUP of PUBREL", 4, 0, "6a020001", 0x81, 1 },
    { "flags of PUBCOMP", 5, 0, "78020001", 0x81, 1 },
    { "flags of SUBSCRIBE", 5, 0, "80", 0x81, 1 },
    { "flags of UNSUBSCRIBE", 5, 0, "a0", 0x81, 1 },
    { "flags of PINGREQ", 3, 0, "c100", 0x81, 1 },
    { "flags of DISCONNECT", 5, 0, "e200", 0x81, 1 },
    { "flags of AUTH", 5, 0, "f100", 0x81, 1 },
    { "flags of CONNACK", 5, 1, "21", 0x81, 1 },
    { "QoS 3", 5, 0, "36", 0x81, 1 },
    { "QoS 3 with DUP and RETAIN", 3, 0, "3f", 0x81, 1 },
    { "DUP at QoS 0", 5, 0, "38", 0x81, 1 },

    /* the remaining length, 1.5.5-1 */

    { "fifth byte of length", 5, 0, "30ffffffff", 0x81, 5 },
    { "fifth byte of length, zeros", 5, 0, "3080808080", 0x81, 5 },
    { "fifth byte of length, whole", 5, 0, "308080808001", 0x81, 5 },
    { "long form of length 0", 5, 0, "c08000", 0x81, 3 },
    { "long form of length 1", 5, 0, "30818000", 0x81, 4 },
    { "long form of length 127", 4, 0, "30ffff8000", 0x81, 5 },
    { "too large", 5, 0, "30f0f50600", 0x95, 4 },
    { "as large as can be", 4, 0, "30ffffff7f", 0x95, 5 },
    { "PINGREQ with a body", 5, 0, "c00100", 0x81, 2 },
    { "PINGRESP with a body", 4, 1, "d00100", 0x81, 2 },
    { "DISCONNECT of 3.1.1 with a body", 4, 0, "e00100", 0x81, 2 },
    { "DISCONNECT of 3.1 with a body", 3, 0, "e00100", 0x81, 2 },

    /* CONNECT */

    { "empty CONNECT", 0, 0, "1000", 0x81, 0 },
    { "protocol name", 0, 0, "10 *0004'mqtt'0402003c0000", 0x82, 0 },
    { "protocol name of 3.1 cut", 0, 0, "10 *0005'MQIsd'", 0x82, 0 },
    { "protocol name cut short", 0, 0, "10 *0004'MQ'", 0x81, 0 },
    { "no level", 0, 0, "10 *0004'MQTT'", 0x81, 0 },
    { "level 6", 0, 0, "10 *0004'MQTT'0602003c000000", 0x84, 0 },
    { "level 2", 0, 0, "10 *0006'MQIsdp'0202003c0000", 0x84, 0 },
    { "level 3 of MQTT", 0, 0, "10 *0004'MQTT'0302003c0000", 0x84, 0 },
    { "level 4 of MQIsdp", 0, 0, "10 *0006'MQIsdp'0402003c0000", 0x84, 0 },
    { "bridge of 5.0", 0, 0, "10 *0004'MQTT'8502003c000000", 0x84, 0 },
    { "no flags", 0, 0, "10 *0004'MQTT'05", 0x81, 0 },
    { "reserved flag, 3.1.2-3", 0, 0, "10 *0004'MQTT'0503003c000000",
      0x81, 0 },
    { "reserved flag in 3.1.1", 0, 0, "10 *0004'MQTT'0403003c0000", 0x81, 0 },
    { "will QoS 3, 3.1.2-12", 0, 0,
      "10 *0004'MQTT'051e003c00000000 0001'w'0000", 0x81, 0 },
    { "will QoS without a will, 3.1.2-11", 0, 0,
      "10 *0004'MQTT'050a003c000000", 0x81, 0 },
    { "will retain without a will, 3.1.2-13", 0, 0,
      "10 *0004'MQTT'0422003c0000", 0x81, 0 },
    { "password alone in 3.1.1", 0, 0,
      "10 *0004'MQTT'0442003c00000001'p'", 0x81, 0 },
    { "password alone in 3.1", 0, 0,
      "10 *0006'MQIsdp'0342003c0001'c'0001'p'", 0x81, 0 },
    { "no keep alive", 0, 0, "10 *0004'MQTT'040200", 0x81, 0 },
    { "no properties", 0, 0, "10 *0004'MQTT'0502003c", 0x81, 0 },
    { "properties cut short", 0, 0, "10 *0004'MQTT'0502003c06 1100000001",
      0x81, 0 },
    { "no client identifier", 0, 0, "10 *0004'MQTT'0402003c", 0x81, 0 },
    { "client identifier cut short", 0, 0, "10 *0004'MQTT'0402003c0002'a'",
      0x81, 0 },
    { "client identifier with NUL", 0, 0, "10 *0004'MQTT'0402003c000100",
      0x81, 0 },
    { "client identifier with a surrogate", 0, 0,
      "10 *0004'MQTT'0502003c000003eda080", 0x81, 0 },
    { "client identifier too long", 0, 0,
      "10 *0004'MQTT'0502003c00 0021'123456789012345678901234567890123'",
      0x85, 0 },
    { "empty client identifier, 3.1.1, 3.1.3-8", 0, 0,
      "10 *0004'MQTT'0400003c0000", 0x85, 0 },
    { "empty client identifier in 3.1", 0, 0,
      "10 *0006'MQIsdp'0302003c0000", 0x85, 0 },
    { "no will", 0, 0, "10 *0004'MQTT'0406003c0000", 0x81, 0 },
    { "no will properties", 0, 0, "10 *0004'MQTT'0506003c000000", 0x81, 0 },
    { "property of PUBLISH in a will", 0, 0,
      "10 *0004'MQTT'0506003c000000[230001]0001'w'0000", 0x81, 0 },
    { "will topic empty", 0, 0, "10 *0004'MQTT'0406003c000000000000",
      0x81, 0 },
    { "will topic with a wildcard", 0, 0,
      "10 *0004'MQTT'0406003c00000003'w/#'0000", 0x81, 0 },
    { "no will payload", 0, 0, "10 *0004'MQTT'0406003c00000001'w'",
      0x81, 0 },
    { "no user name", 0, 0, "10 *0004'MQTT'0482003c0000", 0x81, 0 },
    { "user name of bad UTF-8", 0, 0, "10 *0004'MQTT'0482003c00000001ff",
      0x81, 0 },
    { "no password", 0, 0, "10 *0004'MQTT'04c2003c00000001'u'", 0x81, 0 },
    { "bytes after CONNECT", 0, 0, "10 *0004'MQTT'0402003c000000", 0x81, 0 },
    { "bytes after CONNECT of 5.0", 0, 0,
      "10 *0004'MQTT'0502003c00000000", 0x81, 0 },

    /* CONNACK */

    { "empty CONNACK", 5, 1, "2000", 0x81, 0 },
    { "CONNACK without a reason", 4, 1, "200100", 0x81, 0 },
    { "CONNACK flags, 3.2.2-1", 5, 1, "2003020000", 0x81, 0 },
    { "CONNACK refusal with a session, 3.2.2-6", 5, 1, "2003018700",
      0x82, 0 },
    { "CONNACK code 6", 4, 1, "20020006", 0x81, 0 },
    { "CONNACK reason of another packet", 5, 1, "2003000100", 0x82, 0 },
    { "CONNACK without properties", 5, 1, "20020000", 0x81, 0 },
    { "CONNACK with more", 4, 1, "2003000000", 0x81, 0 },

    /* PUBLISH */

    { "empty PUBLISH", 5, 0, "3000", 0x81, 0 },
    { "topic cut short", 5, 0, "30 *0003'a'00", 0x81, 0 },
    { "empty topic in 3.1.1", 4, 0, "30 *0000'x'", 0x81, 0 },
    { "empty topic in 3.1", 3, 0, "30 *0000'x'", 0x81, 0 },
    { "no topic, no alias", 5, 0, "30 *000000'x'", 0x82, 0 },
    { "topic with +, 3.3.2-2", 5, 0, "30 *0003'a/+'00", 0x81, 0 },
    { "topic with #, 3.3.2-2", 4, 0, "30 *0001'#'", 0x81, 0 },
    { "topic with NUL, 4.7.3-2", 4, 0, "30 *0001 00", 0x81, 0 },
    { "topic with a control character", 4, 0, "30 *0001 1f", 0x81, 0 },
    { "topic with U+0080", 4, 0, "30 *0002 c280", 0x81, 0 },
    { "topic with a noncharacter", 4, 0, "30 *0003 efbfbf", 0x81, 0 },
    { "topic overlong", 5, 0, "30 *0002 c0af00", 0x81, 0 },
    { "topic with a surrogate", 5, 0, "30 *0003 edbfbf 00", 0x81, 0 },
    { "topic over U+10FFFF", 5, 0, "30 *0004 f4908080 00", 0x81, 0 },
    { "topic cut in a character", 5, 0, "30 *0002 e282 00", 0x81, 0 },
    { "topic too deep", 5, 0, "30 *0009'a/b/c/d/e'00", 0x81, 0 },
    { "topic too long", 5, 0, "30 *0011'12345678901234567'00", 0x81, 0 },
    { "identifier 0 of QoS 1", 5, 0, "32 *0001'a'000000", 0x82, 0 },
    { "identifier 0 of QoS 2", 3, 0, "34 *0001'a'0000", 0x82, 0 },
    { "no identifier", 4, 0, "32 *0001'a'00", 0x81, 0 },
    { "no PUBLISH properties", 5, 0, "30 *0001'a'", 0x81, 0 },
    { "alias 0", 5, 0, "30 *0001'a'03230000", 0x94, 0 },
    { "alias over the maximum", 5, 0, "30 *0001'a'0323000b", 0x94, 0 },
    { "subscription identifier of a client, 3.3.4-6", 5, 0,
      "30 *0001'a'020b01", 0x82, 0 },
    { "response topic with a wildcard, 3.3.2-14", 5, 0,
      "30 *0001'a'06080003'b/#'", 0x82, 0 },
    { "empty response topic", 5, 0, "30 *0001'a'03080000", 0x82, 0 },

    /* acknowledgements */

    { "empty PUBACK", 5, 0, "4000", 0x81, 0 },
    { "PUBACK with half an identifier", 4, 0, "400101", 0x81, 0 },
    { "identifier 0 of PUBACK", 4, 0, "40020000", 0x82, 0 },
    { "identifier 0 of PUBREC", 5, 0, "50020000", 0x82, 0 },
    { "identifier 0 of PUBREL", 5, 0, "62020000", 0x82, 0 },
    { "identifier 0 of PUBCOMP", 3, 0, "70020000", 0x82, 0 },
    { "PUBACK of 3.1.1 with a reason", 4, 0, "4003000100", 0x81, 0 },
    { "PUBACK reason, 3.4.2-1", 5, 0, "4003000192", 0x82, 0 },
    { "PUBREC reason, 3.5.2-1", 5, 0, "5003000101", 0x82, 0 },
    { "PUBREL reason, 3.6.2-1", 5, 0, "6203000110", 0x82, 0 },
    { "PUBCOMP reason, 3.7.2-1", 5, 0, "7003000180", 0x82, 0 },
    { "PUBACK properties cut short", 5, 0, "400400010001", 0x81, 0 },
    { "PUBACK with more", 5, 0, "40050001000000", 0x81, 0 },
    { "PUBREL property of PUBLISH", 5, 0, "62 *000100020101", 0x81, 0 },

    /* SUBSCRIBE and UNSUBSCRIBE */

    { "empty SUBSCRIBE", 5, 0, "8200", 0x81, 0 },
    { "identifier 0 of SUBSCRIBE", 5, 0, "82 *0000000001'a'00", 0x82, 0 },
    { "identifier 0 of UNSUBSCRIBE", 4, 0, "a2 *00000001'a'", 0x82, 0 },
    { "no filter, 3.8.3-2", 5, 0, "82 *000100", 0x82, 0 },
    { "no filter in 3.1.1", 4, 0, "82 *0001", 0x82, 0 },
    { "nothing to unsubscribe, 3.10.3-2", 5, 0, "a2 *000100", 0x82, 0 },
    { "nothing to unsubscribe in 3.1.1", 4, 0, "a2 *0001", 0x82, 0 },
    { "no options", 5, 0, "82 *0001000001'a'", 0x81, 0 },
    { "no options of the second", 4, 0, "82 *00010001'a'000001'b'",
      0x81, 0 },
    { "filter cut short", 4, 0, "a2 *00010002'a'", 0x81, 0 },
    { "half a length of a filter", 4, 0, "a2 *00010001'a'00", 0x81, 0 },
    { "empty filter, 4.7.3-1", 5, 0, "82 *000100000000", 0x81, 0 },
    { "filter a#, 4.7.1-1", 5, 0, "82 *0001000002'a#'00", 0x81, 0 },
    { "filter #/a, 4.7.1-1", 4, 0, "82 *00010003'#/a'00", 0x81, 0 },
    { "filter a+, 4.7.1-2", 5, 0, "82 *0001000002'a+'00", 0x81, 0 },
    { "filter +a, 4.7.1-2", 4, 0, "a2 *00010002'+a'", 0x81, 0 },
    { "filter too deep", 5, 0, "82 *0001000009'+/+/+/+/+'00", 0x81, 0 },
    { "filter of bad UTF-8", 5, 0, "82 *0001000001 80 00", 0x81, 0 },
    { "QoS 3 asked", 5, 0, "82 *0001000001'a'03", 0x81, 0 },
    { "QoS 3 asked in 3.1.1", 4, 0, "82 *00010001'a'03", 0x81, 0 },
    { "retain handling 3", 5, 0, "82 *0001000001'a'30", 0x81, 0 },
    { "reserved options, 3.8.3-5", 5, 0, "82 *0001000001'a'40", 0x81, 0 },
    { "options in 3.1.1", 4, 0, "82 *00010001'a'04", 0x81, 0 },
    { "no local and shared, 3.8.3-4", 5, 0,
      "82 *000100000a'$share/g/a'04", 0x82, 0 },
    { "shared without a filter, 4.8.2-2", 5, 0,
      "82 *0001000008'$share/g'00", 0x82, 0 },
    { "shared without a group, 4.8.2-1", 5, 0,
      "82 *0001000009'$share//a'00", 0x82, 0 },
    { "shared group with a wildcard, 4.8.2-2", 5, 0,
      "82 *000100000a'$share/+/a'00", 0x82, 0 },
    { "two subscription identifiers", 5, 0,
      "82 *0001040b010b02 0001'a'00", 0x82, 0 },
    { "subscription identifier 0", 5, 0, "82 *0001020b00 0001'a'00",
      0x82, 0 },
    { "subscription identifier overlong", 5, 0,
      "82 *0001030b8100 0001'a'00", 0x81, 0 },
    { "subscription identifier in UNSUBSCRIBE", 5, 0,
      "a2 *0001020b01 0001'a'", 0x81, 0 },

    /* SUBACK and UNSUBACK */

    { "SUBACK without reasons", 5, 1, "90 *000100", 0x82, 0 },
    { "SUBACK reason, 3.9.3-2", 5, 1, "90 *00010003", 0x82, 0 },
    { "SUBACK code 3 in 3.1.1", 4, 1, "90 *000103", 0x81, 0 },
    { "SUBACK failure in 3.1", 3, 1, "90 *000180", 0x81, 0 },
    { "UNSUBACK reason, 3.11.3-2", 5, 1, "b0 *00010002", 0x82, 0 },
    { "UNSUBACK of 3.1.1 with more", 4, 1, "b0 *000100", 0x81, 0 },
    { "SUBACK identifier 0", 5, 1, "90 *00000000", 0x82, 0 },

    /* DISCONNECT and AUTH */

    { "DISCONNECT with more", 5, 0, "e003000000", 0x81, 0 },
    { "DISCONNECT property", 5, 0, "e0 *00[210001]", 0x81, 0 },
    { "DISCONNECT twice the expiry", 5, 0,
      "e0 *00[11000000011100000001]", 0x82, 0 },
    { "session expiry of a server, 3.14.2-2", 5, 1,
      "e0 *00[1100000001]", 0x82, 0 },
    { "AUTH of a client with success", 5, 0, "f000", 0x82, 0 },
    { "AUTH without a method", 5, 0, "f0 *1800", 0x82, 0 },
    { "AUTH reason, 3.15.2-1", 5, 0, "f0 *87[150001'm']", 0x82, 0 },
    { "re-authentication by a server", 5, 1, "f0 *19[150001'm']", 0x82, 0 },
    { "AUTH data without a method", 5, 0, "f0 *18[160001'd']", 0x82, 0 }
};


static const good_t  good[] = {
    { 0, 0, "10 *0004'MQTT'0402003c0000" },
    { 0, 0, "10 *0004'MQTT'0400003c0001'c'" },
    { 0, 0, "10 *0004'MQTT'84000000 0001'c'" },
    { 0, 0, "10 *0006'MQIsdp'0302003c0001'c'" },
    { 0, 0, "10 *0006'MQIsdp'8302003c0001'c'" },
    { 0, 0, "10 *0006'MQIsdp'03c2003c0001'c'0001'u'0001'p'" },
    { 0, 0, "10 *0004'MQTT'04f6ffff0001'c'0003'w/t'0002 00ff 0001'u'0000" },
    { 0, 0, "10 *0004'MQTT'0502003c000000" },
    { 0, 0, "10 *0004'MQTT'0542003c0000000001'p'" },
    { 0, 0, "10 *0004'MQTT'05ce003c"
            "[11000000ff 150003'abc' 160002 0001 1700 1901 210014 220005"
            " 26 0001'k'0001'v' 26 0001'k'0001'w' 2700010000]"
            " 0003'cid'"
            "[0101 020000000a 030004'text' 080001'r' 090001 00 1800000005"
            " 26 0004'name'0005'value']"
            " 0004'will'0003'bye'0004'user'0004'pass'" },

    { 3, 1, "20020000" },
    { 3, 1, "20020005" },
    { 4, 1, "20020100" },
    { 4, 1, "20020001" },
    { 4, 1, "20020004" },
    { 5, 1, "2003000000" },
    { 5, 1, "2003010000" },
    { 5, 1, "2003008700" },
    { 5, 1, "20 * 0000 [1100000e10 120004'auto' 13003c 150001'm' 160001'd'"
            " 1a0003'r/i' 1c0001's' 1f0005'hello' 210014 22000a 2401 2500"
            " 2600000000 2700100000 2800 2900 2a00]" },

    { 3, 0, "30 *0001'a''hello'" },
    { 4, 0, "31 *0003'a/b'" },
    { 4, 0, "32 *0003'a/b'0001 00ff" },
    { 4, 0, "3d *0003'a/b'ffff'x'" },
    { 5, 0, "30 *0001'a'00'x'" },
    { 5, 0, "30 *0000[230001]'x'" },
    { 5, 0, "3b *0001'a'0001 [0100 0200000000 030000 080001'r' 090000"
            " 23000a 2600000000]" },
    { 5, 1, "30 *0001'a'[0b010bffffff7f0b02]'x'" },
    { 5, 1, "32 *0001'a'0001[0bffffff7f]'x'" },
    { 4, 0, "30 *0003 efbbbf" },
    { 4, 0, "30 *0004 f48fbfbd" },
    { 4, 0, "30 *0007'a/b/c/d'" },

    { 3, 0, "40020001" },
    { 4, 0, "5002ffff" },
    { 4, 0, "62020001" },
    { 4, 0, "70020100" },
    { 5, 0, "40020001" },
    { 5, 0, "4003000110" },
    { 5, 0, "40 *000187[1f0003'why']" },
    { 5, 1, "50 *000100[260001'a'0001'b']" },
    { 5, 0, "6203000192" },
    { 5, 1, "70 *000192[1f0001'x']" },

    { 3, 0, "82 *00010001'a'02" },
    { 4, 0, "82 *ffff0001'#'000003'+/+'010006'$SYS/#'02" },
    { 5, 0, "82 *0001000001'a'2e" },
    { 5, 0, "82 *0001[0b07]000a'$share/g/#'180001'a'04" },
    { 5, 0, "82 *0001[0b01 260001'k'0000]0001'a'00" },
    { 4, 0, "a2 *00010001'a'0003'b/#'" },
    { 5, 0, "a2 *0001000001'a'" },
    { 5, 0, "a2 *0001[2600000000]000a'$share/g/#'" },
    { 3, 1, "90 *0001000102" },
    { 4, 1, "90 *000100010280" },
    { 5, 1, "90 *00010000010280838791979ea1a2" },
    { 5, 1, "90 *0001[1f0001'x']87" },
    { 4, 1, "b0020001" },
    { 5, 1, "b0 *0001001100808387918f" },

    { 3, 0, "c000" },
    { 5, 0, "c000" },
    { 4, 1, "d000" },
    { 3, 0, "e000" },
    { 4, 0, "e000" },
    { 5, 0, "e000" },
    { 5, 0, "e00104" },
    { 5, 0, "e00105" },
    { 5, 0, "e0 *0005 1100000000" },
    { 5, 1, "e0018e" },
    { 5, 1, "e0 *9c[1c0001's' 1f0002'go']" },
    { 5, 0, "f0 *18[150001'm']" },
    { 5, 1, "f0 *18[150001'm'160001 00]" },
    { 5, 0, "f0 *19[150001'm']" },
    { 5, 1, "f000" },
    { 5, 1, "f0 *00[150001'm']" }
};


#endif /* _MQTT_CASES_H_INCLUDED_ */
