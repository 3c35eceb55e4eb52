/*
 * replay.c - runs a fuzz target on every file of the folders that are named, and on no input at
 * all.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_file(const char *folder, const char *name)
{
    char path[4000];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return;
    size_t room = 1u << 20;
    uint8_t *data = malloc(room);
    if (data == NULL)
        abort();
    size_t n = fread(data, 1, room, f);
    fclose(f);
    uint8_t *exact = realloc(data, n ? n : 1); /* so that ASan sees a read past the end */
    if (exact == NULL)
        abort();
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int argc, char **argv)
{
    int files = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (e->d_name[0] == '.')
                continue;
            run_file(argv[i], e->d_name);
            files++;
        }
        closedir(dir);
    }
    printf("%d inputs\n", files);
    return 0;
}
