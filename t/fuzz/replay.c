
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * Runs a fuzz target over the files of its command line, without libFuzzer:
 * what was once found stays tested where there is no clang.
 */


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
main(int argc, char **argv)
{
    int             i;
    FILE           *file;
    size_t          size;
    uint8_t        *exact;
    static uint8_t  data[1024 * 1024];

    printf("1..%d\n", argc - 1);

    for (i = 1; i < argc; i++) {

        file = fopen(argv[i], "rb");
        if (file == NULL) {
            printf("not ok %d - cannot open %s\n", i, argv[i]);
            return 1;
        }

        size = fread(data, 1, sizeof(data), file);
        fclose(file);

        /* of its very size, so that a sanitizer sees the first byte beyond */

        exact = malloc(size ? size : 1);
        if (exact == NULL) {
            return 1;
        }

        memcpy(exact, data, size);

        LLVMFuzzerTestOneInput(exact, size);

        free(exact);

        printf("ok %d - %s\n", i, argv[i]);
        fflush(stdout);
    }

    return 0;
}
