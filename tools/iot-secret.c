
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * What iotctl cannot do by itself: random secrets and password hashes, by the
 * same libsodium that the workers use.
 */


#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int  iot_secret_hash(void);
static int  iot_secret_key(void);
static int  iot_secret_public(void);
static int  iot_secret_seal(const char *path);
static int  iot_secret_token(const char *text);


int
main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        fprintf(stderr, "iot-secret: libsodium cannot start\n");
        return 1;
    }

    if (argc == 2 && strcmp(argv[1], "hash") == 0) {
        return iot_secret_hash();
    }

    if (argc == 2 && strcmp(argv[1], "key") == 0) {
        return iot_secret_key();
    }

    if (argc == 2 && strcmp(argv[1], "public") == 0) {
        return iot_secret_public();
    }

    if (argc == 3 && strcmp(argv[1], "seal") == 0) {
        return iot_secret_seal(argv[2]);
    }

    if (argc == 3 && strcmp(argv[1], "token") == 0) {
        return iot_secret_token(argv[2]);
    }

    fprintf(stderr,
            "usage: iot-secret hash       argon2id of the password on stdin\n"
            "       iot-secret key        32 random bytes in base64\n"
            "       iot-secret public     the public half of a key on stdin\n"
            "       iot-secret seal FILE  what is on stdin, for the public "
            "key\n"
            "       iot-secret token N    N random letters and digits\n");

    return 2;
}


static int
iot_secret_hash(void)
{
    char    out[crypto_pwhash_STRBYTES];
    char    password[1024];
    size_t  len;

    len = fread(password, 1, sizeof(password), stdin);

    while (len && (password[len - 1] == '\n' || password[len - 1] == '\r')) {
        len--;
    }

    if (len == 0 || len == sizeof(password)) {
        fprintf(stderr, "iot-secret: empty or too long password\n");
        return 1;
    }

    if (crypto_pwhash_str(out, password, len,
                          crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE)
        != 0)
    {
        fprintf(stderr, "iot-secret: not enough memory\n");
        return 1;
    }

    sodium_memzero(password, sizeof(password));
    puts(out);

    return 0;
}


static int
iot_secret_key(void)
{
    char           text[64];
    unsigned char  key[32];

    randombytes_buf(key, sizeof(key));
    sodium_bin2base64(text, sizeof(text), key, sizeof(key),
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof(key));
    puts(text);

    return 0;
}


static int
iot_secret_public(void)
{
    char           text[128];
    size_t         len, n;
    unsigned char  key[32], public[32];

    len = fread(text, 1, sizeof(text), stdin);

    if (len == sizeof(text)
        || sodium_base642bin(key, sizeof(key), text, len, "\r\n", &n, NULL,
                             sodium_base64_VARIANT_ORIGINAL)
           != 0
        || n != sizeof(key)
        || crypto_scalarmult_base(public, key) != 0)
    {
        fprintf(stderr, "iot-secret: 32 bytes in base64 are needed\n");
        return 1;
    }

    sodium_bin2base64(text, sizeof(text), public, sizeof(public),
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof(key));
    puts(text);

    return 0;
}


/* as the workers do it for what only the helpers may read */

static int
iot_secret_seal(const char *path)
{
    FILE           *file;
    char            text[1024], out[2048];
    size_t          len, n;
    unsigned char   box[1024 + crypto_box_SEALBYTES], key[32];

    file = fopen(path, "r");

    if (file == NULL) {
        perror(path);
        return 1;
    }

    len = fread(text, 1, sizeof(text), file);
    (void) fclose(file);

    if (len == sizeof(text)
        || sodium_base642bin(key, sizeof(key), text, len, "\r\n", &n, NULL,
                             sodium_base64_VARIANT_ORIGINAL)
           != 0
        || n != sizeof(key))
    {
        fprintf(stderr, "iot-secret: %s holds no key\n", path);
        return 1;
    }

    len = fread(text, 1, sizeof(text), stdin);

    if (len == sizeof(text)
        || crypto_box_seal(box, (unsigned char *) text, len, key) != 0)
    {
        fprintf(stderr, "iot-secret: the text is too long\n");
        return 1;
    }

    sodium_bin2base64(out, sizeof(out), box, len + crypto_box_SEALBYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(text, sizeof(text));
    printf("sealed:h:%s\n", out);

    return 0;
}


static int
iot_secret_token(const char *text)
{
    int                i, n;
    static const char  alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz0123456789";

    n = atoi(text);

    if (n < 1 || n > 256) {
        fprintf(stderr, "iot-secret: a length of 1 to 256 is needed\n");
        return 2;
    }

    for (i = 0; i < n; i++) {
        putchar(alphabet[randombytes_uniform(sizeof(alphabet) - 1)]);
    }

    putchar('\n');

    return 0;
}
