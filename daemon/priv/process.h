/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processes that the supervisor starts: one entry each. */
#ifndef MOAT_PRIV_PROCESS_H
#define MOAT_PRIV_PROCESS_H

/**
 * moat_keys_process() - hold pre-shared keys, answer SKEYID
 * @dir: empty directory to be locked into
 *
 * Return: exit status, once the supervisor has closed its end.
 */
int moat_keys_process(const char *dir);

/** moat_kernel_process() - speak with the kernel; likewise */
int moat_kernel_process(const char *dir);

/** moat_ike_process() - the core and its sockets; likewise */
int moat_ike_process(const char *dir);

/** moat_resolve_process() - look names up; it needs files, so @dir is not its root */
int moat_resolve_process(const char *dir);

#endif
