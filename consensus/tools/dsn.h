/* The subcommands of `dsn`. Each gets its own arguments, argv[0] being the subcommand's full name,
 * and returns the exit code: 0 done, 1 failed, 2 wrong flags or files. */
#ifndef CONSENSUS_TOOLS_DSN_H
#define CONSENSUS_TOOLS_DSN_H

int dsn_keygen(int argc, char **argv);
int dsn_committee_new(int argc, char **argv);
int dsn_status(int argc, char **argv);
int dsn_submit(int argc, char **argv);
int dsn_sign(int argc, char **argv);
int dsn_verify(int argc, char **argv);
int dsn_pack_kernel(int argc, char **argv);
int dsn_kernel_compile(int argc, char **argv);

#endif
