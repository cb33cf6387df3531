
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_PATH_H_INCLUDED_
#define _NGX_TROVE_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Safe opening of files by root in directories where other users may write.  A
 * symbolic link planted there could lead to any file of the system.
 *
 * The directory is opened once, and the files in it are then accessed relative
 * to its descriptor.  Symbolic links in the path of the directory are followed
 * only if they belong to root or to the user of the process.  The file itself
 * must be a regular file without other hard links.
 */

/* reasons to reject a file, worded for a message */
#define NGX_TROVE_PATH_LINK     "is a symbolic link, specify the file itself"
#define NGX_TROVE_PATH_HARD     "has another hard link, remove it"
#define NGX_TROVE_PATH_IRREGULAR  "is not a regular file, remove it"
#define NGX_TROVE_PATH_OTHERS                                                 \
    "is behind a symbolic link of another user, chown the link to root"


/*
 * Opens the directory of a file. *name is set to the file name, which points
 * into path.  The caller closes the descriptor.  It is usable only with
 * openat() and similar calls.
 *
 * -1  *reason is one of the above, or NULL if ngx_errno is set
 */
int ngx_trove_path_dir(const char *path, const char **name,
    const char **reason);

/*
 * Checks a file.  names is the number of its hard links known to be legitimate.
 *
 * Returns one of the above, or NULL if the file is acceptable.
 */
const char *ngx_trove_path_error(struct stat *st, nlink_t names);

/*
 * Opens an existing file relative to dir as openat() does, without blocking,
 * and checks it as ngx_trove_path_error() does. *st is filled in.  The caller
 * closes the descriptor.
 *
 * -1  *reason is one of the above, or NULL if ngx_errno is set
 */
int ngx_trove_path_open(int dir, const char *name, int flags, nlink_t names,
    struct stat *st, const char **reason);

/*
 * Returns the number of other hard links of the file name in the directory dir
 * whose names begin with name followed by suffix.
 */
nlink_t ngx_trove_path_names(int dir, const char *name, const char *suffix);


#endif /* _NGX_TROVE_PATH_H_INCLUDED_ */
