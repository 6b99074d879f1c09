
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"
#include "ngx_iot_totp.h"


/*
 * The first byte names the reader, the next two the center or count, the rest
 * is what somebody typed.  A code that was read must be made the same again,
 * and a reader that refuses must have left its output alone.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_full(const u_char *p, size_t len, int64_t center);
static void fuzz_small(const u_char *p, size_t len, int64_t center);
static void fuzz_channel(const u_char *p, size_t len, int64_t center);
static void fuzz_openpaygo(const u_char *p, size_t len, int64_t count,
    ngx_uint_t restricted);
static void fuzz_device(const u_char *p, size_t len);
static void fuzz_metrics(const u_char *p, size_t len);
static void fuzz_request(const u_char *p, size_t len);
static void fuzz_totp(const u_char *p, size_t len);


static u_char  fuzz_key[NGX_IOT_KEYCODE_SECRET] = {
    0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab,
    0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab
};

static ngx_str_t  fuzz_secret = { NGX_IOT_KEYCODE_SECRET, fuzz_key };


#define fuzz_check(cond)                                                      \
    if (!(cond)) {                                                            \
        abort();                                                              \
    }


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         len;
    int64_t        n;
    const u_char  *p;

    if (size < 3) {
        return 0;
    }

    n = data[1] << 8 | data[2];
    p = data + 3;
    len = size - 3;

    switch (data[0] % 10) {

    case 0:
        fuzz_full(p, len, n);
        break;

    case 1:
        fuzz_small(p, len, n);
        break;

    case 2:
        fuzz_channel(p, len, n);
        break;

    case 3:
        fuzz_openpaygo(p, len, n % 2048, 0);
        break;

    case 4:
        fuzz_openpaygo(p, len, n % 2048, 1);
        break;

    case 5:
        fuzz_device(p, len);
        break;

    case 6:
        fuzz_metrics(p, len);
        break;

    case 7:
        fuzz_request(p, len);
        break;

    case 8:
        fuzz_totp(p, len);
        break;

    default:

        /* keys of every length, as hex and as they are */

        {
            u_char                   key[NGX_IOT_KEYCODE_SECRET];
            ngx_str_t                secret;
            ngx_iot_keycode_err_e    err;
            ngx_iot_nexus_message_t  m;

            err = ngx_iot_keycode_secret(p, len, key);
            fuzz_check(err == NGX_IOT_KEYCODE_OK || len != 32
                       || err == NGX_IOT_KEYCODE_E_SECRET);
            fuzz_check(err == NGX_IOT_KEYCODE_E_SECRET || len == 32);

            secret.len = len;
            secret.data = (u_char *) p;

            err = ngx_iot_nexus_full_read((u_char *) "*010 050 135 981 34#",
                                          20, &secret, n, &m);
            fuzz_check(len == 16 || err == NGX_IOT_KEYCODE_E_SECRET);
        }

        break;
    }

    return 0;
}


static void
fuzz_full(const u_char *p, size_t len, int64_t center)
{
    u_char                   a[NGX_IOT_NEXUS_DIGITS], b[NGX_IOT_NEXUS_DIGITS];
    size_t                   na, nb;
    ngx_iot_keycode_err_e    err;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_message_t  m, untouched;

    memset(&m, 0x5a, sizeof(m));
    untouched = m;

    err = ngx_iot_nexus_full_read(p, len, &fuzz_secret, center, &m);

    if (err != NGX_IOT_KEYCODE_OK) {
        fuzz_check(memcmp(&m, &untouched, sizeof(m)) == 0);
        return;
    }

    err = (m.type <= NGX_IOT_NEXUS_WIPE_STATE)
          ? ngx_iot_nexus_full_make(&m, &fuzz_secret, NGX_IOT_NEXUS_GROUPED,
                                    &text)
          : ngx_iot_nexus_full_make_factory(&m, NGX_IOT_NEXUS_GROUPED, &text);

    fuzz_check(err == NGX_IOT_KEYCODE_OK);
    fuzz_check(ngx_iot_nexus_digits(p, len, a, &na) == NGX_IOT_KEYCODE_OK);
    fuzz_check(ngx_iot_nexus_digits(text.data, text.len, b, &nb)
               == NGX_IOT_KEYCODE_OK);
    fuzz_check(na == nb && memcmp(a, b, na) == 0);

    if (m.type <= NGX_IOT_NEXUS_WIPE_STATE) {
        fuzz_check(m.message_id >= center - 23);
        fuzz_check(m.message_id <= center + 40);
        fuzz_check(m.message_id <= NGX_IOT_NEXUS_ID_MAX);
    }
}


static void
fuzz_small(const u_char *p, size_t len, int64_t center)
{
    size_t                  i, k;
    ngx_iot_keycode_err_e   err;
    ngx_iot_keycode_text_t  text;
    ngx_iot_nexus_small_t   m, untouched;

    memset(&m, 0x5a, sizeof(m));
    untouched = m;

    err = ngx_iot_nexus_small_read(p, len, &fuzz_secret, center, &m);

    if (err != NGX_IOT_KEYCODE_OK) {
        fuzz_check(memcmp(&m, &untouched, sizeof(m)) == 0);
        return;
    }

    err = ngx_iot_nexus_small_make(&m, &fuzz_secret, NGX_IOT_NEXUS_COMPACT,
                                   &text);

    /* the maker compares with other ids than the device does */

    if (err == NGX_IOT_KEYCODE_E_COLLISION
        && (m.type == NGX_IOT_NEXUS_SMALL_EXTENDED_SET
            || m.type == NGX_IOT_NEXUS_SMALL_EXTENDED_UNLOCK))
    {
        return;
    }

    fuzz_check(err == NGX_IOT_KEYCODE_OK);

    for (i = 0, k = 0; i < len; i++) {
        if (p[i] >= '1' && p[i] <= '5') {
            fuzz_check(k < text.len && text.data[k] == p[i]);
            k++;
        }
    }

    fuzz_check(k == text.len);
}


static void
fuzz_channel(const u_char *p, size_t len, int64_t center)
{
    ngx_iot_keycode_err_e    err;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_window_t   w;
    ngx_iot_nexus_channel_t  c;
    ngx_iot_nexus_message_t  m;

    static const ngx_iot_nexus_accessory_t  linked[] = {
        { 0xffff, 0x0000003c }, { 0x1234, 0x89abcdf6 }
    };

    ngx_iot_nexus_window_init_channel(&w);
    w.center = (uint32_t) center;
    w.used = (uint32_t) center * 2654435761u;

    (void) ngx_iot_nexus_uart_read(p, len, &fuzz_secret);

    err = ngx_iot_nexus_channel_read(p, len, &fuzz_secret, &w, linked, 2, &c);

    if (err != NGX_IOT_KEYCODE_OK) {
        return;
    }

    fuzz_check(ngx_iot_nexus_window_state(&w, c.count)
               != NGX_IOT_NEXUS_ID_OUTSIDE);
    fuzz_check(ngx_iot_nexus_channel_make(&c, &fuzz_secret,
                                          NGX_IOT_NEXUS_GROUPED, &text)
               == NGX_IOT_KEYCODE_OK);
    fuzz_check(ngx_iot_nexus_full_read(text.data, text.len, &fuzz_secret, 23,
                                       &m)
               == NGX_IOT_KEYCODE_OK);
    fuzz_check(m.value == 1 && m.ndigits == len);
    fuzz_check(memcmp(m.digits, p, len) == 0);
}


static void
fuzz_openpaygo(const u_char *p, size_t len, int64_t count,
    ngx_uint_t restricted)
{
    ngx_uint_t                    i;
    ngx_iot_keycode_err_e         err;
    ngx_iot_openpaygo_token_t     token;
    ngx_iot_openpaygo_device_t    device, old;

    memset(&device, 0, sizeof(device));
    device.count = count;
    device.tracked = !(count & 1);

    for (i = 0; device.tracked && i < (ngx_uint_t) count % 18; i++) {
        device.used[device.nused++] = (uint32_t) ((count + 7 * i) % 65536);
    }

    old = device;

    err = ngx_iot_openpaygo_read(p, len, &fuzz_secret, 516959010, restricted,
                                 &device, &token);

    if (err != NGX_IOT_KEYCODE_OK
        || token.type == NGX_IOT_OPENPAYGO_INVALID
        || token.type == NGX_IOT_OPENPAYGO_ALREADY_USED)
    {
        fuzz_check(memcmp(&old, &device, sizeof(device)) == 0);
        return;
    }

    fuzz_check(token.count > 0 && token.count <= count + 100);
    fuzz_check(device.nused <= NGX_IOT_OPENPAYGO_USED);
    fuzz_check(device.count >= 0 && device.count <= count + 100);

    /* nothing but a sync works twice */

    err = ngx_iot_openpaygo_read(p, len, &fuzz_secret, 516959010, restricted,
                                 &device, &token);

    fuzz_check(err == NGX_IOT_KEYCODE_OK);
    fuzz_check(token.type == NGX_IOT_OPENPAYGO_ALREADY_USED
               || (!token.extended && token.value == 999));
}


static void
fuzz_device(const u_char *p, size_t len)
{
    size_t                   i, n;
    ngx_iot_nexus_device_t   d;

    ngx_iot_nexus_device_init(&d);

    /* one code after the other */

    for (i = 0; i <= len; i = n + 1) {

        for (n = i; n < len && p[n] != '\n'; n++) {
            /* void */
        }

        (void) ngx_iot_nexus_device_enter(&d, &fuzz_secret, p + i, n - i);
        ngx_iot_nexus_device_elapse(&d, n * 60);

        fuzz_check(d.window.center >= NGX_IOT_NEXUS_CENTER);
        fuzz_check((d.window.used >> 24) == 0);
        fuzz_check(d.short_tests <= 5 && d.long_tests <= 5);
    }
}


static void *
fuzz_alloc(void *data, size_t size)
{
    void  ***next;

    next = data;

    *(*next)++ = malloc(size);

    return (*next)[-1];
}


static void
fuzz_metrics(const u_char *p, size_t len)
{
    void                         *blocks[8], **next;
    ngx_str_t                     auth;
    ngx_iot_alloc_t               a;
    ngx_iot_keycode_text_t        text;
    ngx_iot_openpaygo_metrics_t   m;

    memset(&m, 0, sizeof(m));
    next = blocks;
    a.alloc = fuzz_alloc;
    a.data = &next;

    m.serial = (ngx_str_t) ngx_string("A");
    m.data.data = (u_char *) p;
    m.data.len = len / 2;
    m.history.data = (u_char *) p + len / 2;
    m.history.len = len - len / 2;

    if (ngx_iot_openpaygo_sign((u_char *) "ra", 2, &m, &fuzz_secret, &a, &text)
        == NGX_IOT_KEYCODE_OK)
    {
        auth.len = text.len;
        auth.data = text.data;

        fuzz_check(ngx_iot_openpaygo_verify(&auth, &m, &fuzz_secret, &a)
                   == NGX_IOT_KEYCODE_OK);
    }

    fuzz_check(ngx_iot_openpaygo_sign((u_char *) "da", 2, &m, &fuzz_secret, &a,
                                      &text)
               == NGX_IOT_KEYCODE_OK);

    while (next > blocks) {
        free(*--next);
    }
}


static void
fuzz_request(const u_char *p, size_t len)
{
    size_t                     i, n;
    int64_t                    units;
    ngx_uint_t                 k;
    ngx_iot_nexus_message_t    m;
    ngx_iot_keycode_member_t   members[4];

    if (ngx_iot_openpaygo_units(p, len, 1 + len % 255, &units)
        == NGX_IOT_KEYCODE_OK)
    {
        fuzz_check(units >= 0 && units <= 999999);
    }

    /* name, newline, kind and text, newline */

    memset(members, 0, sizeof(members));

    for (i = 0, k = 0; i < len && k < 8; i = n + 1, k++) {

        for (n = i; n < len && p[n] != '\n'; n++) {
            /* void */
        }

        if (k % 2 == 0) {
            members[k / 2].name.data = (u_char *) p + i;
            members[k / 2].name.len = n - i;

        } else if (n > i) {
            members[k / 2].kind = p[i] % 3;
            members[k / 2].text.data = (u_char *) p + i + 1;
            members[k / 2].text.len = n - i - 1;
        }
    }

    if (ngx_iot_keycode_request(members, (k + 1) / 2, &m)
        == NGX_IOT_KEYCODE_OK)
    {
        fuzz_check(m.type <= NGX_IOT_NEXUS_UNLOCK);
        fuzz_check(m.value >= 0 && m.value <= 99984 && m.value % 24 == 0);
    }
}


static void
fuzz_totp(const u_char *p, size_t len)
{
    u_char               again[NGX_IOT_TOTP_TEXT_MAX + 1];
    u_char               bytes[NGX_IOT_TOTP_SECRET_MAX];
    size_t               i, k, n;
    int64_t              step;
    ngx_str_t            secret;
    ngx_iot_totp_conf_t  conf;

    ngx_iot_totp_defaults(&conf);

    secret.data = bytes;

    if (ngx_iot_totp_decode(p, len, &secret) != NGX_OK) {
        return;
    }

    fuzz_check(secret.len >= 10 && secret.len <= 64);
    fuzz_check(ngx_iot_totp_encode(&secret, again, &n) == NGX_OK);

    for (i = 0, k = 0; i < len; i++) {

        if (p[i] == ' ' || p[i] == '-' || p[i] == '=') {
            continue;
        }

        fuzz_check(k < n && again[k] == (p[i] >= 'a' ? p[i] - 32 : p[i]));
        k++;
    }

    fuzz_check(k == n);

    (void) ngx_iot_totp_verify(&conf, &secret, p, 6, 59, -1, &step);
}
