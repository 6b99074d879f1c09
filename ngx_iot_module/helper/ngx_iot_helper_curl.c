
/*
 * Copyright (C) the ngx_iot authors
 */


#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ngx_iot_helper_curl.h"
#include "ngx_iot_helper_job.h"


static size_t ngx_iot_helper_curl_read(char *p, size_t size, size_t n,
    void *data);
static int ngx_iot_helper_curl_seek(void *data, curl_off_t offset, int origin);
static size_t ngx_iot_helper_curl_write(char *p, size_t size, size_t n,
    void *data);
static size_t ngx_iot_helper_curl_line(char *p, size_t size, size_t n,
    void *data);
static curl_socket_t ngx_iot_helper_curl_socket(void *data,
    curlsocktype purpose, struct curl_sockaddr *address);
static int ngx_iot_helper_curl_close(void *data, curl_socket_t fd);
static ngx_uint_t ngx_iot_helper_private(const struct sockaddr *sa);
static ngx_uint_t ngx_iot_helper_private4(uint32_t address);


typedef struct {
    uint32_t     net;
    uint32_t     mask;
} ngx_iot_helper_net_t;


/* what is not for everybody: the special-purpose registry of RFC 6890 */

static const ngx_iot_helper_net_t  ngx_iot_helper_nets[] = {
    { 0x00000000, 0xff000000 },         /* this network */
    { 0x0a000000, 0xff000000 },         /* private, RFC 1918 */
    { 0x64400000, 0xffc00000 },         /* carrier-grade NAT */
    { 0x7f000000, 0xff000000 },         /* loopback */
    { 0xa9fe0000, 0xffff0000 },         /* link-local */
    { 0xac100000, 0xfff00000 },         /* private */
    { 0xc0000000, 0xffffff00 },         /* protocol assignments */
    { 0xc0000200, 0xffffff00 },         /* documentation */
    { 0xc0a80000, 0xffff0000 },         /* private */
    { 0xc6120000, 0xfffe0000 },         /* benchmarks */
    { 0xc6336400, 0xffffff00 },         /* documentation */
    { 0xcb007100, 0xffffff00 },         /* documentation */
    { 0xe0000000, 0xe0000000 }          /* multicast and reserved */
};


ngx_int_t
ngx_iot_helper_curl(ngx_iot_helper_job_t *job, const char *url,
    const char *schemes, long timeout, size_t max)
{
    CURL *c;

    c = curl_easy_init();
    if (c == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_ERROR;
    }

    job->easy = c;
    job->answer_max = max;
    job->sent = 0;

    if (curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, schemes) != CURLE_OK
        || curl_easy_setopt(c, CURLOPT_URL, url) != CURLE_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED, "the URL is not right");
        return NGX_ERROR;
    }

    curl_easy_setopt(c, CURLOPT_PRIVATE, job);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, job->curl_error);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout < 10000 ? timeout : 10000L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "iot-helper");

    /* no connection goes from one tenant's job to another's */

    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);

    curl_easy_setopt(c, CURLOPT_READFUNCTION, ngx_iot_helper_curl_read);
    curl_easy_setopt(c, CURLOPT_READDATA, job);
    curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, ngx_iot_helper_curl_seek);
    curl_easy_setopt(c, CURLOPT_SEEKDATA, job);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ngx_iot_helper_curl_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, job);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, ngx_iot_helper_curl_line);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, job);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION,
                     ngx_iot_helper_curl_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, job);
    curl_easy_setopt(c, CURLOPT_CLOSESOCKETFUNCTION,
                     ngx_iot_helper_curl_close);
    curl_easy_setopt(c, CURLOPT_CLOSESOCKETDATA, job);

    if (job->helper->ca_file) {
        curl_easy_setopt(c, CURLOPT_CAINFO, job->helper->ca_file);
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_helper_header(ngx_iot_helper_job_t *job, const char *name,
    const char *value)
{
    struct curl_slist     *list;
    ngx_iot_helper_buf_t   buf;

    if (strpbrk(name, "\r\n:; ") || strpbrk(value, "\r\n") || name[0] == '\0')
    {
        return NGX_ERROR;
    }

    ngx_iot_helper_buf_init(&buf, &job->pool, 0);

    /* curl's way to say that a header is there and empty */

    ngx_iot_helper_printf(&buf, value[0] ? "%s: %s" : "%s;%s", name, value);

    list = buf.failed ? NULL : curl_slist_append(job->headers, buf.data);
    if (list == NULL) {
        return NGX_ERROR;
    }

    job->headers = list;

    return NGX_OK;
}


const char *
ngx_iot_helper_curl_error(ngx_iot_helper_job_t *job, CURLcode code)
{
    if (job->refused) {
        return "private addresses are not allowed";
    }

    if (job->too_large) {
        return "the answer is too large";
    }

    return job->curl_error[0] ? job->curl_error : curl_easy_strerror(code);
}


static size_t
ngx_iot_helper_curl_read(char *p, size_t size, size_t n, void *data)
{
    ngx_iot_helper_job_t *job = data;

    size_t  len;

    len = ngx_min(size * n, job->body.len - job->sent);

    if (len) {
        ngx_memcpy(p, job->body.data + job->sent, len);
        job->sent += len;
    }

    return len;
}


static int
ngx_iot_helper_curl_seek(void *data, curl_off_t offset, int origin)
{
    ngx_iot_helper_job_t *job = data;

    if (origin != SEEK_SET || offset < 0 || (size_t) offset > job->body.len) {
        return CURL_SEEKFUNC_FAIL;
    }

    job->sent = offset;

    return CURL_SEEKFUNC_OK;
}


static size_t
ngx_iot_helper_curl_write(char *p, size_t size, size_t n, void *data)
{
    ngx_iot_helper_job_t *job = data;

    if (size * n > job->answer_max - job->answer.len) {
        job->too_large = 1;
        return 0;
    }

    ngx_iot_helper_add(&job->answer, p, size * n);

    return job->answer.failed ? 0 : size * n;
}


/* what a mail server says, or the headers of an HTTP answer */

static size_t
ngx_iot_helper_curl_line(char *p, size_t size, size_t n, void *data)
{
    ngx_iot_helper_job_t *job = data;

    char        *colon, *end, name[128], value[4096];
    json_t      *old;
    size_t       len;

    len = size * n;
    end = p + len;

    while (end > p && (end[-1] == '\n' || end[-1] == '\r')) {
        end--;
    }

    if (end == p) {
        return len;
    }

    /* of a mail server the last refusal, not the good-bye after it */

    if (job->recipients && (*p == '4' || *p == '5')) {
        (void) snprintf(job->line, sizeof(job->line), "%.*s",
                        (int) (end - p), p);
    }

    colon = memchr(p, ':', end - p);

    if (job->answer_headers == NULL || colon == NULL
        || colon - p >= (int) sizeof(name)
        || json_object_size(job->answer_headers) >= 100)
    {
        return len;
    }

    (void) snprintf(name, sizeof(name), "%.*s", (int) (colon - p), p);

    for (colon++; colon < end && (*colon == ' ' || *colon == '\t'); colon++) {
        /* void */
    }

    old = json_object_get(job->answer_headers, name);

    (void) snprintf(value, sizeof(value), "%s%s%.*s",
                    old ? json_string_value(old) : "", old ? ", " : "",
                    (int) (end - colon), colon);

    /* not UTF-8: left out */

    (void) json_object_set_new(job->answer_headers, name, json_string(value));

    return len;
}


/*
 * Where the connection really goes, whatever the name said and however often
 * it was asked.
 */

static curl_socket_t
ngx_iot_helper_curl_socket(void *data, curlsocktype purpose,
    struct curl_sockaddr *address)
{
    ngx_iot_helper_job_t *job = data;

    (void) purpose;

    if (!job->allow_private && ngx_iot_helper_private(&address->addr)) {
        job->refused = 1;
        return CURL_SOCKET_BAD;
    }

    job->fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                     address->protocol);

    return job->fd;
}


static int
ngx_iot_helper_curl_close(void *data, curl_socket_t fd)
{
    ngx_iot_helper_job_t *job = data;

    if (job->fd == fd) {
        job->fd = -1;
    }

    return close(fd);
}


static ngx_uint_t
ngx_iot_helper_private(const struct sockaddr *sa)
{
    uint32_t                    v4;
    const u_char               *a;
    const struct sockaddr_in   *sin;
    const struct sockaddr_in6  *sin6;

    static const u_char  mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
                                        0xff };
    static const u_char  nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

    switch (sa->sa_family) {

    case AF_INET:
        sin = (const struct sockaddr_in *) (const void *) sa;
        return ngx_iot_helper_private4(ntohl(sin->sin_addr.s_addr));

    case AF_INET6:
        sin6 = (const struct sockaddr_in6 *) (const void *) sa;
        a = sin6->sin6_addr.s6_addr;

        if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0) {
            v4 = (uint32_t) a[12] << 24 | a[13] << 16 | a[14] << 8 | a[15];
            return ngx_iot_helper_private4(v4);
        }

        /* global unicast is 2000::/3; of it, not documentation, 6to4, Teredo */

        return (a[0] & 0xe0) != 0x20
               || (a[0] == 0x20 && a[1] == 0x01
                   && ((a[2] == 0x0d && a[3] == 0xb8)
                       || (a[2] == 0 && a[3] == 0)))
               || (a[0] == 0x20 && a[1] == 0x02);

    default:
        return 1;
    }
}


static ngx_uint_t
ngx_iot_helper_private4(uint32_t address)
{
    ngx_uint_t  i;

    for (i = 0;
         i < sizeof(ngx_iot_helper_nets) / sizeof(ngx_iot_helper_nets[0]);
         i++)
    {
        if ((address & ngx_iot_helper_nets[i].mask)
            == ngx_iot_helper_nets[i].net)
        {
            return 1;
        }
    }

    return 0;
}
