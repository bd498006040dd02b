#include "rollup-kernel/host/kernel_compile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rollup-kernel/host/embedded.h"
#include "rollup-kernel/host/engine_abi.h"

#define COMPILE_PATH_MAX 4096

/* A private directory with the steps' files. */
struct compile {
    char directory[COMPILE_PATH_MAX / 2];
    char *error;
    size_t error_len;
};

static enum status fail(struct compile *compile, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum status fail(struct compile *compile, enum status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(compile->error, compile->error_len, format, arguments);
    va_end(arguments);
    return status;
}

static void file_path(char ret_path[COMPILE_PATH_MAX],
                      const struct compile *compile,
                      const char *name)
{
    snprintf(ret_path, COMPILE_PATH_MAX, "%s/%s", compile->directory, name);
}

static enum status file_write(struct compile *compile, const char *name, struct bytes data)
{
    char path[COMPILE_PATH_MAX];

    file_path(path, compile, name);
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(data.data, 1, data.len, file) == data.len;
    if (file != NULL && fclose(file) != 0) written = false;
    return written ? OK : fail(compile, ERR_IO, "cannot write %s", path);
}

/* First line of a file, for the error. */
static void first_line(char *ret_line, size_t len, const char *path)
{
    FILE *file = fopen(path, "r");

    if (file == NULL || fgets(ret_line, (int)len, file) == NULL) ret_line[0] = '\0';
    if (file != NULL) fclose(file);
    ret_line[strcspn(ret_line, "\n")] = '\0';
}

/* Runs a program in the directory, its output in `output`. ERR_IO when it is not there,
 * ERR_MALFORMED when it refuses its input. */
static enum status run(struct compile *compile, const char *output, const char *const *arguments)
{
    char log[COMPILE_PATH_MAX];
    int state = 0;

    file_path(log, compile, output);
    pid_t child = fork();
    if (child < 0) return fail(compile, ERR_IO, "cannot start %s", arguments[0]);
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) _exit(126);
        if (chdir(compile->directory) != 0) _exit(126);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return OK;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 127) {
        return fail(compile, ERR_IO, "%s is not installed", arguments[0]);
    }
    char line[256];
    first_line(line, sizeof line, log);
    return fail(compile, ERR_MALFORMED, "%s: %s", arguments[0], line);
}

/* Calls `look` for each line that a program prints, until it says no. */
static enum status look_through(struct compile *compile,
                                const char *const *arguments,
                                enum status (*look)(struct compile *compile,
                                                    const char *line,
                                                    void *found),
                                void *found)
{
    char path[COMPILE_PATH_MAX];
    char line[1024];

    enum status status = run(compile, "dump", arguments);
    if (status != OK) return status;
    file_path(path, compile, "dump");
    FILE *file = fopen(path, "r");
    if (file == NULL) return fail(compile, ERR_IO, "cannot read %s", path);
    while (status == OK && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        status = look(compile, line, found);
    }
    fclose(file);
    return status;
}

/* The engines refuse floats even where they are never executed. */
static enum status look_for_floats(struct compile *compile, const char *line, void *found)
{
    const char *instruction = strchr(line, '|');

    (void)found;
    if (instruction == NULL) return OK;
    if (strstr(instruction, "f32") == NULL && strstr(instruction, "f64") == NULL) return OK;
    return fail(compile, ERR_MALFORMED, "the kernel uses floating point");
}

struct interface {
    bool has_run;
    bool has_memory;
};

static enum status look_at_interface(struct compile *compile, const char *line, void *found)
{
    struct interface *interface = found;
    const char *import = strstr(line, " <- ");

    interface->has_run = interface->has_run || strstr(line, "-> \"kernel_run\"") != NULL;
    interface->has_memory = interface->has_memory || strncmp(line, " - memory[0] -> ", 16) == 0;
    if (import == NULL || strncmp(import, " <- smart_rollup_core.", 22) == 0) return OK;
    return fail(compile, ERR_MALFORMED, "the kernel imports %.200s", import + 4);
}

static enum status check_content(struct compile *compile)
{
    const char *const dump[] = {"wasm-objdump", "-x", "kernel.wasm", NULL};
    const char *const disassemble[] = {"wasm-objdump", "-d", "kernel.wasm", NULL};
    struct interface interface = {false, false};

    enum status status = look_through(compile, dump, look_at_interface, &interface);
    if (status != OK) return status;
    if (!interface.has_run)
        return fail(compile, ERR_MALFORMED, "the kernel does not export kernel_run");
    if (!interface.has_memory)
        return fail(compile, ERR_MALFORMED, "the kernel does not export its memory");
    return look_through(compile, disassemble, look_for_floats, NULL);
}

static enum status check(struct compile *compile)
{
    const char *const arguments[] = {"wasm-validate",
                                     "--disable-saturating-float-to-int",
                                     "--disable-simd",
                                     "--disable-multi-value",
                                     "--disable-reference-types",
                                     "kernel.wasm",
                                     NULL};
    enum status status = run(compile, "validation", arguments);

    return status == OK ? check_content(compile) : status;
}

static enum status translate(struct compile *compile)
{
    const char *const arguments[] = {"wasm2c", "--no-debug-names", "-n", "kernel", "kernel.wasm",
                                     "-o",     "kernel.c",         NULL};

    return run(compile, "translation", arguments);
}

static enum status build(struct compile *compile)
{
    char calls[64];
    const char *compiler = getenv("CC");

    snprintf(calls, sizeof calls, "-DWASM_RT_MAX_CALL_STACK_DEPTH=%u", ENGINE_CALLS_MAX);
    /* $CC may be two words ("ccache gcc"): the shell splits it, and nothing else is given to it. */
    const char *const arguments[] = {"sh",
                                     "-c",
                                     "cc=$1; shift; exec $cc \"$@\"",
                                     "sh",
                                     (compiler != NULL && compiler[0] != '\0' ? compiler : "cc"),
                                     "-std=c17",
                                     "-O2",
                                     "-w",
                                     "-fPIC",
                                     "-shared",
                                     "-fvisibility=hidden",
                                     "-Wl,-Bsymbolic",
                                     "-Wl,-z,defs",
                                     "-D_GNU_SOURCE",
                                     "-DWASM_RT_MEMCHECK_SIGNAL_HANDLER=0",
                                     "-DWASM_RT_USE_STACK_DEPTH_COUNT=1",
                                     calls,
                                     "-fno-strict-aliasing",
                                     "kernel.c",
                                     "glue.c",
                                     "-lm",
                                     "-o",
                                     "kernel.so",
                                     NULL};

    return run(compile, "build", arguments);
}

static enum status compile_in(struct compile *compile, const char *output, struct bytes wasm)
{
    char built[COMPILE_PATH_MAX];
    char part[COMPILE_PATH_MAX + 16];
    enum status status = file_write(compile, "kernel.wasm", wasm);

    if (status == OK) status = file_write(compile, "glue.c", embedded_kernel_glue());
    if (status == OK) status = file_write(compile, "engine_abi.h", embedded_engine_abi());
    if (status == OK) status = check(compile);
    if (status == OK) status = translate(compile);
    if (status == OK) status = build(compile);
    if (status != OK) return status;

    /* The output may be on another file system: copy beside it, then rename. */
    file_path(built, compile, "kernel.so");
    snprintf(part, sizeof part, "%s.%ld", output, (long)getpid());
    const char *const copy[] = {"cp", built, part, NULL};
    status = run(compile, "copy", copy);
    if (status != OK) return fail(compile, ERR_IO, "cannot write %s", output);
    if (rename(part, output) != 0) return fail(compile, ERR_IO, "cannot write %s", output);
    return OK;
}

enum status kernel_compile(const char *output, struct bytes wasm, char *ret_error, size_t error_len)
{
    const char *base = getenv("TMPDIR");
    struct compile compile = {.error = ret_error, .error_len = error_len};
    char absolute[COMPILE_PATH_MAX];
    char working[COMPILE_PATH_MAX / 2] = "";

    /* The steps run in the directory, so a relative output must not depend on where they are. */
    if (output[0] != '/' && getcwd(working, sizeof working) == NULL) {
        return fail(&compile, ERR_IO, "no working directory");
    }
    snprintf(absolute, sizeof absolute, "%s%s%s", working, output[0] == '/' ? "" : "/", output);
    snprintf(compile.directory, sizeof compile.directory, "%s/dsn-kernel-XXXXXX",
             base != NULL ? base : "/tmp");
    if (mkdtemp(compile.directory) == NULL) {
        return fail(&compile, ERR_IO, "cannot make a directory in %s",
                    base != NULL ? base : "/tmp");
    }
    enum status status = compile_in(&compile, absolute, wasm);
    static const char *const files[] = {"kernel.wasm",  "kernel.c",  "kernel.h",   "glue.c",
                                        "engine_abi.h", "kernel.so", "validation", "dump",
                                        "translation",  "build",     "copy"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[COMPILE_PATH_MAX];
        file_path(path, &compile, files[i]);
        unlink(path);
    }
    rmdir(compile.directory);
    return status;
}
