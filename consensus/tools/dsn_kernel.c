#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/committee_file.h"
#include "common/config.h"
#include "consensus/tools/dsn.h"
#include "rollup-kernel/host/kernel_compile.h"
#include "rollup-kernel/host/pack.h"

/* Kernels are at most 32 KB when originated directly; others may be larger. */
#define KERNEL_BYTES_MAX (16u * 1024u * 1024u)

static enum status read_file(uint8_t **ret_data,
                             size_t *ret_len,
                             const char *path,
                             struct error_line *error)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    size_t len;

    if (file == NULL) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    data = malloc(KERNEL_BYTES_MAX);
    CHECK(data != NULL);
    len = fread(data, 1, KERNEL_BYTES_MAX, file);
    if (ferror(file) || !feof(file)) {
        fclose(file);
        free(data);
        return error_line_set(error, ERR_IO, "%s: cannot be read, or is over 16 MiB", path);
    }
    fclose(file);
    *ret_data = data;
    *ret_len = len;
    return OK;
}

static enum status write_file(const char *path,
                              const uint8_t *data,
                              size_t len,
                              struct error_line *error)
{
    FILE *file = fopen(path, "wb");
    bool ok;

    if (file == NULL) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    ok = fwrite(data, 1, len, file) == len;
    ok = fclose(file) == 0 && ok;
    return ok ? OK : error_line_set(error, ERR_IO, "%s: cannot be written", path);
}

/* ---- pack-kernel ----------------------------------------------------------------------------- */

struct pack_settings {
    char *kernel;
    char *committee;
    char *output;
    uint32_t mode;
    uint32_t application;
    uint32_t keep;
};

static const char *const modes[] = {"inbox", "reveal", NULL};
static const char *const applications[] = {"log", "counter", NULL};

static const struct config_field pack_fields[] = {
    {"kernel", CONFIG_STRING, offsetof(struct pack_settings, kernel), NULL, 0, 0, NULL,
     "kernel.wasm as it was built", 0},
    {"committee", CONFIG_STRING, offsetof(struct pack_settings, committee), NULL, 0, 0, NULL,
     "committee.json of the network", 0},
    {"output", CONFIG_STRING, offsetof(struct pack_settings, output), NULL, 0, 0, NULL,
     "file to write", 'o'},
    {"mode", CONFIG_CHOICE, offsetof(struct pack_settings, mode), "inbox", 0, 0, modes,
     "where payload comes from", 0},
    {"application", CONFIG_CHOICE, offsetof(struct pack_settings, application), "log", 0, 0,
     applications, "what the kernel does with transactions", 0},
    {"keep", CONFIG_U32, offsetof(struct pack_settings, keep), "1000", 0, 0, NULL,
     "blocks that application log keeps; 0: all", 0},
};

static const struct config_program pack_program = {
    .name = "dsn pack-kernel",
    .about = "Appends committee, mode and application to kernel.wasm, so that the origination "
             "commits to them.",
    .fields = pack_fields,
    .fields_count = sizeof pack_fields / sizeof pack_fields[0],
};

static void set_application(struct config *config, const struct pack_settings *settings)
{
    struct writer writer = writer_make(config->application, sizeof config->application);

    writer_u8(&writer,
              settings->application == 0 ? CONFIG_APPLICATION_LOG : CONFIG_APPLICATION_COUNTER);
    if (settings->application == 0) writer_u32(&writer, settings->keep);
    config->application_len = (uint32_t)writer.len;
}

static enum status pack(const struct pack_settings *settings,
                        size_t *ret_len,
                        struct error_line *error)
{
    static struct committee_file file; /* large */
    static struct config config;
    uint8_t *wasm = NULL;
    uint8_t *packed = NULL;
    size_t len = 0;
    enum status status = committee_file_load(&file, settings->committee, error);

    if (status == OK) status = read_file(&wasm, &len, settings->kernel, error);
    if (status != OK) return status;
    config.committee = file.committee;
    config.mode = (uint8_t)settings->mode;
    set_application(&config, settings);
    status = pack_kernel(&packed, ret_len, (struct bytes){wasm, len}, &config);
    if (status != OK)
        (void)error_line_set(error, ERR_CONFIG, "%s: cannot be packed: %s", settings->kernel,
                             status == ERR_CONFLICT ? "it is packed already" : status_text(status));
    else
        status = write_file(settings->output, packed, *ret_len, error);
    free(wasm);
    free(packed);
    return status;
}

int dsn_pack_kernel(int argc, char **argv)
{
    struct pack_settings settings;
    struct error_line error = {""};
    size_t len = 0;
    int code = config_start(&settings, NULL, &pack_program, argc, argv);
    enum status status;

    if (code != CONFIG_RUN) return code;
    status = pack(&settings, &len, &error);
    if (status == OK) {
        printf("%s: %zu bytes\n", settings.output, len);
        if (len > PACK_BYTES_MAX)
            fprintf(stderr, "dsn pack-kernel: over %u bytes: needs an installer to be originated\n",
                    PACK_BYTES_MAX);
    } else {
        fprintf(stderr, "dsn pack-kernel: %s\n", error.text);
    }
    config_free(&settings, &pack_program);
    return status == OK ? EXIT_SUCCESS : EXIT_USAGE;
}

/* ---- kernel-compile -------------------------------------------------------------------------- */

struct compile_settings {
    char *output;
};

static const struct config_field compile_fields[] = {
    {"output", CONFIG_STRING, offsetof(struct compile_settings, output), NULL, 0, 0, NULL,
     "shared object to write", 'o'},
};

static const struct config_program compile_program = {
    .name = "dsn kernel-compile",
    .arguments = "KERNEL.wasm",
    .arguments_max = 1,
    .about =
        "Compiles a kernel for dsn-rollup and dsn-sequencer; refuses what a rollup would refuse.",
    .fields = compile_fields,
    .fields_count = 1,
};

int dsn_kernel_compile(int argc, char **argv)
{
    struct compile_settings settings;
    struct config_arguments arguments;
    struct error_line error = {""};
    uint8_t *wasm = NULL;
    size_t len = 0;
    int code = config_start(&settings, &arguments, &compile_program, argc, argv);
    enum status status = OK;

    if (code != CONFIG_RUN) return code;
    if (arguments.count != 1)
        status = error_line_set(&error, ERR_CONFIG, "expected one KERNEL.wasm; see --help");
    if (status == OK) status = read_file(&wasm, &len, arguments.items[0], &error);
    if (status == OK)
        status = kernel_compile(settings.output, (struct bytes){wasm, len}, error.text,
                                sizeof error.text);
    if (status != OK) fprintf(stderr, "dsn kernel-compile: %s\n", error.text);
    free(wasm);
    config_free(&settings, &compile_program);
    return status == OK ? EXIT_SUCCESS : status == ERR_IO ? EXIT_FAILURE : EXIT_USAGE;
}
