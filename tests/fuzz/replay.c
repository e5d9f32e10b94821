/* Runs a fuzzer's entry over a corpus, without a fuzzer: replay FILE…. A file is a pack of inputs as
 * tools/fuzz_corpus.py makes them: for each 4 bytes length, little-endian, then its bytes. Every input stands
 * in a block of its own size, so that the address sanitizer sees reads behind it. */
#include <stdio.h>
#include <stdlib.h>
#include "base/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_file(const char *path, StrBuf *out)
{
    FILE *f = fopen(path, "rb");
    size_t n = 1;
    while (f && n > 0) {
        enum { CHUNK = 65536 };
        sb_reserve(out, CHUNK);
        n = fread(out->ptr + out->len, 1, CHUNK, f);
        sb_wrote(out, n);
    }
    bool ok = f && !ferror(f);
    if (f) fclose(f);
    return ok;
}

int main(int argc, char **argv)
{
    size_t inputs = 0;
    for (int i = 1; i < argc; i++) {
        StrBuf pack = {0};
        if (!read_file(argv[i], &pack)) {
            fprintf(stderr, "%s cannot be read\n", argv[i]);
            return 1;
        }
        Reader r = reader_of(sb_view(&pack));
        while (reader_left(&r)) {
            Str input = reader_str(&r, reader_u32(&r));
            if (!reader_ok(&r)) {
                fprintf(stderr, "%s is cut off\n", argv[i]);
                return 1;
            }
            uint8_t *copy = mem_alloc(input.len ? input.len : 1);
            if (input.len) memcpy(copy, input.ptr, input.len);
            LLVMFuzzerTestOneInput(copy, input.len);
            free(copy);
            inputs++;
        }
        sb_done(&pack);
    }
    if (inputs == 0) {
        fprintf(stderr, "no input\n");
        return 1;
    }
    printf("%zu inputs\n", inputs);
    return 0;
}
